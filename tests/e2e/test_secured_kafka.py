"""The pipeline on a broker with SASL over TLS and ACLs that allow what docs/deployment.md lists, and nothing else."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

import phospho
from fixtures.clickhouse_server import ClickHouseServer
from fixtures.kafka_server import QUICK_START, KafkaServer
from fixtures.phospho_process import PhosphoProcess, run_phospho
from fixtures.server_process import free_port
from fixtures.shapes import API_KEY, PROJECT_ID
from fixtures.waiting import wait_until
from phospho_cli.commands.doctor.kafka import check_kafka
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.settings import load
from phospho_schemas.topics import TOPICS
from phospho_store.clickhouse import remote
from phospho_store.store import Store

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs/deployment.md"
_OPERATIONS = {"reads": AclOperation.READ, "writes": AclOperation.WRITE, "creates": AclOperation.CREATE}
_TOPIC_PREFIX, _GROUP_PREFIX = "acme.", "acme-"


@dataclass(frozen=True)
class Grant:
    """One cell of the table in the docs: what a user may do with a topic or a group, named without the prefix."""

    user: str
    operation: AclOperation
    kind: ResourceType
    name: str

    def acl(self) -> AclBinding:
        prefix = _TOPIC_PREFIX if self.kind is ResourceType.TOPIC else _GROUP_PREFIX
        principal = f"User:{self.user}"
        resource = (self.kind, prefix + self.name, ResourcePatternType.LITERAL)
        return AclBinding(*resource, principal, "*", self.operation, AclPermissionType.ALLOW)


def documented_grants() -> list[Grant]:
    """Return the grants of the table whose head begins with `user | reads`."""
    table = _DOCUMENT.read_text("utf-8").partition("| user | reads |")[2].partition("\n\n")[0]
    columns = ("reads", "writes", "creates", "group")
    grants = []
    for line in table.splitlines()[2:]:
        user, *cells = (re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|"))
        for column, names in zip(columns, cells, strict=True):
            kind = ResourceType.GROUP if column == "group" else ResourceType.TOPIC
            operation = _OPERATIONS.get(column, AclOperation.READ)
            grants += [Grant(user[0], operation, kind, name) for name in names]
    return grants


GRANTS = documented_grants()


class SecuredCluster:
    """A broker that trusts its documented users only, ClickHouse, and the processes between them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._passwords = {user: secrets.token_hex(8) for user in {"root", *(grant.user for grant in GRANTS)}}
        self.certificate = self._make_certificate()
        self.kafka = stack.enter_context(
            KafkaServer(folder / "kafka", QUICK_START, self._properties, self.client("root"))
        )
        self.clickhouse = stack.enter_context(ClickHouseServer(folder / "clickhouse"))
        self.store: Store = remote(self.clickhouse.url)
        stack.callback(self.store.close)
        self.base_url = f"http://127.0.0.1:{free_port()}"

    def client(self, user: str) -> dict[str, str]:
        """Return what a client of librdkafka needs to sign in as a user."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": self._passwords[user],
            "ssl.ca.location": str(self.certificate),
        }

    def environment(self, user: str) -> dict[str, str]:
        """Return the settings of a process that signs in as a user, whose password is in a file."""
        file = self._folder / f"{user}.password"
        file.write_text(self._passwords[user] + "\n")
        return {
            "PHOSPHO_KAFKA": self.kafka.bootstrap_servers,
            "PHOSPHO_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "PHOSPHO_KAFKA_SASL_MECHANISM": "PLAIN",
            "PHOSPHO_KAFKA_SASL_USERNAME": user,
            "PHOSPHO_KAFKA_SASL_PASSWORD_FILE": str(file),
            "PHOSPHO_KAFKA_SSL_CA_LOCATION": str(self.certificate),
            "PHOSPHO_KAFKA_TOPIC_PREFIX": _TOPIC_PREFIX,
            "PHOSPHO_KAFKA_GROUP_PREFIX": _GROUP_PREFIX,
            "PHOSPHO_CLICKHOUSE": self.clickhouse.url,
            "PHOSPHO_PROJECT_ID": PROJECT_ID,
            "PHOSPHO_API_KEY": API_KEY,
        }

    def allow(self, grants: list[Grant]) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers, **self.client("root")})
        for created in admin.create_acls([grant.acl() for grant in grants]).values():
            created.result(30)

    def break_topic(self, name: str) -> None:
        """Let clients' clocks order a topic."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers, **self.client("root")})
        entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
        for changed in admin.incremental_alter_configs([resource]).values():
            changed.result(30)

    def start(self) -> None:
        """Start the gateway and the stages, and return when each of them is ready."""
        arguments: Mapping[str, list[str]] = {
            "gateway": ["gateway", "--grpc-port", "0", "--port", self.base_url.rpartition(":")[2]],
            **{stage: ["worker", stage, "--metrics-port"] for stage in ("extraction", "detection", "sink")},
        }
        processes = []
        for user, command in arguments.items():
            url = self.base_url
            if user != "gateway":
                port = str(free_port())
                command, url = [*command, port], f"http://127.0.0.1:{port}"
            log_path = self._folder / f"{user}.log"
            processes.append(PhosphoProcess(command, log_path, f"{url}/readyz", self.environment(user)))
            self._stack.enter_context(processes[-1])
        for process in processes:
            process.wait_until_ready()

    def stored_inputs(self) -> list[str]:
        return [row["input"] for row in self.store.rows("SELECT input FROM tasks ORDER BY input")]

    def _make_certificate(self) -> Path:
        """Make the broker's key and certificate, and return the certificate, which is its own authority."""
        self._keystore_password = secrets.token_hex(8)
        keystore = ["-keystore", str(self._folder / "broker.p12"), "-storepass", self._keystore_password]
        _keytool("-genkeypair", *keystore, *("-alias", "broker", "-keyalg", "EC", "-dname", "CN=localhost"),
                 *("-validity", "2", "-ext", "san=ip:127.0.0.1,dns:localhost"))  # fmt: skip
        certificate = self._folder / "broker.pem"
        _keytool("-exportcert", "-rfc", *keystore, "-alias", "broker", "-file", str(certificate))
        return certificate

    def _properties(self, port: int, controller_port: int) -> str:
        users = " ".join(f'user_{user}="{password}"' for user, password in self._passwords.items())
        root = f'username="root" password="{self._passwords["root"]}"'
        return f"""
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=SASL_SSL://127.0.0.1:{port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {root} \
{users};
ssl.keystore.location={self._folder / "broker.p12"}
ssl.keystore.password={self._keystore_password}
ssl.truststore.location={self._folder / "broker.p12"}
ssl.truststore.password={self._keystore_password}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:root;User:ANONYMOUS
"""


def _keytool(*arguments: str) -> None:
    subprocess.run(["keytool", *arguments], check=True, capture_output=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SecuredCluster]:
    with ExitStack() as stack:
        yield SecuredCluster(tmp_path, stack)


def test_pipeline_runs_with_the_documented_acls(cluster: SecuredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.allow(GRANTS)
    run_phospho("migrate", environment=cluster.environment("topics"))
    created = run_phospho("topics", "create", "--partitions", "1", environment=cluster.environment("topics"))
    assert "acme.phospho.raw-logs: created" in created
    before = {finding.subject: finding for finding in check_kafka(load(KafkaSettings, cluster.environment("root")))}
    groups = {name: before.pop(name) for name in [name for name in before if name.startswith("consumer group ")]}
    assert [finding for finding in before.values() if finding.advice] == []
    assert len(before) == 2 + len(TOPICS) + 2
    assert {finding.state for finding in groups.values()} == {"0 member(s), lag of 0 message(s)"}
    assert "Start `phospho worker sink`" in groups["consumer group acme-phospho-sink"].advice
    cluster.start()

    by_http = phospho.Client(api_key=API_KEY, project_id=PROJECT_ID, base_url=cluster.base_url)
    by_http.log(input="By HTTP", output="Yes")
    assert len(by_http.flush(timeout=30).sent) == 1
    by_http.close()
    for name, value in cluster.environment("app").items():
        monkeypatch.setenv(name, value)
    by_kafka = phospho.Client(kafka=cluster.kafka.bootstrap_servers, project_id=PROJECT_ID)
    by_kafka.log(input="By Kafka", output="Yes")
    assert len(by_kafka.flush(timeout=30).sent) == 1
    by_kafka.close()

    wait_until(lambda: cluster.stored_inputs() == ["By HTTP", "By Kafka"], "the tasks are not stored")
    wait_until(lambda: cluster.store.rows("SELECT count() AS n FROM analyses")[0]["n"] == 2, "no analyses are stored")

    after = [finding.line for finding in check_kafka(load(KafkaSettings, cluster.environment("root")))]
    assert [line for line in after if line.startswith("wrong")] == []
    assert "ok    consumer group acme-phospho-sink: 1 member(s), lag of 0 message(s)" in after
    assert any(line.startswith("ok    clock of Kafka: not ahead") for line in after)
    cluster.break_topic("acme.phospho.tasks")
    findings = check_kafka(load(KafkaSettings, cluster.environment("extraction")), "sink")
    wrong = "\n".join(finding.line for finding in findings if finding.advice)
    assert "rights in Kafka for sink: not allowed: " in wrong
    assert "READ acme.phospho.tasks" in wrong
    assert "wrong topic acme.phospho.analyses: missing" in wrong
    assert "consumer group acme-phospho-sink: can't be read" in wrong
    findings = check_kafka(load(KafkaSettings, cluster.environment("root")))
    assert [finding.line for finding in findings if finding.advice] == [
        "wrong topic acme.phospho.tasks: message.timestamp.type is CreateTime. Set it to LogAppendTime"
    ]
    unknown_user = cluster.environment("root") | {"PHOSPHO_KAFKA_SASL_USERNAME": "nobody"}
    [refused] = check_kafka(load(KafkaSettings, unknown_user))
    assert refused.state == "the sign-in is refused"

    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        _produce(cluster, "gateway", "acme.phospho.tasks")


def _produce(cluster: SecuredCluster, user: str, topic: str) -> None:
    """Produce one message. Raises KafkaException where the broker refuses it."""
    errors: list[object] = []
    producer = Producer({"bootstrap.servers": cluster.kafka.bootstrap_servers, **cluster.client(user)})
    producer.produce(topic, b"{}", on_delivery=lambda error, _: errors.append(error) if error else None)
    producer.flush(30)
    if errors:
        raise KafkaException(*errors)
