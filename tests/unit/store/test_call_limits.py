"""Calls past their limit no longer tell whose they were, except those that something keeps."""

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ccari.errors import ExpiryError, StoreError, UnknownError
from ccari.keyring.secrets import SecretStore
from ccari.office.limits import Expired
from ccari.policy.limits import GRACE, Limit
from ccari.policy.retention import Limited
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.calls import OpenedCall
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.limits import PastLimit
from ccari.store import journals, limits
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.commands import on
from tests.unit.store.expiring import (
    ALIKE,
    HELD_UP,
    HOLD,
    OF_ACCESSES,
    OF_LONG_AGO,
    OTHER,
    WITHIN,
    Keeps,
    applied,
    by_one_clock,
    expire,
    expire_beside_a_hold,
    expire_unseen,
    held,
    keeper_of,
    recording_kept,
    with_limit,
)
from tests.unit.store.forging import dated_back
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.killing import KilledError, kill
from tests.unit.store.made import new_secret
from tests.unit.store.test_requests import by, letter
from tests.unit.store.test_seals import sign
from tests.unit.store.test_starting import begun, to_start, told

LIMIT = Limit(Limited.CALLS, "acme", 365)
LIMITED = with_limit(Limited.CALLS)
_CONTROLLER = LIMITED.partition("[[campaigns]]")[0]
TWO_LIMITED = _CONTROLLER + _CONTROLLER.replace('"acme"', '"beta"')


async def over(shelf: Shelf, ago: timedelta = OF_LONG_AGO, basis: str = "contract", **of: Any) -> OpenedCall:
    """A call that ended that long ago."""
    call = await person.called(shelf, basis=basis, **of)
    (ended,) = await shelf.database.rows("SELECT ended_at FROM calls WHERE id = $1", call.id)
    await dated_back(shelf.database, call.id, ended["ended_at"] - NOW + ago)
    return call


async def over_of_another(shelf: Shelf) -> OpenedCall:
    """A call of another controller that ended that long ago."""
    call = await shelf.call(made.call("beta"))
    await shelf.store.calls.close(call.id, "bridged", "", ())
    await shelf.database.rows("UPDATE calls SET ended_at = $2 WHERE id = $1", call.id, NOW - OF_LONG_AGO)
    return call


async def row(shelf: Shelf, call: OpenedCall) -> dict[str, Any]:
    (found,) = await shelf.database.rows("SELECT * FROM calls WHERE id = $1", call.id)
    return found


async def is_anybodys(shelf: Shelf, call: OpenedCall) -> bool:
    return (await row(shelf, call))["digest"] is not None


async def test_a_call_whose_time_is_over_tells_whose_it_was(shelf: Shelf) -> None:
    call = await over(shelf)
    reference = await shelf.store.calls.register_right(call, made.exercise(Right.OBJECTION), ())
    await shelf.store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    await shelf.store.seals.seal(sign, 10)
    assert await expire(shelf, LIMIT) == Expired(1)
    found = await row(shelf, call)
    assert (found["digest"], found["key_version"], found["number_masked"], found["agent"]) == (
        None,
        None,
        "—",
        "—",
    )
    assert (found["campaign"], found["outcome"], found["legal_basis"]) == ("renewals", "bridged", "contract")
    told = await person.fields_of(shelf, call.id)
    assert told.pop("personal_data_erased") == {"calls_days": "365", "by": "housekeeping"}
    assert set(told) == {"call_gated", "notice_heard", "call_ended"}
    assert set(told.values()) == {None}
    assert await shelf.database.rows("SELECT * FROM heard_notices") == []
    bars = await shelf.database.rows("SELECT reason FROM suppressions")
    assert bars == [{"reason": "objection"}]
    # what was added to it is sealed, and it is still as it was sealed before
    assert await shelf.store.seals.seal(sign, 10) == 1
    assert (await shelf.store.records.show_call(call.id)).fault is None
    assert await expire(shelf, LIMIT) == Expired()


async def test_a_call_that_has_expired_shows_dashes_and_not_why(ccari: Service, shelf: Shelf) -> None:
    gone, kept = await over(shelf), await over(shelf, timedelta(days=1))
    assert await expire(shelf, LIMIT) == Expired(1)
    at = (await row(shelf, gone))["expired_at"]
    listed = {each["id"]: each["expired_at"] for each in await ccari.json("calls", "list")}
    assert listed == {str(gone.id): at.isoformat(), str(kept.id): None}
    shown = await ccari.json("calls", "show", str(gone.id))
    assert shown["expired_at"] == at.isoformat()
    lines = (await ccari.ccari("calls", "list")).out.splitlines()
    for call, said in ((gone, f"expired {at.astimezone():%Y-%m-%d}"), (kept, made.NUMBER.masked)):
        (line,) = [each for each in lines if str(call.id) in each]
        assert said in line


async def test_a_call_goes_before_its_time_or_with_anothers(shelf: Shelf) -> None:
    lately = await over(shelf, timedelta(days=364))
    of_another = await over_of_another(shelf)
    goes_on = await shelf.call()
    await shelf.database.rows("UPDATE calls SET opened_at = $1", NOW - OF_LONG_AGO)
    assert await expire(shelf, LIMIT) == Expired()
    assert all([await is_anybodys(shelf, each) for each in (lately, of_another, goes_on)])


@by_one_clock
async def test_a_call_goes_by_one_clock_alone(shelf: Shelf, ago: int, wrong_by: int) -> None:
    """A node whose clock runs years ahead must not erase what the fleet has."""
    call = await over(shelf, timedelta(days=ago))
    assert await expire(shelf, LIMIT, NOW + timedelta(days=wrong_by)) == Expired()
    assert await is_anybodys(shelf, call)


async def test_what_a_number_has_heard_goes_before_its_last_call_or_tells_of_one_that_is_gone(
    shelf: Shelf,
) -> None:
    first, last = await over(shelf), await over(shelf, DAY)
    await shelf.database.rows("DELETE FROM heard_notices WHERE call_id = $1", last.id)
    assert await expire(shelf, LIMIT) == Expired(1)
    heard = await shelf.database.rows("SELECT information_version, call_id FROM heard_notices")
    assert heard == [{"information_version": f"i1 {first.id}", "call_id": None}]
    await shelf.database.rows("UPDATE calls SET ended_at = $2 WHERE id = $1", last.id, NOW - OF_LONG_AGO)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await shelf.database.rows("SELECT * FROM heard_notices") == []


async def test_for_whom_or_why_a_recording_was_deleted_leads_to_whose_call_it_was(shelf: Shelf) -> None:
    call = await over(shelf)
    await shelf.put(call)
    await shelf.database.rows(
        "UPDATE recordings SET state = 'deleted', deleted_at = now(), deletion = 'erasure', deletion_ref = 'ACME-2026-000007'"
    )
    fields = {"why": "erasure", "reference": "ACME-2026-000007", "by": "cli:anna"}
    await shelf.store.calls.append(call.id, "recording_deleted", fields)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await shelf.database.rows("SELECT deletion, deletion_ref FROM recordings") == [
        {"deletion": "erasure", "deletion_ref": ""}
    ]
    assert (await person.fields_of(shelf, call.id))["recording_deleted"] is None


async def test_evidence_of_a_call_that_has_expired_tells_whose_consent_it_was_made_on(shelf: Shelf) -> None:
    call = await over(shelf)
    await person.known(shelf, words="form 12 of Jan")
    await person.used(shelf, call)
    assert [each["proof"] for each in (await shelf.store.seals.of_call(call.id)).consents] == [
        "form 12 of Jan"
    ]
    assert await expire(shelf, LIMIT) == Expired(1)
    assert (await shelf.store.seals.of_call(call.id)).consents == []
    # the proof of its use stays
    assert len(await shelf.database.rows("SELECT * FROM consent_uses")) == 1


async def test_what_is_written_into_a_call_that_has_expired_stays_for_good(shelf: Shelf) -> None:
    """A right, for example, that was on a node's disk meanwhile."""
    call = await over(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    reference = await shelf.store.calls.register_right(
        call, made.exercise(Right.OBJECTION), made.journal("key_pressed", key="5")
    )
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({f"request {reference} (objection)": 1}))
    await shelf.store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    hold = (await shelf.store.holds.place(HoldOn(reference=reference), "lawsuit", "cli:anna"))["id"]
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({HOLD: 1}))
    await shelf.store.holds.release(hold, "settled", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(1)
    assert (await person.fields_of(shelf, call.id))["key_pressed"] is None
    await shelf.store.calls.append(call.id, "recording_delayed", {"reason": "of Jan"})
    assert await expire(shelf, LIMIT) == Expired(1)
    assert (await shelf.store.records.show_call(call.id)).fault is None


async def test_a_call_that_somebody_has_changed_keeps_the_others_for_good(shelf: Shelf) -> None:
    calls = [await over(shelf, timedelta(days=400 - day)) for day in range(3)]
    await shelf.database.rows("UPDATE calls SET events = 1 WHERE id = $1", calls[0].id)
    done = await expire_unseen(shelf.store, LIMIT)
    words = f"its journal, which somebody has changed: ccari calls show {calls[0].id}"
    assert done == Expired(2, 1, Counter({words: 1}))
    assert [await is_anybodys(shelf, each) for each in calls] == [True, False, False]


async def test_an_unknown_basis_lets_a_call_go_that_a_request_needs(shelf: Shelf) -> None:
    call = await over(shelf)
    await shelf.database.rows("UPDATE calls SET legal_basis = 'because' WHERE id = $1", call.id)
    await person.asked(shelf, Right.PORTABILITY)
    assert (await expire(shelf, LIMIT)).kept == 1


async def test_a_hold_is_confirmed_on_a_call_that_has_expired(shelf: Shelf) -> None:
    call = await over(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    with pytest.raises(
        UnknownError, match=r"expired on \d{4}-\d\d-\d\d \d\d:\d\d \S+: there is nothing to hold"
    ):
        await shelf.store.holds.place(HoldOn(call_id=call.id), "lawsuit", "cli:anna")


async def _on_call(_: Shelf, call: OpenedCall) -> HoldOn:
    return HoldOn(call_id=call.id)


def _pressed(right: Right) -> Keeps:
    async def keeps(shelf: Shelf, call: OpenedCall) -> Callable[[], Awaitable[object]]:
        reference = await shelf.store.calls.register_right(call, made.exercise(right), ())
        return lambda: shelf.store.requests.step(
            reference, RequestState.WITHDRAWN, by("cli:anna", "by phone")
        )

    return keeps


@pytest.mark.parametrize(
    ("keeps", "words"),
    [
        *ALIKE,
        pytest.param(recording_kept, "a recording that is kept", id="recording"),
        pytest.param(held(_on_call), HOLD, id="hold-on-call"),
        pytest.param(_pressed(Right.ERASURE), "request ACME-2026-000001 (erasure)", id="pressed-in-it"),
    ],
)
async def test_a_call_goes_that_is_kept_or_stays_when_it_is_not_any_more(
    shelf: Shelf, keeps: Keeps, words: str
) -> None:
    call, another = await over(shelf), await over(shelf, number=OTHER)
    lets_go = await keeps(shelf, call)
    assert await expire(shelf, LIMIT) == Expired(1, 1, Counter({words: 1}))
    assert (await is_anybodys(shelf, call), await is_anybodys(shelf, another)) == (True, False)
    await lets_go()
    assert await expire(shelf, LIMIT) == Expired(1)
    assert not await is_anybodys(shelf, call)


async def test_a_hold_on_a_recording_that_is_lost_lets_its_call_go(shelf: Shelf) -> None:
    call = await over(shelf)
    recording = await shelf.put(call)
    await shelf.store.holds.place(HoldOn(recording_id=recording), "lawsuit", "cli:anna")
    await shelf.database.rows("UPDATE recordings SET state = 'failed'")
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({HOLD: 1}))


@pytest.mark.parametrize(
    ("basis", "becomes"), [("legitimate_interest", "discarded"), ("legal_obligation", "stored")]
)
async def test_a_recording_that_was_lost_comes_back_when_its_call_has_expired(
    shelf: Shelf, basis: str, becomes: str
) -> None:
    gone, younger = await over(shelf), await person.called(shelf)
    lost = [await shelf.lose(gone, basis=basis), await shelf.lose(younger)]
    assert await expire(shelf, LIMIT) == Expired(1)
    for each in lost:
        shelf.mount(each)
    await shelf.tend()
    assert [(await shelf.row(each))["state"] for each in lost] == [becomes, "stored"]


async def test_a_request_keeps_calls_that_it_does_not_need(shelf: Shelf) -> None:
    """Portability covers what rests on consent or a contract, and nobody who asked to be forgotten is kept longer."""
    await person.asked(shelf, Right.PORTABILITY)
    await person.asked(shelf, Right.ERASURE)
    call = await over(shelf, basis="legitimate_interest")
    another = await shelf.call()
    await shelf.put(another)
    await shelf.store.calls.register_right(another, made.exercise(Right.REFUSE_RECORDING), ())
    refused = await person.asked(shelf, Right.RESTRICTION, level=Level.L1)
    await shelf.store.requests.step(refused, RequestState.REFUSED, by("cli:anna", "no ground of Art 18(1)"))
    await shelf.store.suppressions.add("acme", made.digests(), Reason.RESTRICTION, "cli", "")
    assert await shelf.database.rows("SELECT reference FROM rights_requests WHERE closed_at IS NULL ORDER BY 1") == [
        {"reference": f"ACME-2026-00000{number}"} for number in (1, 2, 3)
    ]  # fmt: skip
    assert await expire(shelf, LIMIT) == Expired(1)
    assert not await is_anybodys(shelf, call)


async def test_invariant_7_another_controllers_hold_and_request_keep_a_call(shelf: Shelf) -> None:
    """Even though the digests were the same: invariant 7."""
    call = await over(shelf)
    await shelf.store.holds.place(HoldOn(subject=Subject("beta", made.digests())), "lawsuit", "cli:anna")
    await shelf.store.requests.add("beta", letter(), made.digests())
    assert await expire(shelf, LIMIT) == Expired(1)
    assert not await is_anybodys(shelf, call)


async def test_calls_behind_many_that_are_kept_are_never_come_to(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 2)
    kept = [await over(shelf, timedelta(days=400)) for _ in range(3)]
    gone = [await over(shelf, number=OTHER) for _ in range(3)]
    await shelf.store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(3, 3, Counter({HOLD: 3}))
    assert [await is_anybodys(shelf, each) for each in (*kept, *gone)] == [True] * 3 + [False] * 3


async def test_a_call_goes_past_a_hold_that_is_just_being_placed(shelf: Shelf, dsn: str) -> None:
    call = await over(shelf)
    assert (await expire_beside_a_hold(shelf, dsn, LIMIT, HoldOn(call_id=call.id))).kept == 1
    assert await is_anybodys(shelf, call)


async def test_what_comes_late_to_a_journal_tells_on_when_its_call_has_gone(shelf: Shelf) -> None:
    call = await over(shelf)
    async with shelf.database.outside_pool() as another:
        async with asyncio.timeout(WITHIN), another.transaction():
            await journals.append(another, call.id, "recording_delayed", {"reason": "of Jan"})
            expiring = asyncio.create_task(expire_unseen(shelf.store, LIMIT))
            while not await another.fetchval(HELD_UP) and not expiring.done():
                pass
        assert await expiring == Expired(1)
    told = await person.fields_of(shelf, call.id)
    assert told["recording_delayed"] is None
    assert (await shelf.store.records.show_call(call.id)).fault is None


async def test_who_is_killed_leaves_a_call_half_gone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    call = await over(shelf)
    with monkeypatch.context() as patch:
        kill(patch, (journals, "append_to_each"), after=True)
        with pytest.raises(KilledError):
            await expire_unseen(shelf.store, LIMIT)
    assert await is_anybodys(shelf, call)
    told = await person.fields_of(shelf, call.id)
    assert "personal_data_erased" not in told
    assert None not in told.values()
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_who_is_interrupted_does_not_begin_anew(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH", 1)
    calls = [await over(shelf) for _ in range(2)]
    async with aclosing(shelf.store.limits.expire(LIMIT, datetime.now(UTC), "anna")) as batches:
        assert (await anext(batches)).goes == 1
    assert sorted([await is_anybodys(shelf, each) for each in calls]) == [False, True]
    assert await expire(shelf, LIMIT) == Expired(1)
    for each in calls:
        assert (await shelf.store.records.show_call(each.id)).fault is None


NO_LIMIT = ""


@pytest.mark.parametrize(
    ("limits", "goes"),
    [
        pytest.param([(2, NO_LIMIT), (0.5, 365)], False, id="of-today"),
        pytest.param([(2, 365), (0.5, NO_LIMIT)], False, id="taken-back"),
        pytest.param([(2, 365), (0.5, NO_LIMIT), (0.1, 365)], False, id="taken-back-and-laid-down-again"),
        pytest.param([(2, 3000), (0.5, 365)], False, id="shorter-since-today"),
        pytest.param([(2, 365), (0.5, 3000)], False, id="longer-since-today"),
        pytest.param([(2, 365), (0.5, 3000), (0.1, 365)], False, id="longer-for-a-while"),
        pytest.param([(0.5, 365)], False, id="first-of-all"),
        pytest.param([(3, NO_LIMIT), (2, 365), (0.5, 300)], True, id="stands"),
    ],
)
async def test_a_limit_that_was_laid_down_by_mistake_cannot_be_taken_back(
    shelf: Shelf, limits: list[tuple[float, int | str]], *, goes: bool
) -> None:
    call = await over(shelf)
    for graces_ago, days in limits:
        line = f"calls_days = {days}" if days else ""
        await applied(shelf, LIMITED.replace("calls_days = 365", line), GRACE * graces_ago)
    done = await keeper_of(shelf.store).round()
    assert (done.get(LIMIT, Expired()).gone, await is_anybodys(shelf, call)) == (int(goes), not goes)


async def test_a_controller_whose_calls_cannot_expire_keeps_anothers(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_another = await over_of_another(shelf)
    await applied(shelf, TWO_LIMITED, GRACE * 2)
    expire_them = shelf.store.limits.expire

    def fails(limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        if limit.controller == "acme":
            raise StoreError("the database did not answer in time")
        return expire_them(limit, now, who)

    monkeypatch.setattr(shelf.store.limits, "expire", fails)
    with pytest.raises(ExpiryError, match=r"^acme: the database did not answer in time$"):
        await keeper_of(shelf.store).round()
    assert not await is_anybodys(shelf, of_another)


async def test_one_controllers_lost_secret_keeps_the_calls_of_all(shelf: Shelf, tmp_path: Path) -> None:
    """Only its own open requests could need them, under the secret that is lost."""
    keys = SecretStore(tmp_path / "keys")
    for controller in ("acme", "beta"):
        new_secret(keys, controller)
    call, of_another = await over(shelf), await over_of_another(shelf)
    await applied(shelf, TWO_LIMITED, GRACE * 2)
    reach = partial(shelf.store.key_versions.extend, await shelf.store.key_versions.vouch(keys))
    keeper = keeper_of(shelf.store, reach)
    shutil.rmtree(keys.folder / "acme")
    with pytest.raises(ExpiryError, match="secret of 'acme'") as stalled:
        await keeper.round()
    assert stalled.value.reasons.keys() == {"acme"}
    assert (await is_anybodys(shelf, call), await is_anybodys(shelf, of_another)) == (True, False)


async def test_calls_expire_by_a_clock_that_nobody_believes(shelf: Shelf) -> None:
    """What keeps some beyond their limit ends too, by the database's clock, which is the same one."""
    call = await over(shelf)
    await applied(shelf, LIMITED, GRACE * 2)
    assert await keeper_of(shelf.store, now=lambda: None).round() == {}
    assert await is_anybodys(shelf, call)


async def test_two_of_a_fleet_have_calls_expire_at_once(shelf: Shelf) -> None:
    await over(shelf)
    await applied(shelf, LIMITED, GRACE * 2)
    keeper = keeper_of(shelf.store)
    async with shelf.store.limits.turn() as mine:
        assert mine
        assert await keeper.round() == {}
    assert await keeper.round() == {LIMIT: Expired(1), OF_ACCESSES: Expired()}


async def test_a_running_service_lets_no_call_expire(shelf: Shelf, dsn: str, tmp_path: Path) -> None:
    call = await over(shelf)
    # no campaign, so no sounds are needed to start
    await applied(shelf, LIMITED.partition("[[campaigns]]")[0], GRACE * 2)
    service = to_start(tmp_path, tmp_path, CCARI_DATABASE__URL=dsn)
    assert (await service.ccari("keys", "init")).code == 0
    await begun(service, lambda: any(line["event"] == "calls_expired" for line in service.lines()))
    await told(service, signal.SIGTERM)
    assert not await is_anybodys(shelf, call)


@pytest.fixture
def ccari(dsn: str, tmp_path: Path) -> Service:
    return on(dsn, tmp_path)


async def test_the_command_erases_what_an_open_request_may_reach_under_a_lost_secret(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    """The service did not, and whoever wondered why did it by hand."""
    keys = SecretStore(tmp_path / "keys")
    new_secret(keys, "acme")
    await shelf.store.key_versions.vouch(keys)
    shutil.rmtree(keys.folder / "acme")
    call, of_another = await over(shelf), await over_of_another(shelf)
    await applied(shelf, TWO_LIMITED, timedelta(0))
    told = await ccari.ccari("calls", "purge", "--yes")
    assert told.code == 1
    assert "the suppression secret of 'acme'" in told.err
    assert (await is_anybodys(shelf, call), await is_anybodys(shelf, of_another)) == (True, False)


async def test_the_command_erases_unasked_or_does_not_say_what_is_kept(ccari: Service, shelf: Shelf) -> None:
    call = await over(shelf)
    kept = await over(shelf, number=OTHER)
    await shelf.store.holds.place(HoldOn(call_id=kept.id), "lawsuit", "cli:anna")
    assert (
        await ccari.ccari("calls", "purge")
    ).out == "no controller of the policy in force has calls_days\n"
    await applied(shelf, LIMITED, timedelta(0))
    told = await ccari.ccari("calls", "purge")
    assert (told.code, told.out.splitlines()[-1]) == (
        0,
        "1 past the limit, but held by legal hold 1 (lawsuit)",
    )
    assert told.err == "nothing has been erased yet: add --yes to erase 1 for good\n"
    assert await is_anybodys(shelf, call)
    erased = await ccari.json("calls", "purge", "--yes")
    assert erased == {
        "limits": [{"controller": "acme", "calls_days": 365, "calls": 1, "kept": 1, "held_by": {HOLD: 1}}],
        "erased": True,
    }  # fmt: skip
    assert (await is_anybodys(shelf, call), await is_anybodys(shelf, kept)) == (False, True)
    (by_whom,) = [each for each in (await shelf.store.records.show_call(call.id)).events if each["event"] == "personal_data_erased"]  # fmt: skip
    assert by_whom["fields"]["by"].startswith("cli:")
