"""Sign-in with OpenID Connect: the authorization code flow with PKCE, state and nonce, at one provider."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from phospho_dashboard.settings import OidcSettings, is_safe_url
from phospho_schemas.rows.people import GIVEN_ROLES, ROLES, GivenRole, Roles
from phospho_web.problems import Problem

if TYPE_CHECKING:
    # A tenth of a second each, which only a process with a provider needs.
    import httpx
    from joserfc import jwt
    from joserfc.jwk import KeySet

# Signatures with a public key only: a secret that the browser's side could know signs nothing here.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_METADATA_LIFETIME_S = 3600
_MAX_RESPONSE_BYTES = 1_000_000
_TIMEOUT_S = 10
_CLOCK_LEEWAY_S = 60


@dataclass(frozen=True)
class Attempt:
    """The secrets of one sign-in, which the browser holds while it is at the provider, and where it goes on."""

    state: str
    nonce: str
    verifier: str
    next_path: str

    def encoded(self) -> str:
        """Return the attempt as the value of a cookie."""
        fields = [self.state, self.nonce, self.verifier, self.next_path]
        return base64.urlsafe_b64encode(orjson.dumps(fields)).decode()


def new_attempt(next_path: str) -> Attempt:
    return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), next_path)


def attempt_of(cookie: str) -> Attempt | None:
    """Return the attempt in a cookie; None where there is none."""
    try:
        fields = orjson.loads(base64.urlsafe_b64decode(cookie))
        return Attempt(*(str(text) for text in fields))
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True)
class Identity:
    """A person as the provider names them. Roles are those of their groups, None where groups decide nothing."""

    name: str
    role: GivenRole | None
    project_roles: Mapping[str, GivenRole] | None = None

    def roles_after(self, roles: Roles) -> Roles:
        """Return the roles of a person who had `roles`: a group takes no right away that they have everywhere."""
        everywhere = self.role or roles.everywhere
        if everywhere == "admin":
            return Roles(everywhere)
        if self.project_roles is None:
            return Roles(everywhere, roles.by_project)
        return Roles(everywhere, {p: _highest((everywhere, role)) for p, role in self.project_roles.items()})


class OidcProvider:
    """One OpenID Connect provider. Each method raises Problem: 403 for a person, 502 and 503 for the provider."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._metadata: dict[str, Any] = {}
        self._metadata_until_s = 0.0
        self._keys: KeySet | None = None

    async def authorization_url(self, attempt: Attempt, redirect_uri: str) -> str:
        """Return the address at the provider where a browser signs in."""
        metadata = await self._discovered()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        endpoint = str(metadata["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def identity(self, code: str, attempt: Attempt, redirect_uri: str) -> Identity:
        """Exchange the code of a callback for tokens, check them, and return the person that they name."""
        tokens = await self._tokens(code, attempt, redirect_uri)
        claims = await self._verified_claims(str(tokens.get("id_token", "")), attempt.nonce)
        if any(claim not in claims for claim in self._needed_claims):
            claims = await self._user_info(str(tokens.get("access_token", "")), claims["sub"]) | claims
        return identity_of(claims, self._settings)

    @property
    def _needed_claims(self) -> list[str]:
        settings = self._settings
        needs_groups = settings.has_groups or settings.project_groups
        return [settings.name_claim, *([settings.groups_claim] if needs_groups else [])]

    async def _discovered(self) -> dict[str, Any]:
        if time.monotonic() < self._metadata_until_s:
            return self._metadata
        issuer = self._settings.issuer
        metadata = await self._fetch("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            hint = "set PHOSPHO_OIDC_ISSUER to the issuer of the provider's metadata, to the letter"
            raise _provider_fault(f"its issuer is {str(metadata.get('issuer'))[:200]!r}, not {issuer!r}", hint)
        for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_safe_url(str(metadata.get(endpoint, ""))):
                raise _provider_fault(f"its metadata has no https address as {endpoint}")
        self._metadata, self._metadata_until_s = metadata, time.monotonic() + _METADATA_LIFETIME_S
        self._keys = None
        return metadata

    async def _tokens(self, code: str, attempt: Attempt, redirect_uri: str) -> dict[str, Any]:
        metadata, settings = await self._discovered(), self._settings
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        # RFC 8414: without a list, the provider takes client_secret_basic.
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if settings.client_secret and "client_secret_basic" in methods:
            pair = f"{quote(settings.client_id, safe='')}:{quote(settings.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            body["client_id"] = settings.client_id
            body |= {"client_secret": settings.client_secret} if settings.client_secret else {}
        return await self._fetch("POST", metadata["token_endpoint"], data=body, headers=headers)

    async def _verified_claims(self, id_token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that this provider signed for this client and this attempt."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            claims = (await self._decoded(id_token)).claims
            jwt.JWTClaimsRegistry(
                leeway=_CLOCK_LEEWAY_S,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._settings.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise _provider_fault(f"its ID token is not valid ({error})", "sign in again") from error
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise _provider_fault("its ID token is for another client", "check PHOSPHO_OIDC_CLIENT_ID")
        return claims

    async def _decoded(self, id_token: str) -> jwt.Token:
        """Return a token whose signature is right. The keys are read again where none has its id: they rotate."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        if self._keys is not None:
            try:
                return jwt.decode(id_token, self._keys, algorithms=_ALGORITHMS)
            except (JoseError, ValueError):
                pass
        content = await self._fetch("GET", (await self._discovered())["jwks_uri"])
        self._keys = KeySet.import_key_set({"keys": content.get("keys") or []})
        return jwt.decode(id_token, self._keys, algorithms=_ALGORITHMS)

    async def _user_info(self, access_token: str, subject: str) -> dict[str, Any]:
        endpoint = str((await self._discovered()).get("userinfo_endpoint", ""))
        if not is_safe_url(endpoint):
            return {}
        info = await self._fetch("GET", endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if info.get("sub") != subject:
            raise _provider_fault("its user info is about another person", "sign in again")
        return info

    async def _fetch(self, method: str, url: str, **request: Any) -> dict[str, Any]:
        """Return the JSON object that the provider answers, of at most 1 MB and within 10 s."""
        import httpx

        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                httpx.AsyncClient(verify=self._tls) as client,
                client.stream(method, url, **request) as response,
            ):
                return _content(response.status_code, await _bounded_body(response))
        except (httpx.HTTPError, TimeoutError) as error:
            raise Problem(
                503,
                "provider_unavailable",
                f"the sign-in provider does not answer ({type(error).__name__})",
                "try again in a minute; the address is in PHOSPHO_OIDC_ISSUER",
                retry_after_s=60,
            ) from error

    @cached_property
    def _tls(self) -> Any:
        import httpx

        return httpx.create_ssl_context()


async def _bounded_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MAX_RESPONSE_BYTES:
            raise _provider_fault("its answer is larger than 1 MB")
    return bytes(body)


def _content(status: int, body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if status == 200 and isinstance(content, dict):
        return content
    error = content.get("error") if isinstance(content, dict) else None
    if error == "invalid_client":
        raise _provider_fault("it refuses this client", "check PHOSPHO_OIDC_CLIENT_ID and PHOSPHO_OIDC_CLIENT_SECRET")
    raise _provider_fault(f"it answered {status} {str(error or '')[:100]}".rstrip(), "sign in again")


def identity_of(claims: Mapping[str, Any], settings: OidcSettings) -> Identity:
    """Return the person of verified claims, with the roles of their groups. Raises Problem 403 for another domain."""
    name = claims.get(settings.name_claim)
    if not isinstance(name, str) or not name:
        hint = "add its scope to PHOSPHO_OIDC_SCOPES, or name another claim in PHOSPHO_OIDC_NAME_CLAIM"
        raise _provider_fault(f"it sent no {settings.name_claim!r}", hint)
    if settings.name_claim == "email" and claims.get("email_verified") in (False, "false"):
        raise Problem(403, "unverified_email", f"{name!r} is not verified", "verify it at the provider")
    domains = [domain.lower() for domain in settings.domains]
    if domains and name.lower().rpartition("@")[2] not in domains:
        raise Problem(403, "wrong_domain", f"{name!r} is of no allowed domain", "sign in with another account")
    groups = claims.get(settings.groups_claim) or []
    memberships = {groups} if isinstance(groups, str) else {str(group) for group in groups}
    role = _role_of(memberships, settings) if settings.has_groups else None
    project_roles = _project_roles_of(memberships, settings) if settings.project_groups else None
    return Identity(name, role, project_roles)


def _role_of(memberships: set[str], settings: OidcSettings) -> GivenRole:
    """Return the highest role of a person's groups, else that of everybody."""
    roles = [role for role in ROLES if memberships.intersection(settings.groups_of(role))]
    return roles[-1] if roles else settings.role or "none"


def _project_roles_of(memberships: set[str], settings: OidcSettings) -> dict[str, GivenRole]:
    """Return the highest role of a person's groups in each project that they name."""
    roles: dict[str, GivenRole] = {}
    for project_id, role, group in settings.project_roles:
        if group in memberships:
            roles[project_id] = _highest((role, roles.get(project_id, "none")))
    return roles


def _highest(roles: Iterable[GivenRole]) -> GivenRole:
    return max(roles, key=GIVEN_ROLES.index)


def _provider_fault(message: str, hint: str = "the settings are in docs/people.md") -> Problem:
    return Problem(502, "provider_fault", f"sign-in failed at the provider: {message}", hint)
