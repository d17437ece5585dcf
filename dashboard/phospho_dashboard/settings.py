"""Settings of the dashboard and the API. Fields without a variable are set by the process or by tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BeforeValidator

from phospho_schemas.ids import PROJECT_ID_PATTERN
from phospho_schemas.rows.people import ROLES, Role
from phospho_schemas.settings import setting

TOKENS_OF_A_PRICE = 1_000_000


@dataclass(frozen=True)
class Price:
    """The price of one model, for a million tokens in and a million out, in the currency of the table."""

    tokens_in: float
    tokens_out: float


@dataclass(frozen=True)
class Prices:
    """The prices of models by their exact name."""

    currency: str = "USD"
    models: Mapping[str, Price] | None = None

    def of(self, model: str) -> Price | None:
        """Return the price of a model, None where the table has none."""
        return (self.models or {}).get(model)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the SQL of a cost takes."""
        models = self.models or {}
        sides = {
            "prices_in": [p.tokens_in for p in models.values()],
            "prices_out": [p.tokens_out for p in models.values()],
        }
        return {"models": list(models), **sides}

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost of these tokens; None where the table does not have the model."""
        price = self.of(model)
        if price is None:
            return None
        return (tokens_in * price.tokens_in + tokens_out * price.tokens_out) / TOKENS_OF_A_PRICE


def read_prices(path: Path) -> Prices:
    """
    Return the prices in a YAML file. Raises ValueError for a file that is no table of prices.

    `currency: USD`, and `models:` with, for each, `{input: 0.15, output: 0.60}`: for a million tokens.
    """
    content = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
        raise ValueError(f"{path}: a table of prices has 'models'")
    models = {str(name): _price(str(name), price) for name, price in content["models"].items()}
    return Prices(str(content.get("currency", "USD")), models)


def _price(model: str, price: Any) -> Price:
    try:
        sides = float(price["input"]), float(price["output"])
    except (TypeError, KeyError, ValueError):
        sides = (-1.0, -1.0)
    if not all(0 <= side < 1e9 for side in sides):
        raise ValueError(f"the price of {model!r} needs 'input' and 'output': numbers, for a million tokens")
    return Price(*sides)


def _checked_network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"it must be an address or a network: {error}") from None
    return text


def _prices_of_file(path: str) -> Prices:
    try:
        return read_prices(Path(path))
    except OSError as error:
        raise ValueError(f"the file can't be read: {error.strerror}") from error


def is_safe_url(url: str) -> bool:
    """Tell whether tokens may be sent to an address: by https, or to this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_local))


def _checked_issuer(url: str) -> str:
    if not is_safe_url(url):
        raise ValueError("it must start with https://, or with http:// and a name of this machine")
    return url


_PROJECT_GROUP = re.compile(f"({PROJECT_ID_PATTERN}):({'|'.join(ROLES)}):(.+)")


def _checked_project_group(text: str) -> str:
    if not _PROJECT_GROUP.fullmatch(text):
        raise ValueError(f"it must be PROJECT:ROLE:GROUP, with one of the roles {', '.join(ROLES)}")
    return text


@dataclass(frozen=True)
class OidcSettings:
    """Settings of sign-in with an OpenID Connect provider. With groups, these decide on roles at every sign-in."""

    issuer: Annotated[str, AfterValidator(_checked_issuer)] = setting(
        help="Issuer of the OpenID Connect provider that people sign in with, such as https://login.example.com/main.",
        variable="PHOSPHO_OIDC_ISSUER",
    )
    client_id: str = setting(help="Id of this client at the provider.", variable="PHOSPHO_OIDC_CLIENT_ID")
    client_secret: str = setting(
        "",
        "Secret of this client; empty for a public client, which PKCE protects.",
        variable="PHOSPHO_OIDC_CLIENT_SECRET",
        is_secret=True,
    )
    scopes: tuple[str, ...] = setting(
        ("openid", "email", "profile"), "Scopes to request, openid among them.", variable="PHOSPHO_OIDC_SCOPES"
    )
    name_claim: str = setting("email", "Claim that is the name of a person here.", variable="PHOSPHO_OIDC_NAME_CLAIM")
    domains: tuple[str, ...] = setting(
        (), "Domains of the addresses that may sign in; by default all.", variable="PHOSPHO_OIDC_DOMAINS"
    )
    groups_claim: str = setting("groups", "Claim with the groups of a person.", variable="PHOSPHO_OIDC_GROUPS_CLAIM")
    viewer_groups: tuple[str, ...] = setting(
        (), "Groups whose members are viewers.", variable="PHOSPHO_OIDC_VIEWER_GROUPS"
    )
    editor_groups: tuple[str, ...] = setting(
        (), "Groups whose members are editors.", variable="PHOSPHO_OIDC_EDITOR_GROUPS"
    )
    admin_groups: tuple[str, ...] = setting(
        (), "Groups whose members are admins.", variable="PHOSPHO_OIDC_ADMIN_GROUPS"
    )
    project_groups: tuple[Annotated[str, AfterValidator(_checked_project_group)], ...] = setting(
        (),
        "Groups whose members have a role in one project, each as PROJECT:ROLE:GROUP.",
        variable="PHOSPHO_OIDC_PROJECT_GROUPS",
    )
    role: Role | None = setting(
        None,
        "Role of people of no such group, or, without groups, of those whom `phospho people` does not list; without it"
        " they are turned away.",
        variable="PHOSPHO_OIDC_ROLE",
    )
    label: str = setting(
        "your company account", "What the sign-in page calls the provider.", variable="PHOSPHO_OIDC_LABEL"
    )

    def __post_init__(self) -> None:
        if "openid" not in self.scopes:
            raise ValueError("PHOSPHO_OIDC_SCOPES has no openid: add it.")

    @property
    def has_groups(self) -> bool:
        return bool(self.viewer_groups or self.editor_groups or self.admin_groups)

    @property
    def project_roles(self) -> list[tuple[str, Role, str]]:
        """The project, the role and the group of each entry of `project_groups`."""
        parts = (entry.split(":", 2) for entry in self.project_groups)
        return [(project_id, role, group) for project_id, name, group in parts for role in ROLES if role == name]

    def groups_of(self, role: Role) -> tuple[str, ...]:
        """Return the groups whose members have a role."""
        return {"viewer": self.viewer_groups, "editor": self.editor_groups, "admin": self.admin_groups}[role]


@dataclass(frozen=True)
class SignInSettings:
    """
    Settings of sign-in: with passwords, with an OpenID Connect provider, or through a proxy.

    A sign-in ends `idle_s` after its last use, and `lifetime_s` after it began in any case. Each of `setup_codes`
    makes the first administrator while there is nobody. `proxy_header` of a request from one of `trusted_proxies`
    names its person.
    """

    idle_s: int = 12 * 3600
    lifetime_s: int = 7 * 24 * 3600
    # How old the stored time of a sign-in's last use may become, and what a process caches of a sign-in.
    seen_every_s: int = 300
    fresh_s: int = 5
    # Wrong passwords for one name from one network; for one name from networks in which it never signed in, so that a
    # stranger's guesses do not lock its owner out; and for all names from one network.
    tries_per_person: int = 10
    tries_from_strangers: int = 100
    tries_per_address: int = 50
    tries_window_s: int = 900
    setup_codes: tuple[str, ...] = field(default=(), repr=False)
    proxy_header: str = setting(
        "",
        "Header in which a proxy names who has signed in there, such as X-Forwarded-Email; needs --trusted-proxy.",
        variable="PHOSPHO_PROXY_HEADER",
        option="--proxy-header",
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_checked_network)], ...] = setting(
        (),
        "Address or network of a proxy whose word on client and person is believed; repeatable.",
        variable="PHOSPHO_TRUSTED_PROXIES",
        option="--trusted-proxy",
    )
    proxy_role: Role | None = setting(
        None,
        "Role of people whom the proxy names and `phospho people` does not list; without it they are turned away.",
        variable="PHOSPHO_PROXY_ROLE",
        option="--proxy-role",
    )
    has_passwords: bool = setting(
        True,
        "Whether people may sign in with a password; set it to false where all come from a provider or a proxy.",
        variable="PHOSPHO_PASSWORD_SIGN_IN",
    )
    oidc: OidcSettings | None = None

    def __post_init__(self) -> None:
        if not (self.has_passwords or self.oidc or self.proxy_header):
            raise ValueError(
                "PHOSPHO_PASSWORD_SIGN_IN is false and nobody could sign in: set PHOSPHO_OIDC_ISSUER or"
                " PHOSPHO_PROXY_HEADER."
            )
        if self.proxy_header and not self.trusted_proxies:
            raise ValueError(
                "PHOSPHO_PROXY_HEADER (--proxy-header) is set without PHOSPHO_TRUSTED_PROXIES (--trusted-proxy): name"
                " the proxy's address, since anybody can send a header."
            )


@dataclass(frozen=True)
class DashboardSettings:
    """
    Settings of the pages and their API.

    `base_url` is the address of this server for clients; the pages print it in their examples.
    `pages_open` makes every visitor the local administrator: for a server that listens on loopback only. With a
    `local_secret`, only the browser that has opened `/open?secret=…` is the administrator's.
    `allowed_hosts` are host names of open pages beside those of loopback.
    `prices` of models turn tokens into money.
    `form_key` signs the forms of people who have not signed in here; by default it is random. Replicas behind a proxy
    share it.
    `metrics_urls` are the addresses of the other processes' metrics, for the health page.
    `slow_calls`, `exports` and `sql_queries` are the numbers of such calls at a time. The other `sql_*` limit one query
    of a user, and ClickHouse enforces them.
    """

    base_url: str = "http://127.0.0.1:8420"
    pages_open: bool = False
    local_secret: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    prices: Annotated[Prices, BeforeValidator(_prices_of_file)] = setting(
        Prices(),
        "YAML file with the prices of models; without it the pages show tokens only.",
        variable="PHOSPHO_PRICES",
        option="--prices",
    )
    import_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        (),
        "Private networks from which editors may pull imports, such as that of your own Langfuse: 10.0.0.0/8.",
        variable="PHOSPHO_IMPORT_ALLOWED_NETWORKS",
    )
    sign_in: SignInSettings = SignInSettings()
    form_key: str = field(default="", repr=False)
    metrics_urls: tuple[str, ...] = ()
    store_threads: int = 4
    password_threads: int = 1
    slow_calls: int = 2
    exports: int = 2
    export_stall_s: float = 30.0
    export_timeout_s: float = 600.0
    max_waiting_requests: int = 64
    max_body_bytes: int = 1_000_000
    max_payload_bytes: int = 10_000_000
    sql_queries: int = 2
    sql_max_query_bytes: int = 100_000
    sql_timeout_s: int = 10
    sql_max_memory_bytes: int = 1_000_000_000
    sql_max_result_rows: int = 100_000
    sql_max_result_bytes: int = 100_000_000
