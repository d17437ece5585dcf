"""Forms that a browser sends, read within a limit."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from phospho_web.problems import Problem
from phospho_web.requests import media_type_of, read_body

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 1000


class Form:
    """The fields of a form."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def text(self, name: str, max_length: int = 512) -> str:
        """Return a field without space around it, empty where it is missing; Problem 422 where it is too long."""
        value = self.raw(name, max_length).strip()
        return value.replace("\r\n", "\n")

    def raw(self, name: str, max_length: int = 512) -> str:
        """Return a field as it was sent, as for a password."""
        value = next((value for of_name, value in self._fields if of_name == name), "")
        if len(value) > max_length:
            raise Problem(422, "invalid_field", f"{name!r} must have at most {max_length} characters")
        return value

    def without(self, *names: str) -> list[tuple[str, str]]:
        """Return the name and the value of every field but these, as they were sent."""
        return [pair for pair in self._fields if pair[0] not in names]

    def texts(self, name: str, max_length: int = 512) -> list[str]:
        """Return every field of that name."""
        return [Form([pair]).text(name, max_length) for pair in self._fields if pair[0] == name]


async def read_form(request: Request, max_bytes: int) -> Form:
    """Return the form in the body. Raises Problem: 413, 415 or 422."""
    if media_type_of(request) != _MEDIA_TYPE:
        raise Problem(415, "unsupported_media_type", f"a form must be {_MEDIA_TYPE}")
    body = await read_body(request, max_bytes)
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Problem(422, "invalid_form", f"the form has more than {_MAX_FIELDS} fields") from None
    return Form(fields)
