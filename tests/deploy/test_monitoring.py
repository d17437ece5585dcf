"""Prometheus, Grafana and ClickHouse: their files are valid and agree with the compose file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.grafana_panels import sql_queries
from phospho_store.registry.authentication import SECRET_TABLES
from phospho_store.views import views

Compose = dict[str, Any]

WORKERS = ["extraction", "detection", "sink"]
PROCESSES = ["gateway", *WORKERS, "dashboard"]


@pytest.fixture(scope="module")
def scrapes(root: Path) -> dict[str, Any]:
    """The scrape configurations of Prometheus by job name."""
    config = yaml.safe_load((root / "deploy" / "prometheus" / "prometheus.yml").read_text())
    return {scrape["job_name"]: scrape for scrape in config["scrape_configs"]}


def test_prometheus_accepts_its_configuration(root: Path, tool: Callable[..., str]) -> None:
    tool("promtool", "check", "config", str(root / "deploy/prometheus/prometheus.yml"), package="prometheus")


def test_alerts_fire_on_faults_and_keep_quiet_on_what_only_looks_like_one(root: Path, tool: Callable[..., str]) -> None:
    tool("promtool", "test", "rules", str(root / "tests/deploy/alerts_test.yml"), package="prometheus")


def test_every_alert_has_a_case_in_which_it_fires(root: Path) -> None:
    rules = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    cases = yaml.safe_load((root / "tests/deploy/alerts_test.yml").read_text())["tests"]
    fired = {check["alertname"] for case in cases for check in case["alert_rule_test"] if check["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules}


def test_every_alert_says_how_bad_it_is_and_what_to_do(root: Path) -> None:
    for rule in yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action", "runbook"}


def test_every_alert_has_its_section_in_the_runbook(root: Path) -> None:
    sections = {f"docs/runbook.md#{name.lower()}" for name in _headings(root / "docs/runbook.md")}
    rules = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    assert sections == {rule["annotations"]["runbook"] for rule in rules}


def _headings(page: Path) -> list[str]:
    return re.findall(r"^## (\w+)$", page.read_text(), re.MULTILINE)


def test_no_alert_names_a_scrape_job(root: Path) -> None:
    """The names of scrape jobs are the installation's."""
    assert not re.search(r"\bjob\s*=|by \([^)]*\bjob\b", (root / "deploy/prometheus/alerts.yml").read_text())


def test_every_job_that_runs_nowhere_is_missed(root: Path) -> None:
    """Judges run only where one is configured."""
    modules = (root / "workers/phospho_workers/jobs").rglob("*_job.py")
    names = {
        name for path in modules for name in re.findall(r'^    name = "([\w-]+)"$', path.read_text(), re.MULTILINE)
    }
    rules = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    [alert] = [rule for rule in rules if rule["alert"] == "PhosphoJobsMissing"]
    assert len(names) > 10
    assert set(re.findall(r'name="([\w-]+)"', alert["expr"])) == names - {"llm-judge", "encoder-judge"}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_replica_of_a_process_is_scraped_at_its_port(
    compose: Compose, scrapes: dict[str, Any], process: str
) -> None:
    """By name resolution, which lists what `--scale` adds."""
    [discovery] = scrapes[process]["dns_sd_configs"]
    assert discovery["names"] == [process]
    assert discovery["type"] == "A"
    assert str(discovery["port"]) == compose["services"][process]["command"][-1]


def test_clickhouse_is_scraped_where_it_serves_its_metrics(root: Path, scrapes: dict[str, Any]) -> None:
    served = ET.parse(root / "deploy/clickhouse/config.xml").findtext("prometheus/port")
    assert scrapes["clickhouse"]["static_configs"] == [{"targets": [f"clickhouse:{served}"]}]


def test_clickhouse_has_no_user_without_a_password(root: Path, compose: Compose) -> None:
    """The image's own is removed; each of ours has a variable that compose sets."""
    users = ET.parse(root / "deploy/clickhouse/users.xml").find("users")
    assert users is not None
    removed = [user.tag for user in users if user.get("remove")]
    sources = {user.tag: user.find("password") for user in users if not user.get("remove")}
    assert removed == ["default"]
    assert set(sources) == {"phospho", "grafana"}
    environment = compose["services"]["clickhouse"]["environment"]
    for password in sources.values():
        assert password is not None
        assert environment[password.attrib["from_env"]]


def test_grafana_reads_views_and_no_secrets(root: Path, compose: Compose) -> None:
    file = root / "deploy/grafana/provisioning/datasources/phospho.yml"
    sources = {source["name"]: source for source in yaml.safe_load(file.read_text())["datasources"]}
    assert sources["ClickHouse"]["jsonData"]["username"] == "grafana"
    variable = sources["ClickHouse"]["secureJsonData"]["password"].removeprefix("$")
    assert variable in compose["services"]["grafana"]["environment"]
    grants = ET.parse(root / "deploy/clickhouse/users.xml").findall("users/grafana/grants/query")
    granted = [re.fullmatch(r"GRANT SELECT(\(.+\))? ON phospho\.(\w+)", grant.text or "") for grant in grants]
    whole = {grant[2] for grant in granted if grant is not None and not grant[1]}
    in_part = {grant[2] for grant in granted if grant is not None and grant[1]}
    assert len(whole) + len(in_part) == len(granted)

    read_by_views = set(re.findall(r"\b\w+_rows\b", " ".join(views().values())))
    assert whole == set(views()) | read_by_views
    panels = sql_queries(root / "deploy/grafana/dashboards")
    read_by_panels = set(re.findall(r"\b\w+_rows\b", " ".join(query.text for query in panels)))
    assert in_part == read_by_panels - whole
    assert not (whole | in_part) & {*SECRET_TABLES, "webhook_rows", "webhook_delivery_rows"}
