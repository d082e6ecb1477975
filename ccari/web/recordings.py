"""Recordings and legal holds over HTTP. Audio is given out encrypted, as it is stored."""

from typing import Protocol

from aiohttp import web

from ccari.errors import UnknownError
from ccari.office.subjects import subject_to_hold
from ccari.ports.accesses import Looked
from ccari.ports.holds import HoldOn, HoldStore
from ccari.ports.recordings import RecordingShelf, WantedRecordings
from ccari.ports.records import CallRecords
from ccari.ports.requests import RequestRegister
from ccari.web.downloads import sent
from ccari.web.front import Ask, NumberPorts, Ports, Reply
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
from ccari.web.paging import BY_MOMENT, cursor, cut, place
from ccari.web.problems import not_there

ENCRYPTED = "application/octet-stream"


class RecordingPorts(Ports, Protocol):
    @property
    def shelf(self) -> RecordingShelf: ...


class HoldPorts(RecordingPorts, NumberPorts, Protocol):
    @property
    def holds(self) -> HoldStore: ...
    @property
    def records(self) -> CallRecords: ...
    @property
    def requests(self) -> RequestRegister: ...


async def list_recordings(ask: Ask[RecordingPorts]) -> Reply[RecordingPage]:
    """Recordings, the newest first, each with its legal basis, when it is due to be deleted, and what holds it."""
    query: RecordingsQuery = ask.query
    wanted = WantedRecordings(
        None, await ask.narrowed(query.controller), query.campaign, query.state, query.legal_basis, query.call,
        place(query.after, BY_MOMENT),
    )  # fmt: skip
    rows = await ask.front.shelf.page(query.limit + 1, wanted)
    page, after = cut(rows, query.limit, lambda row: cursor(row["tagged_at"], row["id"]))
    return Reply(RecordingPage.model_validate({"items": page, "next": after}))


async def show(ask: Ask[RecordingPorts]) -> Reply[RecordingShown]:
    """One recording with its tag."""
    path: RecordingPath = ask.path
    shown = await ask.front.shelf.show(path.id)
    if not ask.bearer.sees(shown["controller"]):
        raise not_there()
    return Reply(RecordingShown.model_validate(shown))


async def file(ask: Ask[RecordingPorts]) -> web.StreamResponse:
    """The encrypted file. Only somebody with a key can open it (`age --decrypt`). The call's journal records that it was
    fetched.
    """
    path: RecordingPath = ask.path
    # first, because any other error would reveal that another controller has a recording with that id
    if not ask.bearer.sees((await ask.front.shelf.show(path.id))["controller"]):
        raise not_there()
    recording, pieces = await ask.front.shelf.encrypted(path.id)
    await ask.note_recording(Looked.RECORDING_FETCHED, recording.tag)
    length = {"content-length": str(recording.kept.size)}
    return await sent(ask, ENCRYPTED, f"{path.id}.{recording.kept.format}.age", pieces, length)


async def list_holds(ask: Ask[HoldPorts]) -> Reply[HoldPage]:
    """Legal holds, the newest first, each with how many stored recordings it holds."""
    query: HoldsQuery = ask.query
    rows = await ask.front.holds.page(
        query.limit + 1,
        released=query.released,
        controllers=await ask.narrowed(query.controller),
        after=query.after,
    )
    page, then = cut(rows, query.limit, lambda row: row["id"])
    return Reply(HoldPage.model_validate({"items": page, "next": then}))


async def hold(ask: Ask[HoldPorts]) -> Reply[HoldShown]:
    """Place a legal hold: recordings, also those still to come, are kept beyond their time until it is released (Art 17(3)(e))."""
    body: HoldBody = ask.body
    on = HoldOn(body.recording, body.call, body.request.upper() if body.request else None)
    if body.number is not None:
        policy = await ask.policy_in_force()
        on = HoldOn(
            subject=subject_to_hold(
                policy, await ask.front.vouched(), body.number, body.controller, body.reason
            )
        )
    elif not ask.bearer.sees(await _controller_of(ask, on)):
        raise not_there()
    placed = await ask.front.holds.place(on, body.reason.strip(), ask.who)
    return Reply(HoldShown.model_validate(placed))


async def release(ask: Ask[HoldPorts]) -> Reply[HoldShown]:
    """Release a hold. Recordings that are past their time by then, and that nothing else holds, are deleted within minutes."""
    path: HoldPath = ask.path
    body: ReleaseBody = ask.body
    held = await ask.front.holds.show(path.number)
    if held is None or not ask.bearer.sees(held["controller"]):
        raise not_there()
    return Reply(
        HoldShown.model_validate(await ask.front.holds.release(path.number, body.reason.strip(), ask.who))
    )


async def _controller_of(ask: Ask[HoldPorts], on: HoldOn) -> str | None:
    """The controller of what would be held. Raises UnknownError if it does not exist."""
    front = ask.front
    if on.recording_id is not None:
        controller: str | None = (await front.shelf.show(on.recording_id))["controller"]
    elif on.call_id is not None:
        controller = (await front.records.show_call(on.call_id)).call["controller"]
    elif on.reference is not None:
        controller = (await front.requests.show(on.reference)).request["controller"]
    else:
        raise UnknownError("there is nothing to hold")
    return controller
