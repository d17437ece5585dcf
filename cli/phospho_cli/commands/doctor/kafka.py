"""Checks of Kafka: sign-in, brokers, topics, rights, consumer groups and the brokers' clock."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from phospho_cli.commands.doctor.findings import ALL_PROCESSES, RIGHTS, STAGES, Finding, NeededRights, needed_rights
from phospho_cli.kafka import open_admin
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import TOPICS, Topic

_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 3.0
_MAX_CLOCK_SKEW_MS = 1_000
_FEWEST_REPLICAS = 2
_ELECTION_PAUSE_S = 0.3
_ELECTING = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)


def check_kafka(settings: KafkaSettings, process: str = ALL_PROCESSES) -> Iterator[Finding]:
    """Yield the findings about the brokers, each topic, the rights of `process` and each group. Raises BadSetting."""
    admin = open_admin(settings)
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        yield _unanswered(settings, error.args[0].str())
        return
    yield Finding(f"Kafka at {settings.servers}", f"{len(metadata.brokers)} broker(s) answer")
    for broker in metadata.brokers.values():
        yield _broker_finding(broker.id, str(broker.host), broker.port)
    present = {}
    for topic in TOPICS:
        name = settings.topic(topic)
        if name not in metadata.topics or metadata.topics[name].error is not None:
            advice = "Run `phospho topics create`, or allow this user to describe it"
            yield Finding(f"topic {name}", "missing", advice)
            continue
        present[topic] = metadata.topics[name].partitions
        yield _topic_finding(admin, topic, name, present[topic], brokers=len(metadata.brokers))
    yield from _rights_findings(admin, settings, needed_rights(process), list(present))
    for stage in STAGES:
        if process in (stage, ALL_PROCESSES):
            yield _group_finding(admin, settings, stage, {topic: len(parts) for topic, parts in present.items()})
    yield _clock_finding(admin, settings, {topic: len(parts) for topic, parts in present.items()})


def _unanswered(settings: KafkaSettings, reason: str) -> Finding:
    """Return why no broker answers: the last error of a connection says more than the time-out does."""
    errors: list[KafkaError] = []
    # A client of its own, since the callback runs only while a client is polled.
    configuration: dict[str, Any] = {**settings.client(), "log_level": 0, "error_cb": errors.append}
    admin = AdminClient(configuration)
    deadline = time.monotonic() + _CONNECT_TIMEOUT_S
    while time.monotonic() < deadline and not errors:
        admin.poll(0.1)
    signs_in = [error for error in errors if error.code() == KafkaError._AUTHENTICATION]
    if signs_in:
        state, advice = "the sign-in is refused", "Correct PHOSPHO_KAFKA_SASL_* (user, password, mechanism)"
    else:
        state = f"no answer ({errors[0].str() if errors else reason})"
        advice = "Check PHOSPHO_KAFKA, and PHOSPHO_KAFKA_* for TLS and sign-in"
    return Finding(f"Kafka at {settings.servers}", state, advice)


def _broker_finding(broker_id: int, host: str, port: int) -> Finding:
    subject = f"broker {broker_id} at {host}:{port}"
    try:
        socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        advice = "Open its port to this machine, or correct advertised.listeners of the broker"
        return Finding(subject, f"can't be reached ({error.strerror or error})", advice)
    return Finding(subject, "its port is open")


def _topic_finding(admin: AdminClient, topic: Topic, name: str, partitions: dict[int, Any], *, brokers: int) -> Finding:
    subject = f"topic {name}"
    without_leader = [number for number, partition in partitions.items() if partition.leader < 0]
    if without_leader:
        return Finding(subject, f"partition {without_leader[0]} has no leader", "Start the brokers that hold it")
    behind = [number for number, partition in partitions.items() if len(partition.isrs) < len(partition.replicas)]
    if behind:
        advice = "Start the missing brokers: with too few replicas, writes are refused"
        return Finding(subject, f"{len(behind)} partition(s) have replicas that are behind or away", advice)
    replicas = min(len(partition.replicas) for partition in partitions.values())
    if replicas < _FEWEST_REPLICAS <= brokers:
        advice = "Add replicas by kafka-reassign-partitions.sh: what a lost broker held is gone"
        return Finding(subject, f"one replica of {brokers} brokers", advice)
    [future] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
    try:
        entries = future.result(_TIMEOUT_S)
    except KafkaException as error:
        return Finding(subject, f"its settings can't be read ({error.args[0].name()})", "Allow DESCRIBE_CONFIGS")
    values = {key: entry.value for key, entry in entries.items()}
    return _settings_finding(subject, values, topic, len(partitions))


def _settings_finding(subject: str, values: dict[str, str], topic: Topic, partitions: int) -> Finding:
    wanted = topic.config()
    for setting in ("message.timestamp.type", "cleanup.policy"):
        if values[setting] != wanted[setting]:
            return Finding(subject, f"{setting} is {values[setting]}", f"Set it to {wanted[setting]}")
    for setting in ("max.message.bytes", "retention.ms"):
        # A retention of -1 is for ever.
        if 0 <= int(values[setting]) < int(wanted[setting]):
            return Finding(subject, f"{setting} is {values[setting]}", f"Raise it to {wanted[setting]}")
    return Finding(subject, f"its settings are right; {partitions} partition(s)")


def _rights_findings(
    admin: AdminClient, settings: KafkaSettings, rights: NeededRights, present: list[Topic]
) -> Iterator[Finding]:
    """Yield what this user may not do with the topics that `rights` names, or that it may do all of it."""
    names = [settings.topic(topic) for topic in present if topic.name in rights.topics]
    if not names:
        return
    subject = f"rights in Kafka for {rights.process}"
    futures = admin.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=_TIMEOUT_S
    )
    refused = []
    for name, future in futures.items():
        try:
            allowed = {operation.name for operation in future.result(_TIMEOUT_S).authorized_operations or ()}
        except KafkaException as error:
            yield Finding(subject, f"can't be read ({error.args[0].name()})", "Allow DESCRIBE on the topics")
            return
        needed = rights.topics[name.removeprefix(settings.topic_prefix)]
        refused += [f"{operation} {name}" for operation in needed if operation not in allowed]
    if refused:
        advice = f"Add these ACLs{_other_process(rights.process)}"
        yield Finding(subject, f"not allowed: {', '.join(refused)}", advice)
    else:
        yield Finding(subject, f"all that it needs on {len(names)} topic(s)")


def _other_process(process: str) -> str:
    return ", or name the process of this user by --process" if process == ALL_PROCESSES else ""


def _group_finding(admin: AdminClient, settings: KafkaSettings, stage: str, partitions: dict[Topic, int]) -> Finding:
    """Return the members of a stage's group and its lag: messages after the last commit."""
    name = settings.group(stage)
    topics = [
        TopicPartition(settings.topic(topic), number)
        for topic in RIGHTS[stage].reads
        for number in range(partitions.get(topic, 0))
    ]
    try:
        members, lag = _members_and_lag(admin, settings, name, topics)
    except KafkaException as error:
        advice = "Allow READ of the group and its topics"
        return Finding(f"consumer group {name}", f"can't be read ({error.args[0].name()})", advice)
    state = f"{members} member(s), lag of {lag} message(s)"
    advice = "" if members else f"Start `phospho worker {stage}`: nobody reads for it"
    return Finding(f"consumer group {name}", state, advice)


def _members_and_lag(
    admin: AdminClient, settings: KafkaSettings, group: str, topics: list[TopicPartition]
) -> tuple[int, int]:
    """Return both, asked again while the brokers elect the group's coordinator."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            [described] = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S).values()
            members = len(described.result(_TIMEOUT_S).members)
            return members, _lag(admin, settings.client() | {"group.id": group}, topics)
        except KafkaException as error:
            if error.args[0].code() not in _ELECTING or time.monotonic() > deadline:
                raise
        time.sleep(_ELECTION_PAUSE_S)


def _lag(admin: AdminClient, consumer_configuration: Mapping[str, Any], topics: list[TopicPartition]) -> int:
    # Not by the admin client, which aborts the process if the broker goes away meanwhile (librdkafka #5397).
    consumer = Consumer({**consumer_configuration, "log_level": 0})
    try:
        committed = {(each.topic, each.partition): each.offset for each in consumer.committed(topics, _TIMEOUT_S)}
    finally:
        consumer.close()
    ends = _offsets(admin, topics, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    starts = _offsets(admin, topics, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    # A group without a commit begins at the first message that the topic still holds.
    return sum(max(0, end.offset - max(committed.get(key, 0), starts[key].offset)) for key, end in ends.items())


def _offsets(admin: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], Any]:
    if not partitions:
        return {}
    futures = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=_TIMEOUT_S)
    return {(key.topic, key.partition): future.result(_TIMEOUT_S) for key, future in futures.items()}


def _clock_finding(admin: AdminClient, settings: KafkaSettings, partitions: dict[Topic, int]) -> Finding:
    """Return whether the newest message, which carries the broker's time, is from our future."""
    topics = [
        TopicPartition(settings.topic(topic), number) for topic, count in partitions.items() for number in range(count)
    ]
    try:
        newest = _offsets(admin, topics, OffsetSpec.max_timestamp())  # type: ignore[no-untyped-call]
    except KafkaException as error:
        return Finding("clock of Kafka", f"can't be read ({error.args[0].name()})", "Allow DESCRIBE on the topics")
    newest_ms = max((result.timestamp for result in newest.values()), default=-1)
    if newest_ms < 0:
        return Finding("clock of Kafka", "not compared: the topics hold no message")
    ahead_ms = newest_ms - time.time() * 1000
    if ahead_ms > _MAX_CLOCK_SKEW_MS:
        return Finding("clock of Kafka", f"at least {ahead_ms:.0f} ms ahead of this machine's", "Synchronise by NTP")
    return Finding("clock of Kafka", f"not ahead: the newest message is {-ahead_ms / 1000:.0f} s old")
