"""Recordings and what holds them; their audio is given out encrypted, as it lies there."""

from datetime import datetime
from uuid import UUID

from aiohttp import web
from pydantic import TypeAdapter

from ccari.errors import UnknownError
from ccari.gating.subjects import to_hold
from ccari.ports.accesses import Looked
from ccari.ports.holds import HoldOn
from ccari.ports.recordings import WantedRecordings
from ccari.web.downloads import sent
from ccari.web.front import Ask, Reply
from ccari.web.models.fields import Moment
from ccari.web.models.recordings import (
    HoldBody,
    HoldPage,
    HoldPath,
    HoldShown,
    HoldsQuery,
    RecordingPage,
    RecordingPath,
    RecordingShown,
    RecordingsQuery,
    ReleaseBody,
)
from ccari.web.paging import cursor, cut, place
from ccari.web.problems import not_there
from ccari.web.suppressions import narrowed

ENCRYPTED = "application/octet-stream"
_PLACE: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[Moment, UUID])


async def list_recordings(ask: Ask) -> Reply:
    """Recordings, the newest first, each with its legal basis, from when it is deleted, and what holds it."""
    query: RecordingsQuery = ask.query
    wanted = WantedRecordings(
        None, await narrowed(ask, query.controller), query.campaign, query.state, query.legal_basis, query.call,
        place(query.after, _PLACE),
    )  # fmt: skip
    rows = await ask.front.shelf.page(query.limit + 1, wanted)
    page, after = cut(rows, query.limit, lambda row: cursor(row["tagged_at"], row["id"]))
    return Reply(RecordingPage.model_validate({"items": page, "next": after}))


async def show(ask: Ask) -> Reply:
    """One recording with its tag."""
    path: RecordingPath = ask.path
    shown = await ask.front.shelf.show(path.id)
    if not ask.bearer.sees(shown["controller"]):
        raise not_there()
    return Reply(RecordingShown.model_validate(shown))


async def file(ask: Ask) -> web.StreamResponse:
    """The file as it lies there, encrypted: only who holds a key can open it (`age --decrypt`). Its call's journal tells."""
    path: RecordingPath = ask.path
    # first, for why another's cannot be given out would tell that there is one
    if not ask.bearer.sees(await _controller_of(ask, HoldOn(path.id))):
        raise not_there()
    found, pieces = await ask.front.shelf.encrypted(path.id)
    tag = found.tag
    of = {"recording": str(path.id), "call": str(tag.call_id), "controller": tag.controller}
    await ask.note(Looked.RECORDING_FETCHED, of)
    await ask.front.journal.append(
        tag.call_id, "recording_fetched", {"recording": str(path.id), "by": ask.who}
    )
    length = {"content-length": str(found.kept.size)}
    return await sent(ask, ENCRYPTED, f"{path.id}.{found.kept.format}.age", pieces, length)


async def list_holds(ask: Ask) -> Reply:
    """Legal holds, the newest first, each with how many stored recordings it is on."""
    query: HoldsQuery = ask.query
    rows = await ask.front.holds.page(
        query.limit + 1,
        released=query.released,
        controllers=await narrowed(ask, query.controller),
        after=query.after,
    )
    page = rows[: query.limit]
    then = page[-1]["id"] if len(rows) > query.limit else None
    return Reply(HoldPage.model_validate({"items": page, "next": then}))


async def hold(ask: Ask) -> Reply:
    """Keep recordings beyond their time, those that are still to come too, until it is released (Art 17(3)(e))."""
    body: HoldBody = ask.body
    on = HoldOn(body.recording, body.call, body.request.upper() if body.request else None)
    if body.number is not None:
        policy = await ask.policy_in_force()
        on = HoldOn(
            subject=to_hold(policy, await ask.front.vouched(), body.number, body.controller, body.reason)
        )
    elif not ask.bearer.sees(await _controller_of(ask, on)):
        raise not_there()
    placed = await ask.front.holds.place(on, body.reason.strip(), ask.who)
    return Reply(HoldShown.model_validate(placed))


async def release(ask: Ask) -> Reply:
    """End a hold. What is over by then, and not held otherwise, is deleted within minutes."""
    path: HoldPath = ask.path
    body: ReleaseBody = ask.body
    found = await ask.front.holds.show(path.number)
    if found is None or not ask.bearer.sees(found["controller"]):
        raise not_there()
    return Reply(
        HoldShown.model_validate(await ask.front.holds.release(path.number, body.reason.strip(), ask.who))
    )


async def _controller_of(ask: Ask, on: HoldOn) -> str | None:
    """Whose recordings would be held. Raises UnknownError if there is no such thing."""
    front = ask.front
    if on.recording_id is not None:
        found: str | None = (await front.shelf.show(on.recording_id))["controller"]
    elif on.call_id is not None:
        found = (await front.records.show_call(on.call_id)).call["controller"]
    elif on.reference is not None:
        found = (await front.requests.show(on.reference)).request["controller"]
    else:
        raise UnknownError("there is nothing to hold")
    return found
