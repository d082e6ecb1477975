"""Errors as RFC 9457 problem documents. They hold no number, no secret and no traceback."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ccari.errors import (
    AsteriskError,
    CcariError,
    ConsentError,
    EvidenceError,
    InputError,
    ListError,
    RecordingDelayed,
    RecordingError,
    RequestError,
    SecretError,
    StoreError,
    UnknownError,
    UnsoundPolicyError,
)
from ccari.policy.gate import Block
from ccari.web.models.lists import ListReport

PROBLEM_TYPE = "application/problem+json"
#: Headers of every answer, except a stream's.
ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "server": "ccari"}
#: A valid body has only a few fields.
BODY_BYTES = 64 * 1024
#: How many faults of one body are reported.
_MOST_FAULTS = 50
#: How many frames of a traceback are logged.
_FRAMES = 5

_log = structlog.get_logger()


class Fault(BaseModel):
    """One fault: in the body at ``pointer`` (RFC 6901, as a fragment), or in a ``parameter`` of the URL."""

    model_config = ConfigDict(frozen=True)

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(BaseModel):
    """RFC 9457. ``reason``: why the gate blocks a call; ``call``: the id of that call. ``report``: of a list that was refused."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    reason: Block | None = None
    call: UUID | None = None
    errors: tuple[Fault, ...] | None = None
    report: ListReport | None = None


class Refusal(Exception):  # noqa: N818 - a refusal, not a failure
    """An error that is answered with a problem document."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.problem = Problem(status=status, title=HTTPStatus(status).phrase, detail=detail, **members)

    def response(self) -> web.Response:
        body = self.problem.model_dump_json(exclude_none=True).encode()
        return web.Response(status=self.status, body=body, content_type=PROBLEM_TYPE, headers=self.headers)


def not_there() -> Refusal:
    """404, in the same words whether a thing does not exist or the bearer may not see it."""
    return Refusal(HTTPStatus.NOT_FOUND, "there is nothing by this name")


_WORDS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take this method",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"a body may have at most {BODY_BYTES} bytes",
}


def of_server(error: web.HTTPException) -> Refusal:
    """A refusal by aiohttp, in our words: aiohttp's may quote the request."""
    headers = {"allow": error.headers["allow"]} if "allow" in error.headers else {}
    status = HTTPStatus(error.status)
    return Refusal(status, _WORDS.get(status, status.description or status.phrase), headers=headers)


def of_error(error: Exception, *, in_query: bool = False) -> Refusal:
    """The refusal for an error that a handler raised. ``in_query``: the request's fields were in the URL."""
    match error:
        case InputError():
            place = {"parameter": error.field} if in_query else {"pointer": f"#/{error.field}"}
            return of_faults([Fault(detail=str(error), **place)])
        case UnknownError():
            return not_there()
        case ListError():
            return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case AsteriskError() | RecordingDelayed():
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        case ConsentError() | EvidenceError() | RecordingError() | RequestError():
            return Refusal(HTTPStatus.CONFLICT, str(error))
        case UnsoundPolicyError():
            return Refusal(HTTPStatus.CONFLICT, error.words)
        case StoreError():
            _log.warning("database_away", reason=str(error))
            return Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the database is not available at present",
                reason=Block.STORE_UNAVAILABLE,
            )
        case SecretError():
            _log.error("http_unfit", reason=str(error))
            return Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"this node cannot use {_secret(error)}: ask another node, or have its operator look for http_unfit in its log",
                reason=Block.STORE_UNAVAILABLE,
            )
        case CcariError():
            _log.error("http_unfit", reason=str(error))
            return Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "the service is not set up for this: its log says what is missing",
            )
        case _:
            # not its text, which may contain the request's data: the traceback is enough to find the error
            frames = [
                f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            _log.error("http_failed", error=type(error).__name__, where=frames[-_FRAMES:])
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed: its log says where")


def _secret(error: SecretError) -> str:
    """Names the secret. Its location is only for the log."""
    version = f"version {error.version} of " if error.version is not None else ""
    return f"{version}the suppression secret of {error.whose!r}"


def of_faults(faults: Sequence[Fault]) -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(dict.fromkeys(each.detail for each in faults)),
        errors=tuple(faults),
    )  # fmt: skip


def of_validation(model: type[BaseModel], error: ValidationError, *, in_query: bool = False) -> Refusal:
    """A refusal with each fault and its position. Neither values nor unknown keys are quoted: they may contain a number."""
    return of_faults(list(_faults(model, error, in_query=in_query))[:_MOST_FAULTS])


def _faults(model: type[BaseModel], error: ValidationError, *, in_query: bool) -> Iterator[Fault]:
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        *parents, last = each["loc"] or ("",)
        if each["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields) or "none"
            yield Fault(
                detail=f"an unknown field was given: known are {known}",
                **({} if in_query else {"pointer": _pointer(parents)}),
            )
            continue
        words = each["msg"].removeprefix("Value error, ")
        if in_query:
            yield Fault(detail=words, parameter=str(each["loc"][0]) if each["loc"] else None)
        else:
            yield Fault(detail=words, pointer=_pointer([*parents, last] if each["loc"] else []))


def _pointer(parts: Sequence[int | str]) -> str:
    return "#" + "".join(f"/{part}" for part in parts)
