"""Kafka's settings: any property of librdkafka by variable, secrets in files, prefixes, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from phospho_cli.kafka import check_properties
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.settings import BadSetting, load
from phospho_schemas.topics import RAW_LOGS
from phospho_workers.runtime.producer import producer_config


def test_variables_become_properties_of_every_client(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    environment = {
        "PHOSPHO_KAFKA": "kafka:9093",
        "PHOSPHO_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "PHOSPHO_KAFKA_SASL_PASSWORD_FILE": str(password),
        "PHOSPHO_KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE": "/keys/own.pem",
        "PHOSPHO_KAFKA_LINGER_MS": "50",
    }

    settings = load(KafkaSettings, environment)

    assert settings.client() == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "sasl_ssl",
        "sasl.password": "s3cret",
        "sasl.oauthbearer.assertion.private.key.file": "/keys/own.pem",
        "linger.ms": "50",
    }
    assert producer_config(settings).items() >= settings.client().items()
    assert "s3cret" not in repr(settings)


def test_prefixes_name_topics_and_groups() -> None:
    settings = load(KafkaSettings, {"PHOSPHO_KAFKA_TOPIC_PREFIX": "acme.", "PHOSPHO_KAFKA_GROUP_PREFIX": "acme-"})

    assert settings.properties == ()
    assert (settings.topic(RAW_LOGS), settings.group("sink")) == ("acme.phospho.raw-logs", "acme-phospho-sink")
    assert RAW_LOGS.is_named("acme.phospho.raw-logs")
    assert not RAW_LOGS.is_named("acme.phospho.tasks")


def test_variables_that_kubernetes_makes_of_a_service_are_no_properties() -> None:
    made = {"PHOSPHO_KAFKA_SERVICE_HOST": "10.0.0.1", "PHOSPHO_KAFKA_SERVICE_PORT_CLIENTS": "9092"}
    made |= {"PHOSPHO_KAFKA_PORT": "tcp://10.0.0.1:9092", "PHOSPHO_KAFKA_PORT_9092_TCP_ADDR": "10.0.0.1"}

    assert load(KafkaSettings, made).properties == ()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "SASL_PASSWRD",
            "x",
            "PHOSPHO_KAFKA_SASL_PASSWRD is no setting: librdkafka has no property sasl.passwrd."
            " Unset it, or correct its name.",
        ),
        (
            "SECURITY_PROTOCOL",
            "tls",
            "PHOSPHO_KAFKA_SECURITY_PROTOCOL can't be used:"
            ' Invalid value "tls" for configuration property "security.protocol".',
        ),
        ("ACKS", "1", "PHOSPHO_KAFKA_* can't be used: phospho sets acks itself; unset PHOSPHO_KAFKA_ACKS."),
        (
            "SASL_PASSWORD_FILE",
            "/missing",
            "PHOSPHO_KAFKA_SASL_PASSWORD_FILE='/missing' can't be used: No such file or directory.",
        ),
    ],
)
def test_property_that_can_not_be_used_is_one_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(BadSetting) as raised:
        check_properties(load(KafkaSettings, {f"PHOSPHO_KAFKA_{name}": value}))
    assert str(raised.value) == sentence


def test_property_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("x")
    environment = {"PHOSPHO_KAFKA_SASL_PASSWORD": "x", "PHOSPHO_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "p")}
    with pytest.raises(BadSetting, match="PHOSPHO_KAFKA_SASL_PASSWORD_FILE are both set: unset one of them"):
        load(KafkaSettings, environment)


def test_oidc_tokens_are_fetched_by_librdkafka() -> None:
    oidc = {"METHOD": "oidc", "CLIENT_ID": "p", "CLIENT_SECRET": "s", "TOKEN_ENDPOINT_URL": "http://127.0.0.1:9/t"}
    environment = {f"PHOSPHO_KAFKA_SASL_OAUTHBEARER_{name}": value for name, value in oidc.items()}
    environment |= {"PHOSPHO_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "PHOSPHO_KAFKA_SASL_MECHANISM": "OAUTHBEARER"}

    check_properties(load(KafkaSettings, environment))
