"""Resources, each read once, however many spans are below it."""

from __future__ import annotations

from itertools import islice

from phospho_gateway.otlp.conventions import first_text, identity_of, service_attributes
from phospho_gateway.otlp.spans import Attributes, Resource
from phospho_gateway.otlp.values import json_text

_MAX_ATTRIBUTES = 128
# Thousands of tasks may repeat the attributes of one resource.
MAX_SHOWN_CHARACTERS = 1_000
# Longer metadata is not parsed for a session and a user: it is no list of properties.
MAX_METADATA_CHARACTERS = 100_000


def resource_of(attributes: Attributes) -> Resource:
    """Return the resource that its first attributes describe."""
    read = dict(islice(attributes.items(), _MAX_ATTRIBUTES))
    return Resource(
        identity_of(_of_identity(read)), first_text(read, ("service.version",)), _short(service_attributes(read))
    )


def _of_identity(attributes: Attributes) -> Attributes:
    metadata = attributes.get("metadata")
    is_too_long = isinstance(metadata, str) and len(metadata) > MAX_METADATA_CHARACTERS
    return attributes | {"metadata": None} if is_too_long else attributes


def _short(attributes: Attributes) -> Attributes:
    """Return the attributes that fit, in their order."""
    shown: Attributes = {}
    left = MAX_SHOWN_CHARACTERS
    for name, value in attributes.items():
        left -= len(name) + len(json_text(value))
        if left < 0:
            break
        shown[name] = value
    return shown
