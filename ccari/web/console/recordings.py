"""Pages for recordings: the list, one recording with its tag and what holds it, and listening with a key that the person
provides.
"""

import base64
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from pydantic import Field

from ccari.errors import InputError, RecordingDelayed, RecordingError, UnknownError
from ccari.policy.bases import LegalBasis
from ccari.policy.recording import RecordingState
from ccari.ports.accesses import Looked
from ccari.ports.listening import Opened
from ccari.web import recordings as api
from ccari.web.console import rendering
from ccari.web.console.pages import PAGE_ROWS, Answer, Moved, Shown, Visit, kept_query, of_a_page
from ccari.web.console.sessions import PATH
from ccari.web.console.window import render_page
from ccari.web.downloads import send
from ccari.web.models.fields import one_line
from ccari.web.models.recordings import (
    HoldBody,
    HoldPath,
    HoldsQuery,
    RecordingPath,
    RecordingsQuery,
)
from ccari.web.problems import ALWAYS, Refusal, not_there

#: An identity file is a few lines.
IDENTITY_BYTES = 16 * 1024
_MOST_WHY = 200
#: A multiple of three, so that the pieces' base64 together is the base64 of the whole.
_PIECE_BYTES = 3 * 64 * 1024
_WAVE_HEIGHT = 60.0


@dataclass(frozen=True, slots=True)
class Wave:
    """The waveform of one channel: the path of an SVG that is ``parts`` wide."""

    side: str
    path: str
    parts: int


class RegisterQuery(RecordingsQuery):
    """``holds_after``: the cursor of the list of holds."""

    holds_after: Annotated[int | None, Field(ge=1, lt=2**63)] = None


async def register(visit: Visit) -> Answer:
    """The newest recordings first, and the holds in force."""
    query = of_a_page(visit.ask.query or RegisterQuery())
    page = (await api.list_recordings(visit.asking(query=query))).content
    of_holds = HoldsQuery(limit=PAGE_ROWS, after=query.holds_after)
    holds = (await api.list_holds(visit.asking(query=of_holds))).content
    policy = await visit.ask.policy()
    fields = {
        "page": page, "query": query, "keep": kept_query(visit), "keep_holds": kept_query(visit, "holds_after"), "holds": holds, "states": list(RecordingState),
        "bases": list(LegalBasis), "campaigns": policy.campaigns if policy else (),
    }  # fmt: skip
    return Shown("recordings.html.j2", fields)


async def one(visit: Visit) -> Answer:
    """One recording with its tag, and the form to listen to it, for those who may."""
    return Shown("recording.html.j2", {**await _recording(visit), "waves": (), "kind": ""})


async def hold(visit: Visit) -> Answer:
    """Place a legal hold on the recording."""
    path: RecordingPath = visit.ask.path
    body = HoldBody(recording=path.id, reason=visit.ask.body.reason)
    placed = (await api.hold(visit.asking(body=body))).content
    return Moved(f"{PATH}/recordings/{path.id}", visit.words("recordings.held", n=placed.id))


async def release(visit: Visit) -> Answer:
    """Release a hold."""
    path: HoldPath = visit.ask.path
    try:
        await api.release(visit.ask)
    except UnknownError:
        # the hold exists, and the bearer may see it: the API checks that first
        raise Refusal(HTTPStatus.CONFLICT, f"hold {path.number} has been released meanwhile") from None
    return Moved(f"{PATH}/recordings", visit.words("recordings.released", n=path.number))


async def play(visit: Visit) -> Answer:
    """Open the recording with the key that the person provides, which is not kept. Who listens is put on record before they
    can.
    """
    path: RecordingPath = visit.ask.path
    identity, why = _identity_and_reason(visit)
    front, bearer = visit.ask.front, visit.ask.bearer
    recording = await front.listening.find(path.id)
    if not bearer.sees(recording.tag.controller):
        raise not_there()
    try:
        opened = await front.listening.open(recording, identity)
    except RecordingDelayed:
        raise
    except RecordingError as error:
        raise InputError("identity", str(error)) from None
    await visit.ask.note_recording(Looked.RECORDING_PLAYED, recording.tag, why)
    # a random mark, rendered into the page in place of the audio
    mark = secrets.token_hex(16)
    fields = {**await _recording(visit), "waves": _waves(opened), "kind": opened.kind, "audio": mark}
    return await _sent(
        visit, await render_page(visit, Shown("recording.html.j2", fields)), mark, opened.audio
    )


def _identity_and_reason(visit: Visit) -> tuple[str, str]:
    """The text of the identity, from a file or pasted, and why the person wants to listen."""
    text = visit.file.decode(errors="replace")
    try:
        why = one_line(visit.form.get("why", "").strip()[:_MOST_WHY])
    except ValueError as error:
        raise InputError("why", str(error)) from None
    if not why:
        raise InputError("why", "must not be empty")
    return text if text.strip() else visit.form.get("identity", ""), why


async def _recording(visit: Visit) -> dict[str, object]:
    return {"recording": (await api.show(visit.ask)).content}


async def _sent(visit: Visit, page: str, mark: str, audio: bytes) -> web.StreamResponse:
    """Send the page piece by piece, with the audio in place of ``mark``. So the audio is stored nowhere, and no URL can fetch it again."""
    before, _, after = page.partition(mark)
    response = web.StreamResponse(
        headers={**ALWAYS, **rendering.HEADERS, "content-type": "text/html; charset=utf-8"}
    )
    async with aclosing(_pieces(audio, after)) as rest:
        await send(visit.ask, response, before.encode(), rest)
    return response


async def _pieces(audio: bytes, after: str) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(audio), _PIECE_BYTES):
        yield base64.b64encode(audio[at : at + _PIECE_BYTES])
    yield after.encode()


def _waves(opened: Opened) -> list[Wave]:
    """The waveforms: of a stereo recording, the agent's side and the callee's."""
    sides = ("agent", "callee") if len(opened.peaks) > 1 else ("both",)
    return [Wave(side, _path(peaks), len(peaks)) for side, peaks in zip(sides, opened.peaks, strict=True)]


def _path(peaks: Sequence[float]) -> str:
    middle = _WAVE_HEIGHT / 2
    return "".join(
        f"M{at + 0.5} {middle - max(peak * middle, 0.5):.1f}V{middle + max(peak * middle, 0.5):.1f}"
        for at, peak in enumerate(peaks)
    )
