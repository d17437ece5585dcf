"""Reads a request of ClickHouse's HTTP interface: its credentials, its origin and its statement."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from phospho_store.embedded.codec import decompress
from phospho_store.embedded.engine import EngineCall, ReaderLimits
from phospho_store.embedded.errors import (
    ACCESS_DENIED,
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    TOO_MANY_BYTES,
    ClickHouseHttpError,
    refusal,
)
from phospho_store.embedded.statement import word_set

WRITER = "phospho"
_STATEMENT_BYTES = 16_384  # of a body are read for an INSERT's statement before it is read whole
_HOST = re.compile(r"(?:(?P<name>[A-Za-z0-9.-]+)|\[(?P<address>[0-9A-Fa-f:]+)\])(?::\d+)?")

# Parameters of the transport, which the engine would refuse as unknown settings.
_TRANSPORT_PARAMS = word_set(
    "query database default_format user password query_id quota_key role session_id session_timeout session_check"
    " close_session client_protocol_version compress decompress buffer_size wait_end_of_query stacktrace"
    " enable_http_compression http_zlib_compression_level send_progress_in_http_headers add_http_cors_header"
    " http_headers_progress_interval_ms cancel_http_readonly_queries_on_client_close"
    " http_write_exception_in_output_format"
)


def refuse_foreign(headers: Headers, allowed_hosts: frozenset[str]) -> None:
    """Refuse what a web page may have sent through its visitor's browser: rebound DNS names and cross-site requests."""
    if _host_name(headers.get("host", "")) not in allowed_hosts:
        raise refusal(ACCESS_DENIED, "The Host header does not name this server.")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).hostname not in allowed_hosts:
        raise refusal(ACCESS_DENIED, "Requests from other sites are refused.")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise refusal(ACCESS_DENIED, "Requests from other sites are refused.")


def may_write(headers: Headers, params: Mapping[str, str], write_password: str | None) -> bool:
    """
    Return whether the request has the writer's password. Raises a refusal for wrong credentials; none is a reader.

    ClickHouse's order: basic authorization, then X-ClickHouse-User and -Key, then `user` and `password`.
    """
    user, password = _credentials(headers, params)
    if user in ("", "default") and not password:
        return False
    is_known = user == WRITER and write_password is not None
    # compared in any case, so that the time taken says nothing about the name
    if hmac.compare_digest(password.encode(), (write_password or "").encode()) and is_known:
        return True
    reason = f"{user}: Authentication failed: password is incorrect, or there is no user with such name."
    raise refusal(AUTHENTICATION_FAILED, reason)


async def read_body(request: Request, max_bytes: int) -> list[bytes]:
    """Return the body as sent, in parts; refuse it as soon as it is known to be over `max_bytes`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    return [chunk async for chunk in _bounded(request.stream(), max_bytes)]


def read_call(
    request: Request, body: list[bytes], params: dict[str, str], max_bytes: int, limits: ReaderLimits | None
) -> EngineCall:
    """Return the statement of a request, with its parameters and settings. Blocks while it inflates the body."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        body = [decompress(b"".join(body), encoding, max_bytes)]
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        params, body = params | _read_form(request.headers["content-type"], b"".join(body)), []
    _refuse_unsupported(params)
    query = params.get("query", "").encode("utf-8", "surrogateescape")
    sql, data = (query, tuple(body)) if query.strip() else _first_part(body)
    own = {name: value for name, value in params.items() if name not in _TRANSPORT_PARAMS}
    return EngineCall(
        sql=sql,
        data=data,
        data_is_apart=bool(query.strip()),
        params={name.removeprefix("param_"): value for name, value in own.items() if name.startswith("param_")},
        settings={name: value for name, value in own.items() if not name.startswith("param_")},
        database=params.get("database") or request.headers.get("x-clickhouse-database", ""),
        default_format=params.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated",
        is_get=request.method == "GET",
        session_id="" if limits else params.get("session_id", ""),
        limits=limits,
    )


def read_params(request: Request) -> dict[str, str]:
    """Return the URL's parameters; bytes that are not UTF-8 survive as surrogates."""
    raw = request.scope["query_string"].decode("latin-1")
    return dict(parse_qsl(raw, keep_blank_values=True, encoding="utf-8", errors="surrogateescape"))


def _credentials(headers: Headers, params: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as broken:
            raise refusal(AUTHENTICATION_FAILED, "The Authorization header is not valid.") from broken
        return user, password
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", "")
    return params.get("user", ""), params.get("password", "")


def _first_part(body: list[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    """Return enough of the body to hold an INSERT's statement before its rows, and the remaining parts as they are."""
    count, size = 0, 0
    while count < len(body) and size < _STATEMENT_BYTES:
        size += len(body[count])
        count += 1
    return b"".join(body[:count]), tuple(body[count:])


def _host_name(host: str) -> str:
    """Return the name in a Host header, in lower case; "" if it has anything but a name and a port."""
    match = _HOST.fullmatch(host)
    return (match["name"] or match["address"]).lower() if match else ""


async def _bounded(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        if chunk:
            yield chunk


def _too_large(max_bytes: int) -> ClickHouseHttpError:
    return refusal(TOO_MANY_BYTES, f"The body is larger than {max_bytes} bytes; send it in parts.", status=413)


def _read_form(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form, as clients send long statements or parameters. Files would be external tables."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    fields: dict[str, str] = {}
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or part.get_filename() or not (name == "query" or name.startswith("param_")):
            raise refusal(NOT_IMPLEMENTED, "External tables are not supported by the embedded server.")
        content = part.get_payload(decode=True)
        fields[name] = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else ""
    return fields


def _refuse_unsupported(params: Mapping[str, str]) -> None:
    for name in ("compress", "decompress"):
        if params.get(name, "0") not in ("", "0", "false"):
            reason = f"The embedded server has no '{name}': use Content-Encoding and Accept-Encoding."
            raise refusal(NOT_IMPLEMENTED, reason)
    if not all(params):
        raise refusal(BAD_ARGUMENTS, "A parameter of the URL has no name.")
