"""docker-compose.yml: what is started, in which order, within which bounds, and what can be reached."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Compose = dict[str, Any]
Service = dict[str, Any]

WORKERS = ["extraction", "detection", "sink"]
PROCESSES = ["gateway", *WORKERS, "jobs", "dashboard"]
SERVERS = ["kafka", "clickhouse", "prometheus", "grafana"]
PUBLISHED_PORTS = {
    "kafka": 9094,
    "clickhouse": 8123,
    "gateway": 8420,
    "dashboard": 8421,
    "prometheus": 9090,
    "grafana": 3000,
}
DATA_FOLDERS = {
    "kafka": "/var/lib/kafka/data",
    "clickhouse": "/var/lib/clickhouse",
    "prometheus": "/prometheus",
    "grafana": "/var/lib/grafana",
}


def test_it_starts_the_servers_the_processes_and_one_setup(compose: Compose) -> None:
    assert sorted(compose["services"]) == sorted([*SERVERS, "setup", *PROCESSES])


@pytest.mark.parametrize("name", [*SERVERS, "setup", *PROCESSES])
def test_every_container_is_bounded_in_cpu_memory_and_log(compose: Compose, name: str) -> None:
    service: Service = compose["services"][name]
    limits = service["deploy"]["resources"]["limits"]
    # Docker refuses to start a container that may use more cores than the machine has.
    assert 0 < float(limits["cpus"]) <= 2
    assert re.fullmatch(r"\d+[MG]", limits["memory"])
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", [*SERVERS, *PROCESSES])
def test_everything_that_stays_up_is_checked_and_restarted(compose: Compose, name: str) -> None:
    service: Service = compose["services"][name]
    assert service["restart"] == "unless-stopped"
    assert set(service["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}


def test_setup_runs_once_after_both_servers_answer(compose: Compose) -> None:
    """Tried again when it fails, and not started again when it has done its work."""
    setup: Service = compose["services"]["setup"]
    assert setup["restart"] == "on-failure"
    assert setup["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "clickhouse": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_starts_when_tables_and_topics_are_made(compose: Compose, name: str) -> None:
    assert compose["services"][name]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "clickhouse": {"condition": "service_healthy"},
        "setup": {"condition": "service_completed_successfully"},
    }


@pytest.mark.parametrize("name", ["setup", *PROCESSES])
def test_a_process_can_change_nothing_of_its_container(compose: Compose, name: str) -> None:
    service: Service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]


@pytest.mark.parametrize("name", ["setup", *PROCESSES])
def test_a_process_is_told_where_kafka_and_clickhouse_are(compose: Compose, name: str) -> None:
    environment = compose["services"][name]["environment"]
    assert environment["PHOSPHO_KAFKA"] == "kafka:9092"
    assert environment["PHOSPHO_CLICKHOUSE"] == "http://phospho:phospho@clickhouse:8123/phospho"


def test_only_setup_knows_the_first_key(compose: Compose) -> None:
    environments = {name: service.get("environment", {}) for name, service in compose["services"].items()}
    assert [name for name, given in environments.items() if "PHOSPHO_API_KEY" in given] == ["setup"]


def test_ports_are_published_on_loopback_only(compose: Compose) -> None:
    published = {n: service["ports"] for n, service in compose["services"].items() if "ports" in service}
    expected = {name: [f"127.0.0.1:{port}:{port}/tcp"] for name, port in PUBLISHED_PORTS.items()}
    expected["gateway"].append("127.0.0.1:4317:4317/tcp")
    assert published == expected


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_can_be_scaled(compose: Compose, name: str) -> None:
    """Two containers of one service may share neither a name nor a port of the machine."""
    assert not {"container_name", "hostname", "ports"} & set(compose["services"][name])


@pytest.mark.parametrize(("name", "folder"), DATA_FOLDERS.items())
def test_data_outlives_its_container(compose: Compose, name: str, folder: str) -> None:
    volume = f"{name}-data"
    assert f"{volume}:{folder}:rw" in compose["services"][name]["volumes"]
    assert volume in compose["volumes"]


def test_kafka_writes_its_log_to_its_volume(compose: Compose) -> None:
    assert compose["services"]["kafka"]["environment"]["KAFKA_LOG_DIRS"] == DATA_FOLDERS["kafka"]


def test_every_mounted_file_exists_and_is_read_only(compose: Compose, root: Path) -> None:
    mounts = [volume for service in compose["services"].values() for volume in service.get("volumes", [])]
    from_here = [mount.split(":") for mount in mounts if mount.startswith("/")]
    assert len(from_here) == 5
    for source, _, mode in from_here:
        assert Path(source).exists()
        assert Path(source).is_relative_to(root / "deploy")
        assert mode == "ro"


def test_a_password_of_the_environment_replaces_the_default_everywhere(
    read_compose: Callable[..., Compose],
) -> None:
    services = read_compose(PHOSPHO_CLICKHOUSE_PASSWORD="s3cret")["services"]
    assert services["clickhouse"]["environment"]["CLICKHOUSE_PASSWORD"] == "s3cret"
    urls = {services[name]["environment"]["PHOSPHO_CLICKHOUSE"] for name in ["setup", *PROCESSES]}
    assert urls == {"http://phospho:s3cret@clickhouse:8123/phospho"}


def test_the_first_project_and_key_come_from_the_environment(read_compose: Callable[..., Compose]) -> None:
    setup = read_compose(PHOSPHO_PROJECT_ID="demo", PHOSPHO_API_KEY="k3y")["services"]["setup"]
    assert setup["environment"]["PHOSPHO_PROJECT_ID"] == "demo"
    assert setup["environment"]["PHOSPHO_API_KEY"] == "k3y"


def test_setup_makes_the_first_project_also_where_none_is_named(compose: Compose) -> None:
    """Its command is `phospho migrate` as it is: with no project there would be no way in."""
    setup = compose["services"]["setup"]
    assert setup["command"] == ["sh", "-c", "phospho migrate && phospho topics create"]
    assert (setup["environment"]["PHOSPHO_PROJECT_ID"], setup["environment"]["PHOSPHO_API_KEY"]) == ("", "")


def test_admin_key_reaches_only_the_services_that_read_it(
    read_compose: Callable[..., Compose],
) -> None:
    services = read_compose(PHOSPHO_ADMIN_KEY="adm1n")["services"]
    known = {name for name, service in services.items() if "adm1n" in service.get("environment", {}).values()}
    assert known == {"gateway", "dashboard"}


def test_secret_key_reaches_the_services_that_sign_or_show_webhooks(
    read_compose: Callable[..., Compose],
) -> None:
    services = read_compose(PHOSPHO_SECRET_KEY="s1gn")["services"]
    known = {name for name, service in services.items() if "s1gn" in service.get("environment", {}).values()}
    assert known == {"gateway", "dashboard", "jobs"}


def test_another_kafka_port_is_published_and_advertised(read_compose: Callable[..., Compose]) -> None:
    """A client connects to the address that the broker advertises, not to the one it was given."""
    kafka = read_compose(PHOSPHO_BROKER_PORT="19094")["services"]["kafka"]
    assert kafka["ports"] == ["127.0.0.1:19094:9094/tcp"]
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].endswith("HOST://localhost:19094")


@pytest.mark.parametrize("name", SERVERS)
def test_an_image_of_others_is_pinned(compose: Compose, name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.[\d.]+", compose["services"][name]["image"])


def test_the_image_is_the_kafka_of_the_tests(compose: Compose, root: Path) -> None:
    pom = (root / "deploy" / "kafka" / "pom.xml").read_text()
    version = re.search(r"<kafka\.version>(.+)</kafka\.version>", pom)
    assert version is not None
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version[1]}"
