"""Sign-in with OpenID Connect, against a provider on loopback (oidc-provider-mock: Authlib's own server)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.testclient import TestClient

from dashboard.auth.test_sign_in import browser, sign_in
from phospho_dashboard.auth.oidc import OidcProvider, attempt_of, identity_of, new_attempt
from phospho_dashboard.settings import DashboardSettings, OidcSettings, SignInSettings
from phospho_schemas.rows.people import Roles
from phospho_schemas.settings import BadSetting, load
from phospho_web.problems import Problem

_NUMBERS = itertools.count()
# The provider is built with older calls of its own library.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
START, CALLBACK = "/sign-in/oidc", "/sign-in/oidc/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    # Imported here, where its warning is not one of the collection.
    import oidc_provider_mock

    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def oidc(issuer: str) -> OidcSettings:
    return OidcSettings(issuer=issuer, client_id="phospho", client_secret="s&cret")


@pytest.fixture
def name() -> str:
    return f"oidc-{next(_NUMBERS)}@shop.example"


def client_of(world: Any, oidc: OidcSettings, **changes: Any) -> TestClient:
    return browser(world.services(DashboardSettings(sign_in=SignInSettings(oidc=oidc, **changes))))


def at_provider(client: TestClient, name: str, start: str = START, **claims: Any) -> str:
    """Sign in at the provider as somebody with these claims, and return the path that the browser comes back to."""
    target = client.get(start).headers["location"]
    origin = target.partition("/oauth2")[0]
    httpx.put(f"{origin}/users/{name}", json={"email": name, **claims}).raise_for_status()
    answer = httpx.post(target, data={"sub": name})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].removeprefix("http://127.0.0.1:8420")  # type: ignore[no-any-return]


def problem(client: TestClient, path: str) -> tuple[int, str]:
    """Return the status and the text of the page at a path."""
    answer = client.get(path)
    return answer.status_code, " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_listed_person_signs_in_and_goes_on(world: Any, oidc: OidcSettings, name: str) -> None:
    client = client_of(world, oidc)
    world.services(DashboardSettings()).sign_ins.directory.add(name, "editor", "")
    assert (
        'href="/sign-in/oidc?next=%2Fsessions%3Fproject%3Dmine"'
        in client.get("/sign-in?next=/sessions?project=mine").text
    )

    path = at_provider(client, name.upper(), f"{START}?next=/sessions?project=mine", email=name.upper())
    answer = client.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, "/sessions?project=mine")
    assert client.get("/settings/account.json").json()["role"] == "editor"
    assert client.get("/settings/account.json").json()["name"] == name
    status, text = problem(client, path)
    assert (status, "begun elsewhere" in text) == (400, True), "a callback is good once"


def test_request_has_pkce_state_and_nonce_that_change(world: Any, oidc: OidcSettings) -> None:
    client = client_of(world, oidc)
    first, second = (parse_qs(urlsplit(client.get(START).headers["location"]).query) for _ in range(2))

    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["openid email profile"]
    assert first["redirect_uri"] == [f"http://127.0.0.1:8420{CALLBACK}"]
    assert all(first[field] != second[field] for field in ("state", "nonce", "code_challenge"))
    attempt = attempt_of(client.cookies["phospho-oidc"].strip('"'))
    assert attempt is not None
    digest = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
    assert [digest] == second["code_challenge"]
    cookie = client.get(START).headers["set-cookie"]
    assert re.search(r"HttpOnly; Max-Age=600; Path=/; SameSite=lax$", cookie)


def test_callback_of_another_browser_or_state_is_refused(world: Any, oidc: OidcSettings, name: str) -> None:
    path = at_provider(
        client_of(
            world,
            oidc,
        ),
        name,
    )
    other = client_of(world, oidc)

    assert problem(other, path)[0] == 400
    other.get(START)
    assert problem(other, path)[0] == 400
    assert "phospho" not in other.cookies


def test_unlisted_person_needs_a_default_role(world: Any, oidc: OidcSettings, name: str) -> None:
    closed, open_to_all = client_of(world, oidc), client_of(world, replace(oidc, role="viewer"))

    status, text = problem(closed, at_provider(closed, name))
    assert (status, "may not see these pages" in text, "Ask an admin" in text) == (403, True, True)
    assert open_to_all.get(at_provider(open_to_all, name)).status_code == 303
    assert open_to_all.get("/settings/account.json").json()["role"] == "viewer"


def test_groups_decide_the_role_at_every_sign_in(world: Any, oidc: OidcSettings, name: str) -> None:
    client = client_of(world, replace(oidc, viewer_groups=("staff",), editor_groups=("llm-team", "qa")))

    roles = []
    for groups in (["staff", "qa"], ["staff"], "llm-team"):
        client.get(at_provider(client, name, groups=groups))
        roles.append(client.get("/settings/account.json").json()["role"])
    assert roles == ["editor", "viewer", "editor"]
    status, text = problem(client, at_provider(client, name, groups=["sales"]))
    assert (status, "may not see these pages" in text) == (403, True)
    assert world.services(DashboardSettings()).sign_ins.directory.person(name).roles.highest == "none"


def test_groups_decide_roles_of_projects(world: Any, oidc: OidcSettings, name: str) -> None:
    mapping = ("mine:editor:qa", "mine:viewer:staff", "theirs:viewer:qa")
    client = client_of(world, replace(oidc, project_groups=mapping))

    roles = []
    for groups in (["staff", "qa"], ["staff"]):
        assert client.get(at_provider(client, name, groups=groups)).status_code == 303
        roles.append(client.get("/settings/account.json?project=mine").json()["project_roles"])
    assert roles == [{"mine": "editor", "theirs": "viewer"}, {"mine": "viewer"}]
    assert client.get("/tasks?project=theirs").status_code == 404
    status, text = problem(client, at_provider(client, name, groups=["sales"]))
    assert (status, "may not see these pages" in text) == (403, True)
    assert world.services(DashboardSettings()).sign_ins.directory.person(name).roles.highest == "none"
    actions = [entry["action"] for entry in world.client("admin-secret").get("/api/v1/audit").json()["audit"]]
    assert f"GET {CALLBACK}: {name} is none, viewer in mine" in actions


def test_group_of_a_project_takes_no_right_away(oidc: OidcSettings) -> None:
    groups = {"email": "ada@shop.example", "groups": ["qa", "ops"]}
    settings = replace(oidc, project_groups=("mine:viewer:qa", "theirs:admin:qa"))

    by_list = identity_of(groups, settings)
    assert by_list.roles_after(Roles("editor")) == Roles("editor", {"mine": "editor", "theirs": "admin"})
    assert by_list.roles_after(Roles("admin")) == Roles("admin")
    by_groups = identity_of(groups, replace(settings, admin_groups=("ops",)))
    assert by_groups.roles_after(Roles("none", {"mine": "viewer"})) == Roles("admin")


def test_domain_and_verification_of_an_address_are_checked(world: Any, oidc: OidcSettings, name: str) -> None:
    client = client_of(world, replace(oidc, role="viewer", domains=("Shop.example",)))

    assert "is of no allowed domain" in problem(client, at_provider(client, "eve@shop.example.evil.example"))[1]
    assert "is not verified" in problem(client, at_provider(client, name, email_verified=False))[1]
    assert client.get(at_provider(client, name, email_verified=True)).status_code == 303


def test_denial_and_missing_provider_are_explained(world: Any, oidc: OidcSettings) -> None:
    client = client_of(world, oidc)
    target = client.get(START).headers["location"]
    state = parse_qs(urlsplit(target).query)["state"][0]

    assert "did not sign you in: access_denied" in problem(client, f"{CALLBACK}?error=access_denied&state={state}")[1]
    status, text = problem(client_of(world, replace(oidc, issuer="http://localhost:9")), START)
    assert (status, "does not answer" in text, "PHOSPHO_OIDC_ISSUER" in text) == (503, True, True)
    wrong = replace(oidc, issuer=oidc.issuer + "/")
    assert "its issuer is" in problem(client_of(world, wrong), START)[1]
    assert problem(browser(world.services(DashboardSettings())), START)[0] == 404


def test_passwords_can_be_switched_off(world: Any, oidc: OidcSettings, name: str) -> None:
    world.services(DashboardSettings()).sign_ins.directory.add(name, "editor", "correct horse battery")
    client = client_of(world, oidc, has_passwords=False)

    page = client.get("/sign-in").text
    assert 'type="password"' not in page
    assert "Sign in with your company account" in page
    assert sign_in(client, name).status_code == 403
    assert client.post("/setup", data={"code": "x", "name": "x", "password": "correct horse"}).status_code == 403
    with pytest.raises(BadSetting, match="nobody could sign in"):
        load(SignInSettings, {"PHOSPHO_PASSWORD_SIGN_IN": "false"})


def test_callbacks_from_one_address_are_limited(world: Any, oidc: OidcSettings, name: str) -> None:
    client = client_of(world, replace(oidc, role="viewer"), tries_per_address=2)

    for _ in range(3):
        assert client.get(at_provider(client, name)).status_code == 303
    statuses = []
    for _ in range(3):
        state = parse_qs(urlsplit(client.get(START).headers["location"]).query)["state"][0]
        statuses.append(client.get(f"{CALLBACK}?code=made-up&state={state}").status_code)
    assert statuses == [502, 502, 429]


def test_settings_are_read_from_variables_and_files(tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    variables = {
        "PHOSPHO_OIDC_ISSUER": "https://login.example.com",
        "PHOSPHO_OIDC_CLIENT_ID": "phospho",
        "PHOSPHO_OIDC_CLIENT_SECRET_FILE": str(secret),
        "PHOSPHO_OIDC_ADMIN_GROUPS": "ops, sre",
        "PHOSPHO_OIDC_PROJECT_GROUPS": "shop:editor:cn=qa:1, lab:viewer:staff",
    }

    settings = load(DashboardSettings, variables).sign_in.oidc
    assert settings is not None
    assert (settings.client_secret, settings.admin_groups) == ("hush", ("ops", "sre"))
    assert settings.project_roles == [("shop", "editor", "cn=qa:1"), ("lab", "viewer", "staff")]
    assert "hush" not in repr(settings)
    assert load(DashboardSettings, {}).sign_in.oidc is None
    with pytest.raises(BadSetting, match="PROJECT:ROLE:GROUP"):
        load(DashboardSettings, variables | {"PHOSPHO_OIDC_PROJECT_GROUPS": "shop:owner:qa"})
    with pytest.raises(BadSetting, match="https://"):
        load(DashboardSettings, variables | {"PHOSPHO_OIDC_ISSUER": "http://login.example.com"})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "the provider's"),
        ({"iss": "http://localhost:1"}, "the provider's"),
        ({"aud": "another-client"}, "the provider's"),
        ({"azp": "another-client"}, "the provider's"),
        ({"nonce": "of another attempt"}, "the provider's"),
        ({"exp": 1_000_000_000}, "the provider's"),
        ({}, "another"),
        ({}, "the client secret"),
    ],
)
async def test_id_token_that_is_not_ours_is_refused(
    oidc: OidcSettings, changes: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, attempt = OidcProvider(oidc), new_attempt("/")
    rsa = RSAKey.generate_key(2048, parameters={"kid": "k"})
    signer = {
        "the provider's": rsa,
        "another": RSAKey.generate_key(2048, parameters={"kid": "k"}),
        "the client secret": OctKey.import_key("s&cret" * 10),
    }[key]
    claims = {"iss": oidc.issuer, "aud": oidc.client_id, "sub": "1", "exp": 9_999_999_999, "iat": 1_000_000_000}
    claims |= {"nonce": attempt.nonce, "email": "ada@shop.example"} | changes
    algorithm = "HS256" if key == "the client secret" else "RS256"
    token = jwt.encode({"alg": algorithm, "kid": "k"}, claims, signer)
    keys = KeySet([rsa]).as_dict()

    async def fetch(method: str, url: str, **request: Any) -> Any:
        if url.endswith("openid-configuration"):
            endpoints = {"authorization_endpoint": oidc.issuer, "token_endpoint": oidc.issuer, "jwks_uri": oidc.issuer}
            return {"issuer": oidc.issuer, **endpoints}
        return {"id_token": token} if method == "POST" else keys

    monkeypatch.setattr(provider, "_fetch", fetch)
    if not changes and key == "the provider's":
        assert (await provider.identity("code", attempt, "/")).name == "ada@shop.example"
        return
    with pytest.raises(Problem) as refusal:
        await provider.identity("code", attempt, "/")
    assert refusal.value.code == "provider_fault"


def test_person_without_the_name_claim_is_a_fault_of_the_settings(oidc: OidcSettings) -> None:
    with pytest.raises(Problem) as refusal:
        identity_of({"sub": "1"}, oidc)
    assert "PHOSPHO_OIDC_NAME_CLAIM" in refusal.value.hint
