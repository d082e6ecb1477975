"""What the simulated database does and what PostgreSQL does: the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ccari.errors import StoreError
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from ccari.store.opened import Store
from tests.unit.interleaving.database import Database, MemoryCalls, MemoryRecordings
from tests.unit.interleaving.plan import Plan
from tests.unit.store import made

KEPT = {"version": 1, "home": None}


@dataclass
class Kept:
    """``events``: a call's journal; ``ends``: its outcome and reason."""

    calls: Any
    recordings: Any
    events: Callable[[UUID], Awaitable[list[str]]]
    end: Callable[[UUID], Awaitable[tuple[str | None, str | None]]]


def _in_memory() -> Kept:
    database = Database(lambda: datetime.now(UTC), Plan(), lambda *_: None)

    async def events(call: UUID) -> list[str]:
        return database.calls[call].events

    async def end(call: UUID) -> tuple[str | None, str | None]:
        return database.calls[call].outcome, database.calls[call].reason

    return Kept(MemoryCalls(database), MemoryRecordings(database), events, end)


def _in_postgres(store: Store) -> Kept:
    async def events(call: UUID) -> list[str]:
        return [each["event"] for each in (await store.records.show_call(call)).events]

    async def end(call: UUID) -> tuple[str | None, str | None]:
        (row,) = await store.database.rows("SELECT outcome, reason FROM calls WHERE id = $1", call)
        return row["outcome"], row["reason"]

    return Kept(store.calls, store.recordings, events, end)


@pytest.fixture(params=["memory", "postgres"])
def kept(request: pytest.FixtureRequest) -> Kept:
    if request.param == "memory":
        return _in_memory()
    return _in_postgres(request.getfixturevalue("store"))


async def test_a_token_is_spent_twice(kept: Kept) -> None:
    call = made.call()
    await kept.calls.open(call, made.question(call))
    assert (
        await kept.calls.spend_token(call, made.question(call), made.judge, made.journal("callee_dialled"))
        is None
    )
    again = await kept.calls.spend_token(
        call, made.question(call), made.judge, made.journal("callee_dialled")
    )
    assert again is Block.TOKEN_SPENT
    other = made.call()
    await kept.calls.open(other, made.question(other))
    await kept.calls.close(other.id, "failed", "", ())
    assert await kept.calls.spend_token(other, made.question(other), made.judge, ()) is Block.TOKEN_SPENT


async def test_an_entry_that_comes_twice_is_written_twice(kept: Kept) -> None:
    call, entries = made.call(), made.journal("call_gated", "callee_dialled")
    await kept.calls.open(call, made.question(call))
    await kept.calls.write(call.id, entries)
    await kept.calls.write(call.id, [*entries, *made.journal("callee_rang")])
    await kept.calls.close(call.id, "bridged", "", entries)
    assert await kept.events(call.id) == ["call_gated", "callee_dialled", "callee_rang"]


async def test_entries_of_no_call_are_written(kept: Kept) -> None:
    call = made.call()
    with pytest.raises(StoreError):
        await kept.calls.write(call.id, made.journal("call_gated"))
    await kept.calls.close(call.id, "failed", "", ())
    # but a right has the row made
    for opens in (False, True):
        call = made.call()
        assert await kept.calls.register_right(
            call, made.exercise(), made.journal("key_pressed"), opens=opens
        )
        assert await kept.events(call.id) == ["key_pressed"]


async def test_a_recording_is_tagged_before_the_notice_was_heard_or_without_the_key(kept: Kept) -> None:
    call = made.call()
    tag = made.tag(call)
    await kept.calls.open(call, made.question(call))
    with pytest.raises(StoreError):
        await kept.recordings.tag(tag, made.journal("recording_tagged"))
    await kept.calls.commit_heard(call.id, "v1", None, made.journal("notice_heard"))
    asked = replace(tag, mode="opt_in")
    with pytest.raises(StoreError):
        await kept.recordings.tag(asked, made.journal("recording_tagged"))
    await kept.recordings.tag(asked, made.journal("recording_agreed", "recording_tagged"))
    assert await kept.events(call.id) == ["notice_heard", "recording_agreed", "recording_tagged"]


async def test_a_recording_goes_another_way_from_its_tag_to_its_end(kept: Kept) -> None:
    call = made.call()
    tag, name = made.tag(call), call.asterisk
    await kept.calls.open(call, made.question(call))
    await kept.calls.commit_heard(call.id, "v1", None, ())
    await kept.recordings.tag(tag, ())
    (found,) = await kept.recordings.unfinished(name)
    assert (found.begun, found.until, found.ended) == (False, None, None)
    began, ended = made.NOW + timedelta(seconds=1), made.NOW + timedelta(seconds=9)
    await kept.recordings.started(tag.recording_id, began, 40)
    await kept.recordings.started(tag.recording_id, ended, 80)
    await kept.recordings.keep_until(tag.recording_id, ended)
    await kept.recordings.keep_until(tag.recording_id, ended + timedelta(seconds=1))
    await kept.recordings.end_seen(tag.recording_id, ended)
    (found,) = await kept.recordings.unfinished(name)
    assert (found.begun, found.until, found.ended, found.lead_ms) == (True, ended, ended, 40)
    assert found.tag.started_at == began
    # received at NOW, before the recording began
    await kept.calls.register_right(call, made.exercise(Right.REFUSE_RECORDING), ())
    assert await kept.recordings.kept_until(tag.recording_id) == made.NOW
    await kept.recordings.finished(tag, None, ())
    assert await kept.recordings.unfinished(name) == []
    (found,) = await kept.recordings.waiting_on(name)
    assert not found.may_be_kept
    assert await kept.recordings.given_up(tag, "discarded", ())
    assert not await kept.recordings.given_up(tag, "failed", ())
    assert await kept.recordings.kept_until(tag.recording_id) is None
    assert await kept.recordings.waiting_on(name) == []


async def test_a_right_that_is_pressed_twice_is_two_requests(kept: Kept) -> None:
    """Even if each attempt to register it takes it for another press."""
    call = made.call()
    await kept.calls.open(call, made.question(call))
    first = await kept.calls.register_right(call, made.exercise(), made.journal("key_pressed"))
    assert await kept.calls.register_right(call, made.exercise(), ()) == first
    assert await kept.calls.register_right(call, made.exercise(Right.ACCESS), ()) != first


async def test_another_talk_is_taken_up(kept: Kept) -> None:
    call = made.call()
    await kept.calls.open(call, made.question(call))
    await kept.calls.keep_talk(call.id, KEPT, ())
    # its notice was not heard
    assert await kept.calls.left_talks(call.asterisk) == []
    await kept.calls.commit_heard(call.id, "v1", None, ())
    reference = await kept.calls.register_right(call, made.exercise(), ())
    await kept.recordings.tag(made.tag(call), ())
    (left,) = await kept.calls.left_talks(call.asterisk)
    assert (left.id, left.kept, left.recordings, left.notice_version) == (call.id, KEPT, 1, "v1")
    (right,) = left.registered
    assert (right.right, right.reference, right.by_agent, right.noted) == (
        Right.ERASURE,
        reference,
        False,
        False,
    )
    await kept.calls.write(call.id, made.journal("right_registered", reference=str(reference)))
    assert (await kept.calls.left_talks(call.asterisk))[0].registered[0].noted
    assert await kept.calls.left_talks("elsewhere") == []
    await kept.calls.close(call.id, "bridged", "", ())
    await kept.calls.keep_talk(call.id, KEPT, ())
    assert await kept.calls.left_talks(call.asterisk) == []


async def test_a_call_has_another_end(kept: Kept) -> None:
    talked, bridged, other, later = (made.call() for _ in range(4))
    for each in (talked, bridged, other):
        await kept.calls.open(each, made.question(each))
    since = await kept.calls.clock()
    await kept.calls.open(later, made.question(later))
    await kept.calls.keep_talk(talked.id, KEPT, ())
    await kept.calls.write(bridged.id, made.journal("call_bridged"))
    at = datetime.now(UTC)
    assert await kept.calls.close_abandoned(talked.asterisk, at, older_than=60.0) == 0
    assert await kept.calls.close_abandoned("elsewhere", at) == 0
    assert await kept.calls.close_abandoned(talked.asterisk, at, [other.id], opened_before=since) == 2
    ends = [await kept.end(each.id) for each in (talked, bridged, other, later)]
    died = ("bridged", "service_died")
    assert ends == [died, died, (None, None), (None, None)]
    await kept.calls.close(talked.id, "failed", "internal_error", ())
    assert await kept.end(talked.id) == died
    assert (await kept.events(bridged.id)).count("call_ended") == 1
