"""Recordings: the list, one with its tag and what holds it, and listening to it with a key that is brought along."""

import asyncio
import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from aiohttp import web
from pydantic import Field

from ccari.errors import InputError, RecordingDelayed, RecordingError
from ccari.policy.bases import LegalBasis
from ccari.ports.accesses import Looked
from ccari.ports.listening import Opened
from ccari.web import recordings as api
from ccari.web.console import rendering
from ccari.web.console.pages import Answer, Moved, Shown, Visit, kept_query
from ccari.web.console.sessions import PATH
from ccari.web.console.window import rendered
from ccari.web.models.fields import one_line
from ccari.web.models.recordings import (
    HoldBody,
    HoldPage,
    HoldPath,
    HoldsQuery,
    RecordingPage,
    RecordingPath,
    RecordingShown,
    RecordingsQuery,
)
from ccari.web.problems import ALWAYS, not_there

_PAGE_ROWS = 50
_STATES = ("stored", "recording", "finished", "failed", "discarded", "deleted")
#: An identity file is a few lines.
IDENTITY_BYTES = 16 * 1024
_MOST_WHY = 200
#: For whoever listens to take one more piece of the page; a multiple of three, so that base64 of the pieces is that of all.
WRITE_SECONDS = 30.0
_PIECE_BYTES = 3 * 64 * 1024
_WAVE_HEIGHT = 60.0


@dataclass(frozen=True, slots=True)
class Wave:
    """The picture of one channel: the path of an SVG, so many ``parts`` wide."""

    side: str
    path: str
    parts: int


class RegisterQuery(RecordingsQuery):
    """``holds_after``: where the next page of the holds begins."""

    holds_after: Annotated[int | None, Field(ge=1, lt=2**63)] = None


async def register(visit: Visit) -> Answer:
    """The newest first, and the holds that are in force."""
    query = visit.ask.query or RegisterQuery()
    query = query.model_copy(update={"limit": min(query.limit, _PAGE_ROWS)})
    page = RecordingPage.model_validate((await api.list_recordings(visit.asking(query=query))).content)
    holds = HoldPage.model_validate(
        (
            await api.list_holds(visit.asking(query=HoldsQuery(limit=_PAGE_ROWS, after=query.holds_after)))
        ).content
    )
    policy = await visit.ask.policy()
    told = {
        "page": page, "query": query, "keep": kept_query(visit), "keep_holds": kept_query(visit, "holds_after"), "holds": holds, "states": _STATES,
        "bases": list(LegalBasis), "campaigns": policy.campaigns if policy else (),
    }  # fmt: skip
    return Shown("recordings.html.j2", told)


async def one(visit: Visit) -> Answer:
    """One recording with its tag; the form to listen to it, for whom may."""
    return Shown("recording.html.j2", {**await _told(visit), "waves": (), "kind": ""})


async def hold(visit: Visit) -> Answer:
    """Keep it beyond its time."""
    path: RecordingPath = visit.ask.path
    body = HoldBody(recording=path.id, reason=visit.ask.body.reason)
    placed = (await api.hold(visit.asking(body=body))).content
    return Moved(f"{PATH}/recordings/{path.id}", visit.words("recordings.held", n=placed.model_dump()["id"]))


async def release(visit: Visit) -> Answer:
    """End a hold."""
    path: HoldPath = visit.ask.path
    await api.release(visit.ask)
    return Moved(f"{PATH}/recordings", visit.words("recordings.released", n=path.number))


async def play(visit: Visit) -> Answer:
    """Open it with the key that was brought along, which is forgotten, and tell on record who listens, before they can."""
    path: RecordingPath = visit.ask.path
    identity, why = _brought(visit)
    front, bearer = visit.ask.front, visit.ask.bearer
    found = await front.listening.find(path.id)
    tag = found.tag
    if not bearer.sees(tag.controller):
        raise not_there()
    try:
        opened = await front.listening.open(found, identity)
    except RecordingDelayed:
        raise
    except RecordingError as error:
        raise InputError("identity", str(error)) from None
    of = {"recording": str(path.id), "call": str(tag.call_id), "controller": tag.controller}
    await visit.ask.note(Looked.RECORDING_PLAYED, of, why)
    await front.journal.append(
        tag.call_id, "recording_played", {"recording": str(path.id), "by": visit.ask.who}
    )
    # where the audio stands in the page, which is made before it; nothing else on it can say the same
    place = secrets.token_hex(16)
    told = {**await _told(visit), "waves": _waves(opened), "kind": opened.kind, "audio": place}
    return await _sent(visit, await rendered(visit, Shown("recording.html.j2", told)), place, opened.audio)


def _brought(visit: Visit) -> tuple[str, str]:
    """The text of the identity, from a file or pasted, and what for."""
    text = visit.file.decode(errors="replace")
    try:
        why = one_line(visit.form.get("why", "").strip()[:_MOST_WHY])
    except ValueError as error:
        raise InputError("why", str(error)) from None
    if not why:
        raise InputError("why", "must say something")
    return text if text.strip() else visit.form.get("identity", ""), why


async def _told(visit: Visit) -> dict[str, object]:
    shown = RecordingShown.model_validate((await api.show(visit.asking(path=visit.ask.path))).content)
    return {"recording": shown}


async def _sent(visit: Visit, page: str, place: str, audio: bytes) -> web.StreamResponse:
    """The page with the audio in it, piece by piece: it is stored nowhere, and has no URL that could be asked for again."""
    before, _, after = page.partition(place)
    response = web.StreamResponse(
        headers={**ALWAYS, **rendering.HEADERS, "content-type": "text/html; charset=utf-8"}
    )
    pieces = (base64.b64encode(audio[at : at + _PIECE_BYTES]) for at in range(0, len(audio), _PIECE_BYTES))
    try:
        await response.prepare(visit.ask.request)
        await _write(response, before.encode())
        for piece in pieces:
            await _write(response, piece)
        await _write(response, after.encode())
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        # whoever listens is gone
        response.force_close()
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(piece)


def _waves(opened: Opened) -> list[Wave]:
    """Of a stereo recording the agent's side and the callee's."""
    sides = ("agent", "callee") if len(opened.peaks) > 1 else ("both",)
    return [Wave(side, _path(peaks), len(peaks)) for side, peaks in zip(sides, opened.peaks, strict=True)]


def _path(peaks: Sequence[float]) -> str:
    middle = _WAVE_HEIGHT / 2
    return "".join(
        f"M{at + 0.5} {middle - max(peak * middle, 0.5):.1f}V{middle + max(peak * middle, 0.5):.1f}"
        for at, peak in enumerate(peaks)
    )
