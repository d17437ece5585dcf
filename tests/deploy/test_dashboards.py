"""Grafana's dashboards and Prometheus's rules ask for what is there: each SQL is run, each metric is exposed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.query import QueryResult
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.dashboard.filled_store import Filling, fill
from fixtures.clickhouse_server import ClickHouseServer
from fixtures.grafana_panels import ALL, Query, View, dashboards, metric_names, promql_queries, sql_queries
from phospho_dashboard.health.project_gauges import ProjectGauges
from phospho_gateway import metrics as gateway_metrics
from phospho_store.clickhouse import remote
from phospho_store.migrations import migrate
from phospho_store.store import DATABASE, Store
from phospho_workers.runtime.metrics import REGISTRY

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
PROJECT = "shop"
# An hour ahead: the store is filled after this line is read, in a long run some minutes after.
END_MS = time.time_ns() // 1_000_000 + 3_600_000
THIRTY_DAYS_MS = 30 * 86_400_000

EVERYTHING = View(END_MS - THIRTY_DAYS_MS, END_MS, 86_400, {"project": PROJECT, "version": ALL, "model": ALL})
# Such as no task has.
NARROWED = View(
    END_MS - THIRTY_DAYS_MS, END_MS, 3600, {"project": PROJECT, "version": ["v0", "it's v0"], "model": ["none"]}
)
NO_PROJECT = View(END_MS - THIRTY_DAYS_MS, END_MS, 3600, {"project": "nobody's", "version": ALL, "model": ALL})

VARIABLES = {"version", "model"}


def _has_variables(dashboard: dict[str, Any]) -> bool:
    return {variable["name"] for variable in dashboard["templating"]["list"]} >= VARIABLES


# Prometheus's own.
SCRAPED = frozenset({"up"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """ClickHouse with a year of one project, a dead letter, and a label of today."""
    with ClickHouseServer(tmp_path_factory.mktemp("grafana") / "clickhouse") as server:
        store = remote(server.url)
        list(migrate(store))
        list(fill(store, Filling(PROJECT, 20_000, END_MS)))
        _add_rare_rows(store)
        yield server
        store.close()


@pytest.fixture(scope="module")
def reader(server: ClickHouseServer) -> Iterator[Client]:
    """A client that can only read, as Grafana's user."""
    client = server.reader(DATABASE)
    yield client
    client.close()


@pytest.mark.parametrize("query", sql_queries(FOLDER), ids=str)
def test_every_sql_finds_something_in_a_month_of_a_project(query: Query, reader: Client) -> None:
    found = reader.query(EVERYTHING.expanded(query.text))
    assert found.row_count > 0
    assert any(value not in (None, 0) for row in found.result_rows for value in row)


@pytest.mark.parametrize(
    "query", [q for q in sql_queries(FOLDER) if "$version" in q.text or "$model" in q.text], ids=str
)
def test_panel_sql_shows_only_the_selected_versions_and_models(query: Query, reader: Client) -> None:
    assert _is_nothing(reader.query(NARROWED.expanded(query.text)))


@pytest.mark.parametrize("dashboard", [d for d in dashboards(FOLDER) if _has_variables(d)], ids=lambda d: d["uid"])
def test_versions_and_models_that_are_chosen_narrow_every_panel(dashboard: dict[str, Any]) -> None:
    targets = [(panel["title"], target) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert targets
    for title, target in targets:
        assert {name for name in VARIABLES if f"${name})" in target["rawSql"]} == VARIABLES, title


@pytest.mark.parametrize("query", [q for q in sql_queries(FOLDER) if q.is_series], ids=str)
def test_points_in_time_come_in_order_and_start_with_their_time(query: Query, reader: Client) -> None:
    found = reader.query(EVERYTHING.expanded(query.text))
    times = found.result_columns[0]
    assert found.column_names[0] == "time"
    assert list(times) == sorted(times)
    # One moment may have a point for each series, told apart by text.
    keys = [tuple(value for value in row if not isinstance(value, int | float)) for row in found.result_rows]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("query", [q for q in sql_queries(FOLDER) if "${project" in q.text], ids=str)
def test_no_sql_shows_another_project(query: Query, reader: Client) -> None:
    assert _is_nothing(reader.query(NO_PROJECT.expanded(query.text)))


@pytest.mark.parametrize("query", sql_queries(FOLDER), ids=str)
def test_every_sql_is_bounded_in_project_and_time(query: Query) -> None:
    """Save for the list of projects, and what is asked of the whole installation."""
    if query.title == "variable project":
        return
    assert "$__timeFilter_ms(" in query.text or "INTERVAL 15 MINUTE" in query.text
    assert ("project_id = ${project:sqlstring}" in query.text) == (query.dashboard == "phospho-product")


@pytest.mark.parametrize("query", promql_queries(FOLDER), ids=str)
def test_every_metric_of_a_panel_is_exposed(query: Query, exposed: set[str]) -> None:
    assert metric_names(query.text) <= exposed


def test_every_metric_of_a_rule_is_exposed(root: Path, exposed: set[str]) -> None:
    groups = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"]
    names = {rule["alert"]: metric_names(rule["expr"]) for group in groups for rule in group["rules"]}
    assert all(names.values())
    assert {alert: missing for alert, found in names.items() if (missing := found - exposed)} == {}


def test_prometheus_reads_the_promql_of_every_panel(tmp_path: Path, tool: Callable[..., str]) -> None:
    rules = [{"record": f"panel:{n}", "expr": query.text} for n, query in enumerate(promql_queries(FOLDER))]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    tool("promtool", "check", "rules", str(tmp_path / "panels.yml"), package="prometheus")


def test_panels_do_not_overlap_and_read_the_chosen_data_source(root: Path) -> None:
    """By a variable: a dashboard that is imported elsewhere finds the data sources of that Grafana."""
    file = root / "deploy/grafana/provisioning/datasources/phospho.yml"
    provisioned = {source["type"] for source in yaml.safe_load(file.read_text())["datasources"]}
    for dashboard in dashboards(FOLDER):
        variables = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"]
        sources = {(variable["query"], f"${{{variable['name']}}}") for variable in variables}
        assert {kind for kind, _ in sources} <= provisioned
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            cells = _cells(panel["gridPos"])
            assert not cells & taken, panel["title"]
            taken |= cells
            queried = [target["datasource"] for target in panel.get("targets", [])]
            assert {(source["type"], source["uid"]) for source in queried} <= sources


def test_grafana_is_given_the_dashboards_and_told_where_they_are(root: Path, compose: dict[str, Any]) -> None:
    [provider] = yaml.safe_load((root / "deploy/grafana/provisioning/dashboards/phospho.yml").read_text())["providers"]
    volumes = [volume.split(":") for volume in compose["services"]["grafana"]["volumes"]]
    mounted = {target: source for source, target, *_ in volumes}
    home = Path(compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert Path(mounted[provider["options"]["path"]]) == FOLDER
    assert str(home.parent) == provider["options"]["path"]
    assert (FOLDER / home.name).is_file()


@pytest.fixture(scope="module")
def exposed(server: ClickHouseServer) -> set[str]:
    """Every name that a process of ours or ClickHouse answers a scrape with."""
    ours = _names(gateway_metrics.REGISTRY) | _names(REGISTRY) | _gauges(server)
    return ours | _names_of_clickhouse(server) | SCRAPED


def _gauges(server: ClickHouseServer) -> set[str]:
    store = remote(server.url)
    gauges = ProjectGauges(store, max_wait_s=30)
    registry = CollectorRegistry()
    registry.register(gauges)
    try:
        return _names(registry)
    finally:
        gauges.close()
        store.close()


def _names(registry: CollectorRegistry) -> set[str]:
    """Return the names of the series, those that have none yet too."""
    declared = [line.split()[2:4] for line in generate_latest(registry).decode().splitlines() if line[:6] == "# TYPE"]
    parts = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
    return {name + part for name, kind in declared for part in parts[kind]}


def _names_of_clickhouse(server: ClickHouseServer) -> set[str]:
    """Return the names under which its endpoint shows two of its tables."""
    client = server.client()
    metrics = client.query("SELECT metric FROM system.metrics").result_columns[0]
    events = client.query("SELECT event FROM system.events SETTINGS system_events_show_zero_values = 1")
    client.close()
    return {f"ClickHouseMetrics_{name}" for name in metrics} | {
        f"ClickHouseProfileEvents_{name}" for name in events.result_columns[0]
    }


def _is_nothing(found: QueryResult) -> bool:
    return all(value in (None, 0) or value != value for row in found.result_rows for value in row)


def _cells(place: dict[str, int]) -> set[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    assert columns.stop <= 24
    return {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}


def _add_rare_rows(store: Store) -> None:
    store.command(
        "INSERT INTO dead_letter_rows (project_id, dead_letter_id, revision, stage, reason, source_topic,"
        " source_partition, source_offset, received_at) VALUES ('', 'a', 1, 'extraction', 'invalid_json',"
        " 'phospho.raw-logs', 0, 7, now64(3) - 60)"
    )
    store.command(
        "INSERT INTO label_rows (project_id, event_name, task_id, revision, event_id, label, created_at)"
        " SELECT {project:String}, 'event-1', min(task_id), 1, 'a', 'confirmed', now64(3) - 60 FROM task_rows",
        {"project": PROJECT},
    )
