"""Settings of every Kafka client: brokers, librdkafka's own properties, and prefixes of topics and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from phospho_schemas.settings import setting
from phospho_schemas.topics import Topic

PROPERTY_PREFIX = "PHOSPHO_KAFKA_"

# The guarantees rest on these: nothing that was accepted is lost, and offsets are committed after the effect.
_FIXED_PROPERTIES = frozenset(
    {
        *("acks", "request.required.acks", "enable.idempotence", "partitioner", "transactional.id"),
        *("group.id", "group.protocol", "partition.assignment.strategy", "isolation.level", "auto.offset.reset"),
        *("enable.auto.commit", "enable.auto.offset.store", "allow.auto.create.topics", "delivery.report.only.error"),
        *("bootstrap.servers", "metadata.broker.list"),
    }
)


def property_name(variable: str) -> str:
    """Return the librdkafka property that a variable such as PHOSPHO_KAFKA_SASL_USERNAME sets."""
    return variable.removeprefix(PROPERTY_PREFIX).lower().replace("_", ".")


def property_variable(name: str) -> str:
    """Return the variable that sets a librdkafka property."""
    return PROPERTY_PREFIX + name.upper().replace(".", "_")


def _properties(given: Any) -> Any:
    """Return properties by name, from the variables that set them."""
    if not isinstance(given, Mapping):
        return given
    properties = {property_name(variable): value for variable, value in given.items()}
    for name in properties.keys() & _FIXED_PROPERTIES:
        raise ValueError(f"phospho sets {name} itself; unset {property_variable(name)}")
    # librdkafka takes either case, FastStream only this one.
    return tuple(
        (name, value.lower() if name == "security.protocol" else value) for name, value in sorted(properties.items())
    )


@dataclass(frozen=True)
class KafkaSettings:
    """Kafka."""

    servers: str = setting(
        "127.0.0.1:9092",
        "Kafka's bootstrap servers, as host:port,host:port.",
        variable="PHOSPHO_KAFKA",
        option="--kafka",
    )
    topic_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]*$")] = setting(
        "", "Put before the name of every topic, such as `acme.`.", variable="PHOSPHO_KAFKA_TOPIC_PREFIX"
    )
    group_prefix: str = setting(
        "", "Put before the name of every consumer group.", variable="PHOSPHO_KAFKA_GROUP_PREFIX"
    )
    properties: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_properties)] = setting(
        (),
        "Any property of librdkafka, in capitals with underscores: PHOSPHO_KAFKA_SECURITY_PROTOCOL, _SASL_MECHANISM,"
        " _SASL_USERNAME, _SASL_PASSWORD, _SSL_CA_LOCATION …; with _FILE at the end, the file that has its value.",
        variable=f"{PROPERTY_PREFIX}*",
        is_secret=True,
    )

    def client(self) -> dict[str, Any]:
        """Return what every client needs, in librdkafka's names. Merge it last: a given property wins."""
        return {"bootstrap.servers": self.servers, **dict(self.properties)}

    def topic(self, topic: Topic | str) -> str:
        """Return the name that a topic has on these brokers."""
        return self.topic_prefix + (topic if isinstance(topic, str) else topic.name)

    def group(self, stage: str) -> str:
        """Return the consumer group of a stage."""
        return f"{self.group_prefix}phospho-{stage}"
