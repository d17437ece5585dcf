"""Schemas that several operations of the query API share."""

from __future__ import annotations

from phospho_schemas import messages
from phospho_schemas.definitions import DEFINITION_FIELDS
from phospho_schemas.people import ROLES
from phospho_web.cursors import DEFAULT_PAGE, MAX_PAGE
from phospho_web.openapi import ANY_OBJECT, Json, part_of, query_parameter

ROLE: Json = {"enum": list(ROLES)}
# Rows of ClickHouse, or of a page: columns may be added.
ROWS: Json = {"type": "array", "items": ANY_OBJECT}
LIMIT = query_parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE})

_PUBLIC = ("key_id", "project_id", "prefix", "name", "created_at", "revoked_at")
# A key without its hash.
ApiKey = part_of(messages.ApiKey, "ApiKey", _PUBLIC, required=_PUBLIC)
# A definition in a request: the server adds project, version and time.
Definition = part_of(messages.EventDefinition, "Definition", DEFINITION_FIELDS)
