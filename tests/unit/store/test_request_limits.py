"""Closed requests past their limit no longer tell whose they were, but still bar, prove and keep what they did."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccari.errors import NoRequestError, RequestError
from ccari.office.dossiers import dossier
from ccari.office.limits import Expired
from ccari.policy.declaration import read
from ccari.policy.gate import Block
from ccari.policy.limits import Limit, standing
from ccari.policy.retention import Limited
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.seal import Kind
from ccari.ports.calls import OpenedCall
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.pressed import Pressed
from ccari.ports.requests import Clock
from ccari.store import journals
from tests.unit.store import made, person
from tests.unit.store.commands import on
from tests.unit.store.expiring import (
    HOLD,
    OF_ACCESSES,
    OF_LONG_AGO,
    OTHER,
    Keeps,
    applied,
    asked_for,
    by_one_clock,
    erases_one,
    expire,
    expire_beside_a_hold,
    expire_unseen,
    held,
    keeper_of,
    lift_restriction,
    on_number,
    recording_kept,
    recordings_deleted,
    restricted,
    told_of_one,
    with_limit,
)
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.killing import KilledError, kill
from tests.unit.store.listed import agreed
from tests.unit.store.test_call_limits import over
from tests.unit.store.test_erasure import consents, erase
from tests.unit.store.test_requests import by, letter
from tests.unit.store.test_seals import sign

LIMIT = Limit(Limited.REQUESTS, "acme", 365)
FORWARDED = replace(LIMIT, forwarded=True)
LIMITED = with_limit(Limited.REQUESTS)
GONE: dict[str, object] = {"digest": None, "digests": [], "key_version": None, "number": None}


async def closed(
    shelf: Shelf, reference: str, ago: timedelta = OF_LONG_AGO, to: RequestState = RequestState.WITHDRAWN
) -> str:
    """The request, closed that long ago."""
    await shelf.store.requests.step(reference, to, by("cli:anna", "by phone"))
    await shelf.database.rows(
        "UPDATE rights_requests SET closed_at = $2 WHERE reference = $1", reference, NOW - ago
    )
    return reference


async def asked(shelf: Shelf, right: Right = Right.ACCESS, **of: Any) -> str:
    """A request that came by letter, closed long ago."""
    return await closed(shelf, await person.asked(shelf, right, **of))


async def pressed(shelf: Shelf, call: OpenedCall, right: Right = Right.OBJECTION) -> str:
    """A request that was pressed in the call, closed long ago."""
    return await closed(shelf, await shelf.store.calls.register_right(call, made.exercise(right), ()))


async def row(shelf: Shelf, reference: str) -> dict[str, Any]:
    (found,) = await shelf.database.rows("SELECT * FROM rights_requests WHERE reference = $1", reference)
    return found


async def is_anybodys(shelf: Shelf, reference: str) -> bool:
    return (await row(shelf, reference))["digest"] is not None


async def test_what_was_erased_on_request_passes_for_deleted_by_hand_once_the_requests_expire(
    shelf: Shelf,
) -> None:
    """Whichever of the two expires first."""
    older, younger = await asked(shelf, note="letter of Jan"), await person.asked(shelf, Right.ACCESS)
    await shelf.store.requests.step(younger, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    erasure = await person.asked(shelf)
    await erase(shelf, erasure)
    await closed(shelf, erasure, to=RequestState.FULFILLED)
    assert {each["reason"] for each in (await shelf.store.requests.show(younger)).history} == {"erased"}
    assert await shelf.faults(Kind.REQUEST) == []
    assert await expire(shelf, LIMIT) == Expired(2)
    assert [await is_anybodys(shelf, each) for each in (older, younger, erasure)] == [False, True, False]
    assert await shelf.faults(Kind.REQUEST) == []
    await shelf.database.rows(
        "UPDATE rights_requests SET closed_at = $2 WHERE reference = $1", younger, NOW - OF_LONG_AGO
    )
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await shelf.faults(Kind.REQUEST) == []


async def test_a_request_whose_time_is_over_tells_whose_it_was(shelf: Shelf) -> None:
    call = await person.called(shelf)
    reference = await pressed(shelf, call)
    await shelf.store.seals.seal(sign, 10)
    before = await row(shelf, reference)
    assert await expire(shelf, LIMIT) == Expired(1)
    found = await row(shelf, reference)
    assert {name: found[name] for name in GONE} == GONE
    # the call still told whose it was
    assert found["call_id"] is None
    told = (
        "right",
        "article",
        "state",
        "level",
        "received_at",
        "registered_at",
        "due",
        "closed_at",
        "channel",
    )
    assert {name: found[name] for name in told} == {name: before[name] for name in told}
    record = await shelf.store.requests.show(reference)
    assert record.fault is None
    assert [(each["who"], each["reason"]) for each in record.history] == [
        ("erased", "erased"),
        ("erased", "erased"),
        ("housekeeping", "requests_days = 365: from now on it does not show whose it was"),
    ]
    assert {each["state"] for each in record.history[1:]} == {"withdrawn"}
    assert await shelf.faults(Kind.REQUEST) == []
    # what was added to it is sealed, and it is still as it was sealed before
    assert await shelf.store.seals.seal(sign, 10) == 1
    assert (await shelf.store.requests.show(reference)).fault is None
    assert await expire(shelf, LIMIT) == Expired()


async def test_evidence_or_a_list_of_requests_fails_on_one_that_has_expired(shelf: Shelf) -> None:
    reference = await asked(shelf, Right.OBJECTION)
    assert len((await shelf.store.seals.of_request(reference)).bars) == 1
    assert await expire(shelf, LIMIT) == Expired(1)
    shown = await dossier(reference, shelf.store.requests, shelf.store.forwards, None)
    assert (shown["digest"], shown["number"], shown["suppressions"], shown["fault"]) == (None, None, [], None)
    assert shown["expired_at"] is not None
    assert [each["reference"] for each in await shelf.store.requests.list("acme", 10)] == [reference]
    assert await shelf.store.requests.of({"acme": made.digests()}, 10, clock=Clock(NOW, {})) == []
    account = await shelf.store.seals.of_request(reference)
    assert (account.bars, {each.fields is None for each in account.journal[:-1]}) == ([], {True})


async def test_invariant_1_whoever_objected_is_called_when_their_request_has_expired(shelf: Shelf) -> None:
    rights = (Right.OBJECTION, Right.ERASURE, Right.OBJECTION_MARKETING)
    references = [await asked(shelf, right) for right in rights]
    bars = "SELECT reason, proof, campaign, digest, expires_at FROM suppressions ORDER BY reason"
    before = await shelf.database.rows(bars)
    assert await expire(shelf, LIMIT) == Expired(3)
    assert await shelf.database.rows(bars) == before
    # the request that is the bar's proof stays named, and it says how it came and which right it exercises
    assert sorted(each["proof"] for each in before) == sorted(references)
    call = made.call()
    facts, _ = await shelf.store.calls.open(call, made.question(call))
    assert made.judge(facts) in {Block.SUPPRESSED_ERASURE, Block.SUPPRESSED_OBJECTION}


async def test_a_request_goes_before_its_time_or_while_it_is_open_or_with_anothers(shelf: Shelf) -> None:
    lately = await closed(shelf, await person.asked(shelf, Right.ACCESS), timedelta(days=364))
    of_another = await closed(shelf, await shelf.store.requests.add("beta", letter(), made.digests("beta")))
    goes_on = await person.asked(shelf, Right.RECTIFICATION)
    await shelf.database.rows("UPDATE rights_requests SET received_at = $1", NOW - 2 * OF_LONG_AGO)
    assert await expire(shelf, LIMIT) == Expired()
    assert all([await is_anybodys(shelf, each) for each in (lately, of_another, goes_on)])


@by_one_clock
async def test_a_request_goes_by_one_clock_alone(shelf: Shelf, ago: int, wrong_by: int) -> None:
    reference = await closed(shelf, await person.asked(shelf, Right.ACCESS), timedelta(days=ago))
    assert await expire(shelf, LIMIT, NOW + timedelta(days=wrong_by)) == Expired()
    assert await is_anybodys(shelf, reference)


async def _on_request(_: Shelf, __: OpenedCall, reference: str) -> HoldOn:
    return HoldOn(reference=reference)


async def _on_another(shelf: Shelf, _: OpenedCall, __: str) -> HoldOn:
    return HoldOn(reference=await closed(shelf, await person.asked(shelf, Right.RECTIFICATION), DAY))


async def _on_call(_: Shelf, call: OpenedCall, __: str) -> HoldOn:
    return HoldOn(call_id=call.id)


async def _on_lost_recording(shelf: Shelf, call: OpenedCall, _: str) -> HoldOn:
    lost = await shelf.lose(call)
    await shelf.database.rows("UPDATE recordings SET delete_at = $1", NOW - DAY)
    return HoldOn(recording_id=lost)


async def _stored_of_number(shelf: Shelf, _: OpenedCall, __: str) -> Callable[[], Awaitable[object]]:
    earlier = await person.called(shelf)
    await shelf.put(earlier, recorded=NOW - 2 * OF_LONG_AGO)
    return lambda: recordings_deleted(shelf)


async def _lost(shelf: Shelf, call: OpenedCall, _: str) -> Callable[[], Awaitable[object]]:
    await shelf.lose(call)
    return lambda: shelf.database.rows("UPDATE recordings SET delete_at = $1", NOW - DAY)


def _in_queue(state: str) -> Keeps:
    async def keeps(shelf: Shelf, _: OpenedCall, reference: str) -> Callable[[], Awaitable[object]]:
        to = "UPDATE forwards SET state = $2, settled_at = $3, number = NULL WHERE reference = $1"
        await shelf.database.rows(to, reference, "delivered", NOW)
        settled = None if state == "waiting" else NOW
        await shelf.database.rows(f"{to} AND seq = 1", reference, state, settled)
        return lambda: shelf.database.rows(to, reference, "delivered", NOW)

    return keeps


async def _erasing(shelf: Shelf, _: OpenedCall, reference: str) -> Callable[[], Awaitable[object]]:
    await shelf.database.rows(
        "INSERT INTO erasures (reference, controller, begun_by) VALUES ($1, 'acme', 'cli:dpo')", reference
    )
    return lambda: shelf.database.rows("UPDATE erasures SET finished_at = now(), report = '{}'")


@pytest.mark.parametrize(
    ("keeps", "words", "of_another"),
    [
        pytest.param(held(on_number), HOLD, 0, id="hold-on-number"),
        pytest.param(held(_on_request), HOLD, 0, id="hold-on-request"),
        pytest.param(held(_on_another), HOLD, 0, id="hold-on-another-request"),
        pytest.param(held(_on_call), HOLD, 0, id="hold-on-call"),
        pytest.param(held(_on_lost_recording), HOLD, 0, id="hold-on-recording"),
        pytest.param(recording_kept, "a recording that it is about, and that is kept", 0, id="recording"),
        pytest.param(_stored_of_number, "a recording that it is about, and that is kept", 0, id="recording-of-number"),
        pytest.param(_lost, "a recording that it is about, and that was lost and may be found again", 0, id="lost"),
        pytest.param(_in_queue("waiting"), "a step that its controller was not told of: ccari requests forwards", 1, id="waiting"),
        pytest.param(_in_queue("given_up"), "a step that its controller was not told of: ccari requests forwards", 1, id="given-up"),
        pytest.param(_erasing, "an erasure that is under way", 0, id="erasing"),
        pytest.param(asked_for(Right.ACCESS), "request ACME-2026-000003 (access)", 0, id="access"),
        pytest.param(asked_for(Right.RESTRICTION), "request ACME-2026-000003 (restriction)", 0, id="restriction"),
        pytest.param(restricted, "request ACME-2026-000003 (restriction)", 0, id="restricted"),
    ],
)  # fmt: skip
async def test_a_request_goes_that_is_kept_or_stays_when_it_is_not_any_more(
    shelf: Shelf, keeps: Keeps, words: str, of_another: int
) -> None:
    call = await person.called(shelf)
    reference, another = await pressed(shelf, call), await asked(shelf, Right.RECTIFICATION, number=OTHER)
    lets_go = await keeps(shelf, call, reference)
    if of_another:
        await shelf.database.rows(
            "UPDATE forwards SET state = 'delivered', settled_at = now(), number = NULL WHERE reference = $1", another
        )  # fmt: skip
    assert await expire(shelf, FORWARDED if of_another else LIMIT) == Expired(1, 1, Counter({words: 1}))
    assert (await is_anybodys(shelf, reference), await is_anybodys(shelf, another)) == (True, False)
    await lets_go()
    await shelf.database.rows(
        "UPDATE forwards SET state = 'delivered', settled_at = now(), number = NULL WHERE state = 'waiting'"
    )
    assert await expire(shelf, FORWARDED) == Expired(1)
    assert not await is_anybodys(shelf, reference)


async def test_a_restriction_goes_whose_bar_stands(shelf: Shelf) -> None:
    """It holds what it concerns until the person has been told that it ends, Art 18(3)."""
    reference = await person.asked(shelf, Right.RESTRICTION, level=Level.L1)
    await closed(shelf, reference, to=RequestState.FULFILLED)
    words = f"request {reference} (restriction)"
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({words: 1}))
    await lift_restriction(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_request_keeps_another_that_it_does_not_need(shelf: Shelf) -> None:
    """Nobody who asked to be forgotten is kept longer; nor is it kept by a recording that came after it."""
    await asked(shelf)
    await person.asked(shelf, Right.ERASURE)
    await person.asked(shelf, Right.PORTABILITY)
    await shelf.put(await person.called(shelf), recorded=NOW - DAY)
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_invariant_7_another_controllers_hold_and_request_keep_a_request(shelf: Shelf) -> None:
    """Even though the digests were the same: invariant 7."""
    await asked(shelf)
    await shelf.store.holds.place(HoldOn(subject=Subject("beta", made.digests())), "lawsuit", "cli:anna")
    held = await closed(shelf, await shelf.store.requests.add("beta", letter(), made.digests()))
    await shelf.store.holds.place(HoldOn(reference=held), "lawsuit", "cli:anna")
    await shelf.store.requests.add("beta", letter(), made.digests())
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_step_that_nobody_is_to_be_told_of_keeps_a_request(shelf: Shelf) -> None:
    await asked(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)


@pytest.mark.parametrize("forward", ["", 'forward = { folder = "/srv/requests" }\n'])
def test_a_controller_that_is_told_of_each_step_goes_unnoticed(forward: str) -> None:
    """By the newest policy; the one before no longer has anybody to tell."""
    limit, of_accesses = standing(
        [read(LIMITED.replace("requests_days", f"{forward}requests_days")), read(LIMITED)]
    )
    assert (limit, limit.forwarded, of_accesses) == (LIMIT, bool(forward), OF_ACCESSES)


async def test_a_list_brings_back_a_consent_that_was_erased_when_the_request_has_expired(
    shelf: Shelf,
) -> None:
    """A consent that was given after the bar, and went with a later erasure."""
    first, second = await person.asked(shelf), await person.asked(shelf)
    await erase(shelf, first)
    later = agreed(given=datetime.now(UTC))
    assert (await consents(shelf, later)).report.accepted == 1
    await erase(shelf, second)
    assert (await consents(shelf, later)).report.accepted == 0
    for each in (first, second):
        await closed(shelf, each, to=RequestState.FULFILLED)
    assert await expire(shelf, LIMIT) == Expired(2)
    assert (await consents(shelf, later)).report.accepted == 0
    assert (await consents(shelf, agreed(given=datetime.now(UTC)))).report.accepted == 1


async def test_a_right_that_comes_again_is_registered_twice_when_its_request_has_expired(
    shelf: Shelf,
) -> None:
    """It is one that a node kept on its disk, and could not remove."""
    call = await person.called(shelf)
    exercise = made.exercise(Right.OBJECTION)
    reference = await shelf.store.calls.register_right(call, exercise, ())
    await closed(shelf, reference)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await shelf.store.calls.replay(Pressed(call, exercise, ())) == reference
    assert len(await shelf.database.rows("SELECT FROM rights_requests")) == 1


async def test_a_call_that_has_expired_is_forgotten_by_its_request(shelf: Shelf) -> None:
    """The call in which it was pressed no longer leads to anybody."""
    call = await over(shelf)
    reference = await pressed(shelf, call)
    assert await expire(shelf, replace(LIMIT, limited=Limited.CALLS)) == Expired(1)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert (await row(shelf, reference))["call_id"] == call.id


async def test_a_recording_that_was_lost_comes_back_when_what_ended_it_has_expired(shelf: Shelf) -> None:
    call = await person.called(shelf)
    lost = await shelf.lose(call)
    await pressed(shelf, call)
    await shelf.database.rows("UPDATE recordings SET delete_at = $1", NOW - DAY)
    assert await expire(shelf, LIMIT) == Expired(1)
    shelf.mount(lost)
    await shelf.tend()
    assert (await shelf.row(lost))["state"] == "discarded"


async def test_what_is_written_into_a_request_that_has_expired_stays_for_good(shelf: Shelf) -> None:
    reference = await asked(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    due = (await row(shelf, reference))["due"]
    async with shelf.database.transaction() as connection:
        await journals.append_to_request(
            connection, reference, journals.RequestEntry("withdrawn", 2, due, "cli:anna", "of Jan")
        )
    assert await expire(shelf, LIMIT) == Expired(1)
    record = await shelf.store.requests.show(reference)
    assert (record.fault, [each["reason"] for each in record.history[:-1]]) == (None, ["erased"] * 4)


async def test_a_request_that_somebody_has_changed_keeps_the_others_for_good(shelf: Shelf) -> None:
    references = [await asked(shelf) for _ in range(3)]
    await shelf.database.rows("UPDATE rights_requests SET events = 1 WHERE reference = $1", references[0])
    done = await expire_unseen(shelf.store, LIMIT)
    words = f"its journal, which somebody has changed: ccari requests show {references[0]}"
    assert done == Expired(2, 1, Counter({words: 1}))
    assert [await is_anybodys(shelf, each) for each in references] == [True, False, False]


async def test_a_request_that_has_expired_is_a_ground_to_give_out_data(shelf: Shelf) -> None:
    reference = await asked(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    with pytest.raises(RequestError, match="no longer shows whose it was") as refused:
        await shelf.store.subjects.mandate(reference)
    assert not isinstance(refused.value, NoRequestError)


async def test_a_hold_is_confirmed_on_a_request_that_has_expired(shelf: Shelf) -> None:
    """It would keep nothing of whoever asked: nobody can tell any more who that was."""
    reference = await asked(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    with pytest.raises(RequestError, match=r"no longer shows whose it was .+: place the hold on the number"):
        await shelf.store.holds.place(HoldOn(reference=reference), "lawsuit", "cli:anna")


async def test_a_request_goes_past_a_hold_that_is_just_being_placed(shelf: Shelf, dsn: str) -> None:
    reference = await asked(shelf)
    assert (await expire_beside_a_hold(shelf, dsn, LIMIT, HoldOn(reference=reference))).kept == 1
    assert await is_anybodys(shelf, reference)


async def test_who_is_killed_leaves_a_request_half_gone(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = await asked(shelf)
    with monkeypatch.context() as patch:
        kill(patch, (journals, "append_to_request"), after=True)
        with pytest.raises(KilledError):
            await expire_unseen(shelf.store, LIMIT)
    assert await is_anybodys(shelf, reference)
    assert "erased" not in [each["reason"] for each in (await shelf.store.requests.show(reference)).history]
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_round_is_of_calls_alone(shelf: Shelf) -> None:
    reference = await asked(shelf)
    await applied(shelf, LIMITED, timedelta(days=2))
    done = await keeper_of(shelf.store).round()
    assert done == {LIMIT: Expired(1), OF_ACCESSES: Expired()}
    assert not await is_anybodys(shelf, reference)


async def test_the_command_expires_requests_unasked_or_calls_with_them(
    dsn: str, tmp_path: Path, shelf: Shelf
) -> None:
    ccari, reference, call = on(dsn, tmp_path), await asked(shelf), await over(shelf)
    policy = LIMITED.replace("requests_days", "calls_days = 365\nrequests_days")
    await told_of_one(ccari, shelf, Limited.REQUESTS, policy)
    assert await is_anybodys(shelf, reference)
    await erases_one(ccari, Limited.REQUESTS)
    assert not await is_anybodys(shelf, reference)
    assert (await shelf.database.rows("SELECT expired_at FROM calls WHERE id = $1", call.id))[0][
        "expired_at"
    ] is None
    shown = await ccari.json("requests", "show", reference)
    assert (shown["digest"], shown["history"][-1]["reason"].partition(":")[0]) == (
        None,
        "requests_days = 365",
    )
