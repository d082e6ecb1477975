"""Forms of the console: checking that they come from our own pages, reading them within a time limit, and validating them."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

import orjson
from aiohttp import BodyPartReader, ClientError, web
from aiohttp.http import HttpProcessingError
from pydantic import BaseModel, ValidationError

from ccari.web import problems
from ccari.web.console.sessions import Session
from ccari.web.endpoint import BODY_SECONDS
from ccari.web.problems import Refusal

CSRF = "csrf"
TOO_OLD = "this form is too old, or is not from this console: reload the page and send it again"
#: The message for a form whose page was loaded in another session: somebody has signed in again, perhaps in another tab.
EARLIER = "this form is from an earlier session, or is not from this console: send it again from its page"
#: Free-text fields. They are given back to whoever wrote them if their form comes to nothing; they contain no number.
_WRITTEN = ("reason", "how", "note", "why", "proof")
_MOST_WRITTEN = 2000
#: For a form with a file: the longest field, and the most fields.
_FIELD_BYTES, _MOST_FIELDS = 8 * 1024, 20


def from_elsewhere(request: web.Request) -> None:
    """Raise Refusal (403) if another site sent the form, by the browser's ``Sec-Fetch-Site``. The CSRF secret is checked as well."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refusal(HTTPStatus.FORBIDDEN, "this form came from another site")


def check_csrf(given: str, session: Session) -> None:
    if not hmac.compare_digest(given.encode(errors="replace"), session.csrf.encode()):
        raise Refusal(HTTPStatus.FORBIDDEN, EARLIER)


async def read_form(request: web.Request) -> Mapping[str, str]:
    """The fields of a small form. Raises Refusal (400, 408, 413, 415)."""
    # browsers send no charset, and another client must not choose a codec, which might not even yield text
    utf_8 = (request.charset or "utf-8").lower() == "utf-8"
    if request.content_type != "application/x-www-form-urlencoded" or not utf_8:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the request is not a form")
    async with reading_in_time():
        form = await request.post()
    return {name: str(value).replace("\r\n", "\n") for name, value in form.items()}


def written_in(form: Mapping[str, str]) -> dict[str, str]:
    """The words written in a form, by field."""
    return {name: form[name][:_MOST_WRITTEN] for name in _WRITTEN if form.get(name, "").strip()}


@contextlib.asynccontextmanager
async def reading_in_time() -> AsyncIterator[None]:
    """A time limit for reading a form, so that a client that sends it byte by byte does not keep its slot any longer. Raises Refusal
    (400, 408).
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            yield
    except TimeoutError:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the form did not arrive in time") from None
    except (ClientError, HttpProcessingError, RuntimeError, web.RequestPayloadError, ValueError):
        # aiohttp raises RuntimeError for a field `_charset_` that never ends
        raise Refusal(HTTPStatus.BAD_REQUEST, "the form arrived incomplete") from None


async def read_parts(
    request: web.Request, session: Session
) -> tuple[Mapping[str, str], BodyPartReader | None]:
    """The fields before the file of a form, and the file's reader (None if there is no file). The CSRF secret is checked. Raises
    Refusal (400, 403, 408, 413, 415).
    """
    if request.content_type != "multipart/form-data":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the request is not a form with a file")
    form: dict[str, str] = {}
    async with reading_in_time():
        parts = await request.multipart()
        while (part := await parts.next()) is not None:
            if not isinstance(part, BodyPartReader) or len(form) >= _MOST_FIELDS:
                raise Refusal(HTTPStatus.BAD_REQUEST, "the form is not from this console")
            if part.filename is not None:
                check_csrf(form.pop(CSRF, ""), session)
                return form, part
            form[part.name or ""] = (await read_part(part, _FIELD_BYTES)).decode(errors="replace")
    check_csrf(form.pop(CSRF, ""), session)
    return form, None


async def read_file(
    request: web.Request, session: Session, most_bytes: int
) -> tuple[Mapping[str, str], bytes]:
    """The fields of a form with a small file, and the file, b"" if there is none. Raises like :func:`read_parts`."""
    form, file = await read_parts(request, session)
    if file is None:
        return form, b""
    async with reading_in_time():
        return form, await read_part(file, most_bytes)


async def read_part(part: BodyPartReader, most_bytes: int) -> bytes:
    """All of a part. Raises Refusal (413) if it is longer than ``most_bytes``."""
    read = bytearray()
    while piece := await read_piece(part):
        read += piece
        if len(read) > most_bytes:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"it may have at most {most_bytes} bytes")
    return bytes(read)


async def read_piece(part: BodyPartReader) -> bytes:
    """The next piece of a part, b"" at its end. Raises ValueError if the form ends within the part, which aiohttp does not detect."""
    piece = await part.read_chunk()
    if not piece and not part.at_eof():
        raise ValueError("the form ends within a part")
    return piece


def filled(model: type[BaseModel], form: Mapping[str, str]) -> BaseModel:
    """The validated form, without fields that were left empty. Raises Refusal (422)."""
    given = {name: value for name, value in form.items() if value.strip() and name in model.model_fields}
    try:
        return model.model_validate_json(orjson.dumps(given))
    except ValidationError as error:
        raise problems.of_validation(model, error) from None
