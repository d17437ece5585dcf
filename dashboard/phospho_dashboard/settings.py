"""The settings of the dashboard and the API, all in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, field

from phospho_dashboard.analytics.prices import Prices
from phospho_schemas.people import Role


@dataclass(frozen=True)
class SignInSettings:
    """
    Who may sign in, and for how long.

    A browser is signed out when nobody used it for `idle_s`, and `lifetime_s` after it signed in whatever happened.
    Each of `setup_codes` makes the first administrator while there is nobody.
    Where `proxy_header` is set, a request that comes from one of `trusted_proxies` (addresses or networks) is that of
    the person whom it names; a person who is not listed has `proxy_role`, and none where that is None.
    """

    idle_s: int = 12 * 3600
    lifetime_s: int = 7 * 24 * 3600
    # How old what is stored of a browser's last sight may be, and what is remembered of a sign-in here.
    seen_every_s: int = 300
    fresh_s: int = 5
    # Of one name from one network; of one name from networks in which it never signed in, so that a stranger's guesses
    # do not lock its owner out; and of all names from one network.
    tries_per_person: int = 10
    tries_from_strangers: int = 100
    tries_per_address: int = 50
    tries_window_s: int = 900
    setup_codes: tuple[str, ...] = field(default=(), repr=False)
    proxy_header: str = ""
    trusted_proxies: tuple[str, ...] = ()
    proxy_role: Role | None = None


@dataclass(frozen=True)
class DashboardSettings:
    """
    What a deployment may set.

    `base_url` is where clients reach this server; the pages print it in what they offer to paste.
    `pages_open` makes whoever reaches the pages the local administrator: for a server that listens on loopback only.
    Where `local_secret` is set, that is only who has opened `/open?secret=…` with it in the same browser.
    `allowed_hosts` are names, beside those of loopback, that an open page may be asked for.
    `prices` of models turn tokens into money.
    `form_key` signs the forms of people who have not signed in here, a made-up one where it is empty; replicas behind
    a proxy share it.
    `metrics_urls` are where the other processes of the deployment show their metrics, for the page of its health.
    `slow_calls` of ours that take seconds run at a time, and `exports` are read at a time.
    `sql_queries` run at a time; the others of `sql_*` bound one user's query, and ClickHouse enforces them.
    """

    base_url: str = "http://127.0.0.1:8420"
    pages_open: bool = False
    local_secret: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    prices: Prices = field(default_factory=Prices)
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
