"""A YAML file of event definitions, validated before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.messages import MAX_CONTEXT_TURNS, Engine, JudgeChoice, Scope, ScoreRange

# The loader in C where it is installed: files may have 100,000 keywords.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_EXAMPLE = """It looks like this:

definitions:
  - name: refund
    engine: keyword
    scope: input
    keywords: [refund]"""


class BadDefinitions(Exception):
    """The file can't be applied; the message has one line for each error."""


class DefinitionItem(BaseModel):
    """One item of the list `definitions`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: str = Field("", max_length=4000)
    engine: Engine = "semantic"
    scope: Scope = "task"
    keywords: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list, max_length=1000)
    pattern: str = Field("", max_length=4000)
    threshold: float | None = Field(None, ge=0, le=1)
    is_last_task: bool = False
    context_turns: int = Field(0, ge=0, le=MAX_CONTEXT_TURNS)
    score_range: ScoreRange = Field(default_factory=ScoreRange)
    judge: JudgeChoice = "project"

    @model_validator(mode="after")
    def _has_what_its_engine_reads(self) -> DefinitionItem:
        required_field = engine_spec(self.engine).required_field
        if not getattr(self, required_field):
            raise ValueError(f"the {self.engine} engine needs `{required_field}`")
        return self


def read_definitions(text: str | bytes) -> list[dict[str, Any]]:
    """Return the definitions of a YAML text, in its order. Raises BadDefinitions with every error in it."""
    items = _items(text)
    faults: list[str] = []
    validated = [_item(number, item, faults) for number, item in enumerate(items, 1)]
    valid = [item for item in validated if item is not None]
    faults += _repeated(item.name for item in valid)
    if faults:
        raise BadDefinitions("\n".join(faults))
    return [item.model_dump(exclude_unset=True) for item in valid]


def _items(text: str | bytes) -> list[Any]:
    try:
        document = yaml.load(text, _LOADER)  # noqa: S506 (both are safe)
    except yaml.YAMLError as error:
        raise BadDefinitions(f"It is not YAML: {_yaml_fault(error)}") from None
    items = document.get("definitions") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise BadDefinitions(f"There is no list under `definitions:`. {_EXAMPLE}")
    return items


def _item(number: int, item: Any, faults: list[str]) -> DefinitionItem | None:
    """Return the validated item, or None after adding its errors to `faults`."""
    if not isinstance(item, dict):
        faults.append(f"definition {number}: it must be a mapping with a `name`")
        return None
    try:
        return DefinitionItem.model_validate(item)
    except ValidationError as error:
        name = item.get("name")
        where = f"definition {number}" + (f" ({name})" if isinstance(name, str) else "")
        faults += [f"{where}{_field(fault['loc'])}: {_sentence(fault)}" for fault in error.errors()]
        return None


def _field(location: tuple[int | str, ...]) -> str:
    return f", {'.'.join(map(str, location))}" if location else ""


def _yaml_fault(error: yaml.YAMLError) -> str:
    """Return where a text is not YAML and why, in one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or not problem:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}. Check indentation and quotes there."


def _sentence(fault: Any) -> str:
    """Return an error for the author of the file; pydantic's messages are for programmers."""
    kind, limits = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        nearest = difflib.get_close_matches(str(fault["loc"][-1]), DefinitionItem.model_fields, n=1)
        suggestion = f" Did you mean {nearest[0]!r}?" if nearest else ""
        return f"there is no such field.{suggestion} The fields: {', '.join(DefinitionItem.model_fields)}"
    if kind == "too_long":
        return (
            f"at most {limits['max_length']} are allowed, not {limits['actual_length']};"
            " split it into several definitions"
        )
    if kind == "literal_error":
        return f"{_short_text(fault['input'])} is none of {str(limits['expected']).replace(' or ', ', ')}"
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(shown=_short_text(fault["input"]), **limits)
    return str(fault["msg"]).removeprefix("Value error, ").replace("Input should", "it must")


# By pydantic's name of the error.
_SENTENCES = {
    "missing": "it is missing",
    "string_type": "it must be text; put {shown} in quotes",
    "string_too_short": "it is empty",
    "string_too_long": "it has more than {max_length} characters",
    "list_type": "it must be a list, such as [{shown}]",
    "bool_type": "it must be true or false, not {shown}",
    "bool_parsing": "it must be true or false, not {shown}",
    "int_type": "it must be a whole number, not {shown}",
    "float_type": "it must be a number, not {shown}",
    "less_than_equal": "{shown} is more than {le}, the most that is allowed",
    "greater_than_equal": "{shown} is less than {ge}, the least that is allowed",
}


def _short_text(value: Any) -> str:
    return repr(value)[:60] if isinstance(value, str) else str(value)[:60]


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    faults = []
    for name in names:
        if name in seen:
            faults.append(f"the name {name!r} is given twice")
        seen.add(name)
    return faults
