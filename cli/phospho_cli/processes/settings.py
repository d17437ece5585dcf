"""Settings of each process, put together from those of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from phospho_cli.client.address import ClientSettings
from phospho_cli.processes.logs import LogSettings
from phospho_cli.processes.traces import TraceSettings
from phospho_dashboard.settings import DashboardSettings
from phospho_gateway.settings import GatewaySettings, KafkaPublisherSettings
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.settings import setting
from phospho_store.clickhouse import ClickHouseSettings
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime.settings import WorkerSettings

LOOPBACK = "127.0.0.1"
_DEFAULT_PORT = 8420

_Port = Annotated[int, Field(ge=0, le=65535)]


def _host(help_text: str = "Address to listen on.") -> str:
    host: str = setting(LOOPBACK, help_text, option="--host")
    return host


def _port(default: int, help_text: str = "Port to listen on; 0 takes a free one.") -> int:
    port: int = setting(default, help_text, option="--port")
    return port


def _grpc_port() -> int:
    port: int = setting(
        4317,
        "Port of OTLP/gRPC; 0 turns it off. If another process has it, a free one is taken and logged.",
        variable="PHOSPHO_GRPC_PORT",
        option="--grpc-port",
    )
    return port


def _admin_key(help_text: str) -> str:
    key: str = setting("", help_text, variable="PHOSPHO_ADMIN_KEY", is_secret=True)
    return key


@dataclass(frozen=True)
class FirstProjectSettings:
    """The first project and its key."""

    project_id: str = setting("", "Id of the first project, made at the first start.", variable="PHOSPHO_PROJECT_ID")
    api_key: str = setting(
        "", "Key of the first project; by default a random one.", variable="PHOSPHO_API_KEY", is_secret=True
    )


@dataclass(frozen=True)
class BackupSettings:
    """Settings of `phospho backup` and `phospho restore`."""

    data_dir: Path = setting(Path("phospho-data"), "Folder of all data.", variable="PHOSPHO_DATA", option="--data")


@dataclass(frozen=True)
class UpSettings:
    """Settings of `phospho up`. With `kafka` and `clickhouse` the workers run elsewhere, without both it has them."""

    data_dir: Path = setting(Path("phospho-data"), "Folder of all data.", variable="PHOSPHO_DATA", option="--data")
    host: str = _host("Address to listen on; on any other than loopback, people sign in to the pages.")
    port: _Port = _port(_DEFAULT_PORT, "Port of pages, API and ingest; 0 takes a free one.")
    clickhouse_port: _Port = setting(
        8123, "Port of ClickHouse's HTTP interface, read-only, on loopback.", option="--clickhouse-port"
    )
    grpc_port: _Port = _grpc_port()
    kafka: KafkaSettings | None = None
    clickhouse: ClickHouseSettings | None = None
    must_sign_in: bool = setting(
        False,
        "Let people sign in on loopback too, as behind a reverse proxy.",
        variable="PHOSPHO_SIGN_IN",
        option="--sign-in",
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = setting(
        500_000_000,
        "Free bytes that stay on the disk of the data folder, at most a tenth of it; below them: 503.",
        variable="PHOSPHO_MIN_FREE_BYTES",
    )
    first_project: FirstProjectSettings = FirstProjectSettings()
    admin_key: str = _admin_key("The administrator's key; by default a new token in the data folder for each run.")
    dashboard: DashboardSettings = DashboardSettings()
    gateway: GatewaySettings = GatewaySettings()
    jobs: JobSettings = JobSettings()

    def __post_init__(self) -> None:
        if bool(self.kafka) != bool(self.clickhouse):
            raise ValueError(
                "PHOSPHO_KAFKA (--kafka) and PHOSPHO_CLICKHOUSE (--clickhouse) go together: give both, or neither."
            )

    @property
    def has_open_pages(self) -> bool:
        """True if the local user reaches the pages without signing in."""
        return self.host == LOOPBACK and not self.must_sign_in and not self.dashboard.sign_in.trusted_proxies


@dataclass(frozen=True)
class GatewayProcessSettings:
    """Settings of `phospho gateway`."""

    host: str = _host()
    port: _Port = _port(_DEFAULT_PORT)
    grpc_port: _Port = _grpc_port()
    base_url: str = setting(
        "",
        "URL at which clients reach the gateway; by default its host and port.",
        variable="PHOSPHO_BASE_URL",
        option="--base-url",
    )
    publisher: KafkaPublisherSettings = KafkaPublisherSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    admin_key: str = _admin_key("The administrator's key; without it nobody can create projects here.")
    gateway: GatewaySettings = GatewaySettings()
    jobs: JobSettings = JobSettings()


@dataclass(frozen=True)
class DashboardProcessSettings:
    """Settings of `phospho dashboard`."""

    host: str = _host()
    port: _Port = _port(8421)
    base_url: str = setting(
        f"http://{LOOPBACK}:{_DEFAULT_PORT}",
        "URL at which clients reach the gateway, for the examples on the pages.",
        variable="PHOSPHO_BASE_URL",
        option="--base-url",
    )
    publisher: KafkaPublisherSettings = KafkaPublisherSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    admin_key: str = _admin_key("The administrator's key, which adds people and may make the first administrator.")
    metrics_urls: tuple[str, ...] = setting(
        (),
        "URL of another process' metrics, for the page of the system's health; repeatable.",
        variable="PHOSPHO_METRICS_URLS",
        option="--metrics-url",
    )
    dashboard: DashboardSettings = DashboardSettings()
    gateway: GatewaySettings = GatewaySettings()
    jobs: JobSettings = JobSettings()


@dataclass(frozen=True)
class ClickHouseProcessSettings:
    """Settings of `phospho clickhouse`."""

    data_dir: Path = setting(Path("phospho-clickhouse"), "Folder of the engine.", option="--data")
    host: str = _host()
    port: _Port = _port(8123, "Port to listen on.")
    password: str = setting(
        "",
        "Password of the user `phospho`, who writes; by default a random one, kept in the folder.",
        variable="PHOSPHO_CLICKHOUSE_PASSWORD",
        is_secret=True,
    )


@dataclass(frozen=True)
class RetentionSettings:
    """Settings of `phospho retention`."""

    clickhouse: ClickHouseSettings = ClickHouseSettings()


@dataclass(frozen=True)
class MigrateSettings:
    """Settings of `phospho migrate`."""

    clickhouse: ClickHouseSettings = ClickHouseSettings()
    first_project: FirstProjectSettings = FirstProjectSettings()


@dataclass(frozen=True)
class TopicsSettings:
    """Settings of `phospho topics`."""

    kafka: KafkaSettings = KafkaSettings()


@dataclass(frozen=True)
class DoctorSettings:
    """Settings of `phospho doctor`."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()


# By the command that reads them.
SETTINGS_OF_COMMANDS: Mapping[str, tuple[type, ...]] = {
    "up": (UpSettings, LogSettings),
    "gateway": (GatewayProcessSettings, LogSettings, TraceSettings),
    "dashboard": (DashboardProcessSettings, LogSettings),
    "worker": (WorkerSettings, JobSettings, LogSettings, TraceSettings),
    "clickhouse": (ClickHouseProcessSettings,),
    "migrate": (MigrateSettings,),
    "retention": (RetentionSettings,),
    "topics": (TopicsSettings,),
    "doctor": (DoctorSettings,),
    "client commands": (ClientSettings,),
}
