"""The settings of the dashboard and the API, all in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, field

from phospho_dashboard.prices import Prices


@dataclass(frozen=True)
class DashboardSettings:
    """
    What a deployment may set.

    `base_url` is where clients reach this server; the pages print it in what they offer to paste.
    `pages_open` shows every project to whoever reaches the pages: for a server that listens on loopback only. Where
    it is off, a browser asks for a user name (any) and a password: an API key, or the administrator's token.
    `allowed_hosts` are names, beside those of loopback, that an open page may be asked for.
    `prices` of models turn tokens into money.
    `sql_queries` run at a time; the others of `sql_*` bound one user's query, and ClickHouse enforces them.
    """

    base_url: str = "http://127.0.0.1:8420"
    pages_open: bool = False
    allowed_hosts: tuple[str, ...] = ()
    prices: Prices = field(default_factory=Prices)
    store_threads: int = 4
    max_waiting_requests: int = 64
    max_body_bytes: int = 1_000_000
    max_payload_bytes: int = 10_000_000
    sql_queries: int = 2
    sql_max_query_bytes: int = 100_000
    sql_timeout_s: int = 10
    sql_max_memory_bytes: int = 1_000_000_000
    sql_max_result_rows: int = 100_000
    sql_max_result_bytes: int = 100_000_000
