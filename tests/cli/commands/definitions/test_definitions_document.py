"""docs/definitions.md: its example can be applied as it stands, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from phospho_cli.commands.definitions.definition_file import DefinitionItem, read_definitions
from phospho_cli.commands.definitions.definitions import apply
from phospho_schemas.definitions.validation import DEFINITION_FIELDS, refusal_of
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.annotations import Label
from phospho_workers.detection.definitions import check_definition
from phospho_workers.detection.engines import ENGINES
from phospho_workers.detection.evaluation.labelled import event_definition

TEXT = (Path(__file__).parents[4] / "docs/definitions.md").read_text()
[EXAMPLE] = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
HELP = re.search(r"\x08\n( *definitions:\n.*?)\n\n", apply.help or "", re.S)


@pytest.mark.parametrize("text", [EXAMPLE, HELP[1] if HELP else ""], ids=["document", "help"])
def test_an_example_can_be_applied(text: str) -> None:
    definitions = [event_definition(item) for item in read_definitions(text)]

    assert [refusal_of(one) or check_definition(one) for one in definitions] == [None] * len(definitions)
    assert {one.engine for one in definitions} == set(ENGINES)


def test_every_field_engine_and_scope_is_in_its_table() -> None:
    assert set(DefinitionItem.model_fields) == set(DEFINITION_FIELDS)
    told = set(re.findall(r"^\| `(\w+)`", TEXT, re.M))
    [row] = re.findall(r"^\| `engine` .*$", TEXT, re.M)
    assert set(re.findall(r"`(\w+)`", row)) == {"engine", *ENGINES}
    of_labels = {"label", "value", "category", "comment"}
    assert told - {"event"} == {*DEFINITION_FIELDS, *ENGINES, *of_labels}
    assert of_labels <= set(Label.model_fields)


@pytest.mark.parametrize("field", DEFINITION_FIELDS)
def test_a_file_has_the_limits_of_a_stored_definition(field: str) -> None:
    """The items of a keyword list differ: a file says at once that one is empty."""
    in_file, stored = DefinitionItem.model_fields[field], EventDefinition.model_fields[field]
    assert (in_file.metadata, in_file.default) == (stored.metadata, stored.default)


@pytest.mark.parametrize("field", ["name", "description", "keywords", "pattern"])
def test_a_bound_is_told(field: str) -> None:
    """The greatest length of a text or list stands in the row of its field."""
    [bound] = [
        one.max_length for one in EventDefinition.model_fields[field].metadata if getattr(one, "max_length", None)
    ]
    row = re.search(rf"^\| `{field}`.*$", TEXT, re.M)
    assert row is not None
    assert f"{bound:,}" in row[0]
