"""Kafka clients of commands, and the check of the properties that every client gets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from phospho_schemas.kafka import KafkaSettings, property_variable
from phospho_schemas.settings import BadSetting

_QUOTED_PROPERTY = re.compile(r'property:? "([^"]+)"')


def open_admin(kafka: KafkaSettings) -> AdminClient:
    """Return an administrator's client, which connects in the background. Raises BadSetting."""
    try:
        return AdminClient({**kafka.client(), "log_level": 0})
    except KafkaException as error:
        raise BadSetting(_refusal(error.args[0].str(), dict(kafka.properties))) from None


def check_properties(kafka: KafkaSettings) -> None:
    """Raise BadSetting where librdkafka doesn't know a property, or can't use its value."""
    open_admin(kafka)


def _refusal(reason: str, properties: Mapping[str, str]) -> str:
    """Return the sentence for librdkafka's refusal, which may name an alias of the property that was given."""
    match = _QUOTED_PROPERTY.search(reason)
    if match is None or match[1] not in properties:
        return f"Kafka's clients can't use the variables PHOSPHO_KAFKA_*: {reason}."
    variable = property_variable(match[1])
    if reason.startswith("No such"):
        return f"{variable} is no setting: librdkafka has no property {match[1]}. Unset it, or correct its name."
    return f"{variable} can't be used: {reason.split(': ', 1)[-1]}."
