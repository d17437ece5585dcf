"""`phospho topics create`: the Kafka topics, as phospho_schemas.topics has them."""

from __future__ import annotations

import click
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewTopic

from phospho_cli.kafka import open_admin
from phospho_cli.options import settings_options
from phospho_cli.processes.settings import TopicsSettings
from phospho_schemas.topics import TOPICS, Topic

_TIMEOUT_S = 30.0


@click.group()
def topics() -> None:
    """Create the Kafka topics. No process creates one by itself."""


@topics.command()
@settings_options(TopicsSettings)
@click.option("--partitions", type=click.IntRange(1, 1000), help="For every topic, in place of its own number.")
@click.option("--replication-factor", type=click.IntRange(1, 9), default=1, show_default=True, help="3 in production.")
def create(settings: TopicsSettings, partitions: int | None, replication_factor: int) -> None:
    """
    Create the missing topics, and leave existing ones as they are.

    A topic's partitions limit the replicas of its worker, and changing them moves keys: choose once.
    """
    kafka = settings.kafka
    admin = open_admin(kafka)
    new_topics = [_new_topic(topic, kafka.topic(topic), partitions, replication_factor) for topic in TOPICS]
    try:
        futures = admin.create_topics(new_topics, operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S)
        for name, future in futures.items():
            click.echo(f"{name}: {_outcome(future)}")
    except KafkaException as error:
        raise click.ClickException(
            f"Kafka at {kafka.servers} did not create the topics: {error.args[0].str()}"
        ) from error
    except TimeoutError as error:
        raise click.ClickException(
            f"Kafka at {kafka.servers} did not answer in {_TIMEOUT_S:.0f} s. Check PHOSPHO_KAFKA or --kafka."
        ) from error


def _new_topic(topic: Topic, name: str, partitions: int | None, replication_factor: int) -> NewTopic:
    config = topic.config() | ({"min.insync.replicas": "2"} if replication_factor >= 3 else {})
    return NewTopic(name, partitions or topic.partitions, replication_factor, config=config)


def _outcome(future: object) -> str:
    try:
        future.result(_TIMEOUT_S)  # type: ignore[attr-defined]
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
        return "exists"
    return "created"
