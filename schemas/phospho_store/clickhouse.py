"""Settings of a ClickHouse server, and the store that reads and writes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from pydantic import Field, FilePath

from phospho_schemas.settings import HttpUrl, setting
from phospho_store.cluster import CLUSTER_SETTINGS, Cluster
from phospho_store.store import DATABASE, DEFAULT_POOL_SIZE, Store

_CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True)
class ClickHouseSettings:
    """ClickHouse."""

    url: HttpUrl = setting(
        "http://127.0.0.1:8123",
        f"URL of ClickHouse, as http[s]://user:password@host:port/database; without a database, `{DATABASE}`.",
        variable="PHOSPHO_CLICKHOUSE",
        option="--clickhouse",
        is_secret=True,
    )
    ca_cert: FilePath | None = setting(
        None, "PEM file of the authority that signed the server's certificate.", variable="PHOSPHO_CLICKHOUSE_CA_CERT"
    )
    client_cert: FilePath | None = setting(
        None,
        "PEM file of a client certificate. Without a password in the URL, ClickHouse takes it in place of one.",
        variable="PHOSPHO_CLICKHOUSE_CLIENT_CERT",
    )
    client_cert_key: FilePath | None = setting(
        None,
        "PEM file of the client certificate's key, where it is another file.",
        variable="PHOSPHO_CLICKHOUSE_CLIENT_CERT_KEY",
    )
    proxy: str = setting(
        "",
        "HTTP proxy in front of ClickHouse, as http://host:port; by default that of HTTP_PROXY and HTTPS_PROXY.",
        variable="PHOSPHO_CLICKHOUSE_PROXY",
        is_secret=True,
    )

    cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = setting(
        "",
        "Name of the ClickHouse cluster (`system.clusters`) over which the tables are sharded and replicated.",
        variable="PHOSPHO_CLICKHOUSE_CLUSTER",
    )

    @property
    def database(self) -> str:
        """The database of every table and view."""
        return unquote(urlsplit(self.url).path.strip("/")) or DATABASE

    @property
    def address(self) -> str:
        """The URL without user and password, for messages."""
        url = urlsplit(self.url)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}/{self.database}"

    def options(self) -> dict[str, Any]:
        """Return the connection's options in the names of clickhouse-connect."""
        url = urlsplit(self.url)
        # clickhouse-connect takes no interface from the DSN: it would send a password for https:// in the clear.
        options: dict[str, Any] = {"interface": url.scheme, "dsn": url._replace(path="").geturl()}
        options["autogenerate_session_id"] = False
        files = {"ca_cert": self.ca_cert, "client_cert": self.client_cert, "client_cert_key": self.client_cert_key}
        options |= {name: str(path) for name, path in files.items() if path is not None}
        if self.client_cert is not None:
            options["tls_mode"] = "strict" if url.password else "mutual"
        if self.cluster:
            options["settings"] = dict(CLUSTER_SETTINGS)
        if self.proxy:
            options[f"{url.scheme}_proxy"] = self.proxy
        return options


def remote(server: ClickHouseSettings | str, size: int = DEFAULT_POOL_SIZE, answer_timeout_s: int = 60) -> Store:
    """
    Return the store of a ClickHouse server, by its settings or by its URL alone.

    A server that says nothing for `answer_timeout_s` is one that is away.
    """
    settings = ClickHouseSettings(server) if isinstance(server, str) else server
    options = settings.options() | {"connect_timeout": _CONNECT_TIMEOUT_S, "send_receive_timeout": answer_timeout_s}

    def connect(database: str | None) -> Client:
        return clickhouse_connect.get_client(**options, database=database)

    return Store(connect, size, settings.database, Cluster(settings.cluster) if settings.cluster else None)
