"""What is deleted, for which reason, and that nothing is left half done if it is interrupted."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ccari.app import recordings as running
from ccari.config import Settings
from ccari.errors import RecordingError
from ccari.keyring.secrets import Key
from ccari.office.deletion_clock import by_the_clock
from ccari.policy.consent import Channel
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.calls import OpenedCall
from ccari.ports.holds import HoldOn
from ccari.ports.keying import Digests
from ccari.ports.lists import Bar
from ccari.recordings import housekeeping, removal
from ccari.recordings.housekeeping import Housekeeper, Swept
from ccari.recordings.known_folder import KnownFolder
from ccari.store import deletions
from ccari.store.database import Database
from ccari.store.deletions import PostgresSweep
from ccari.store.opened import Store
from tests.lab.waiting import until
from tests.unit.office.test_deletion_clock import Clock
from tests.unit.recordings.test_disk_that_hangs import SECONDS, Disk
from tests.unit.store import made
from tests.unit.store.forging import forge
from tests.unit.store.kept import DAY, NOW, Shelf, rotated
from tests.unit.store.killing import KilledError, kill
from tests.unit.store.server import execute
from tests.unit.store.test_requests import by, letter

OVER = NOW - DAY
#: After what had been asked for by then.
SINCE = NOW - DAY / 2


async def asked(shelf: Shelf, right: Right, at: datetime = NOW, **changes: Any) -> str:
    """A letter from somebody whose identity is certain."""
    exercise = letter(right, level=Level.L2, received_at=at, **changes)
    return await shelf.store.requests.add("acme", exercise, made.digests())


async def pressed(shelf: Shelf, right: Right, call: OpenedCall, at: datetime = NOW) -> str:
    return await shelf.store.calls.register_right(call, replace(made.exercise(right), received_at=at), ())


async def test_a_recording_outlives_its_limit_or_goes_before_it(shelf: Shelf) -> None:
    over, not_yet = await shelf.put(limit=OVER), await shelf.put()
    assert (await shelf.round()).deleted == {"retention": 1}
    assert [await shelf.fate(each) for each in (over, not_yet)] == ["retention", None]
    assert (await shelf.round()).count == 0


async def test_a_node_whose_clock_is_years_ahead_deletes_all_that_the_fleet_has(shelf: Shelf) -> None:
    """The limit has passed only if the database's clock says so, too: nothing brings a recording back."""

    def ahead() -> datetime:
        return datetime.now(UTC) + 1000 * DAY

    over, not_yet = await shelf.put(limit=OVER), await shelf.put()
    assert (await shelf.keeper(ahead).plan()).count == 1
    assert (await shelf.round(ahead)).deleted == {"retention": 1}
    assert [await shelf.fate(each) for each in (over, not_yet)] == ["retention", None]


async def test_what_a_node_recorded_whose_clock_was_behind_is_deleted_before_its_time(shelf: Shelf) -> None:
    """As with an empty battery, until the network tells the time. Another node would delete at once what it had just recorded."""
    new, old = [
        await shelf.put_by_another_clock(NOW - days * DAY, ours=NOW - 9000 * DAY) for days in (89, 91)
    ]
    # the clocks of two well-kept machines differ, too
    apart = await shelf.put_by_another_clock(NOW - 90 * DAY + timedelta(hours=1), ours=NOW - 90 * DAY)
    assert (await shelf.keeper().plan()).count == 2
    assert (await shelf.round()).deleted == {"retention": 2}
    assert [await shelf.fate(each) for each in (new, old, apart)] == [None, "retention", "retention"]


async def test_a_recording_is_kept_for_as_long_as_the_databases_clock_was_ahead(shelf: Shelf) -> None:
    recording = await shelf.put_by_another_clock(NOW + 1000 * DAY, ours=NOW - 91 * DAY)
    assert (await shelf.round()).deleted == {"retention": 1}
    assert await shelf.fate(recording) == "retention"


async def test_a_clock_that_was_set_forward_for_a_moment_deletes_all_that_there_is(shelf: Shelf) -> None:
    """If both are on one machine, it is the database's clock too: only the service's is known to have been right."""
    clock = Clock(OVER - DAY)
    trusted = clock.trusted()
    over = await shelf.put(limit=OVER)
    clock.at = NOW
    assert (await shelf.round(trusted.now)).count == 0
    clock.pass_by(DAY)
    assert (await shelf.round(trusted.now)).deleted == {"retention": 1}
    assert await shelf.fate(over) == "retention"


async def test_a_withdrawal_or_an_erasure_waits_until_a_wrong_clock_is_as_late(shelf: Shelf) -> None:
    """It was dated by a clock that was fast, and was then corrected."""
    withdrawn, erased = await shelf.put(basis="consent"), await shelf.put()
    # its own limit comes before the moment at which the person withdrew, by that clock
    sooner = await shelf.put(basis="consent", limit=NOW - timedelta(hours=1))
    await asked(shelf, Right.WITHDRAW_CONSENT, NOW)
    assert (await shelf.round(lambda: OVER)).deleted == {"consent_withdrawn": 2}
    reference = await asked(shelf, Right.ERASURE, NOW)
    await shelf.store.requests.step(reference, RequestState.FULFILLED, by("cli:anna", "granted"))
    # nor for one that nobody believes
    assert (await shelf.round(lambda: None)).deleted == {"erasure": 1}
    assert None not in [await shelf.fate(each) for each in (withdrawn, sooner, erased)]


async def test_what_is_held_goes_or_stays_when_it_no_longer_is(shelf: Shelf) -> None:
    call = await shelf.call()
    for_claims, asked_for = (
        await shelf.put(call, limit=OVER),
        await shelf.put(await shelf.call(made.call(number=made.numbers(2)[1])), limit=OVER),
    )
    hold = await shelf.store.holds.place(HoldOn(call_id=call.id), "lawsuit", "cli:anna")
    request = await shelf.store.requests.add("acme", letter(), made.digests(number=made.numbers(2)[1]))
    swept = await shelf.round()
    assert (swept.deleted, swept.held) == ({}, 2)
    assert [await shelf.fate(each) for each in (for_claims, asked_for)] == [None, None]
    await shelf.store.holds.release(hold["id"], "settled", "cli:anna")
    assert (await shelf.round()).held == 1
    await shelf.store.requests.step(request, RequestState.REFUSED, by("cli:anna", "unfounded"))
    await shelf.round()
    assert [await shelf.fate(each) for each in (for_claims, asked_for)] == ["retention", "retention"]


async def test_a_refusal_in_a_call_leaves_its_recording_or_reaches_another_calls(shelf: Shelf) -> None:
    call = await shelf.call()
    agreed, otherwise, before = [
        await shelf.put(call, basis="consent"), await shelf.put(call, basis="contract"),
        await shelf.put(basis="consent"),
    ]  # fmt: skip
    again = await shelf.put(call, basis="consent", recorded=SINCE)
    reference = await pressed(shelf, Right.REFUSE_RECORDING, call, OVER)
    assert (await shelf.round()).deleted == {"consent_withdrawn": 1}
    fates = [await shelf.fate(each) for each in (agreed, otherwise, before, again)]
    assert fates == [f"consent_withdrawn {reference}", None, None, None]


@pytest.mark.parametrize("right", [Right.REFUSE_RECORDING, Right.WITHDRAW_CONSENT])
async def test_a_withdrawal_by_letter_leaves_what_rested_on_the_consent(shelf: Shelf, right: Right) -> None:
    before, otherwise = await shelf.put(basis="consent"), await shelf.put(basis="legitimate_interest")
    since = await shelf.put(basis="consent", recorded=SINCE)
    anothers = await shelf.put(await shelf.call(made.call(number=made.numbers(2)[1])), basis="consent")
    reference = await asked(shelf, right, OVER)
    await shelf.round()
    fates = [await shelf.fate(each) for each in (before, otherwise, since, anothers)]
    assert fates == [f"consent_withdrawn {reference}", None, None, None]


@pytest.mark.parametrize("right", [Right.REFUSE_RECORDING, Right.WITHDRAW_CONSENT])
async def test_a_withdrawal_that_was_taken_back_deletes(shelf: Shelf, right: Right) -> None:
    """Even though the bar that came with it stands."""
    recording = await shelf.put(basis="consent")
    reference = await asked(shelf, right)
    await shelf.store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    await shelf.round()
    assert await shelf.fate(recording) is None


async def test_a_withdrawal_for_one_campaign_reaches_another(shelf: Shelf) -> None:
    here = await shelf.put(basis="consent")
    there = await shelf.put(await shelf.call(replace(made.call(), campaign="surveys")), basis="consent")
    exercise = letter(
        Right.WITHDRAW_CONSENT, received_at=NOW, consent_purpose="renewals", consent_campaigns=("renewals",)
    )
    await shelf.store.requests.add("acme", exercise, made.digests(), "renewals")
    await shelf.round()
    assert await shelf.fate(here) is not None
    assert await shelf.fate(there) is None


async def test_a_withdrawal_of_everything_in_one_campaigns_call_spares_another(shelf: Shelf) -> None:
    """For example if the campaign itself asks for no consent."""
    there = await shelf.put(await shelf.call(replace(made.call(), campaign="surveys")), basis="consent")
    reference = await pressed(shelf, Right.WITHDRAW_CONSENT, await shelf.call())
    await shelf.round()
    assert await shelf.fate(there) == f"consent_withdrawn {reference}"


async def test_a_consent_withdrawn_without_a_request_leaves_what_rested_on_it(
    shelf: Shelf, database: Database
) -> None:
    """It was the consent that the call was based on, whatever secret it is kept under."""
    call = await shelf.call()
    recording, otherwise = await shelf.put(call, basis="consent"), await shelf.put(basis="consent")
    older = rotated(made.call()).digests.newest
    (consent,) = await database.rows(
        """INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin)
           VALUES ('acme', $1, 1, 'renewals', $2, $3, 'web', 'list') RETURNING id""",
        older, Channel.PHONE, NOW - 20 * DAY,
    )  # fmt: skip
    await database.rows(
        "INSERT INTO consent_uses (consent_id, call_id) VALUES ($1, $2)", consent["id"], call.id
    )
    await shelf.round()
    assert await shelf.fate(recording) is None
    await database.rows("UPDATE consents SET withdrawn_at = now()")
    await shelf.round()
    assert [await shelf.fate(each) for each in (recording, otherwise)] == ["consent_withdrawn", None]


@pytest.mark.parametrize(("campaign", "goes"), [(None, True), ("renewals", True), ("surveys", False)])
async def test_a_bar_for_a_withdrawal_leaves_what_rested_on_the_consent(
    shelf: Shelf, campaign: str | None, *, goes: bool
) -> None:
    """Such as the bar that ``ccari consents withdraw`` enters."""
    recording = await shelf.put(basis="consent")
    await shelf.store.suppressions.add(
        "acme", made.digests(), Reason.WITHDRAW_CONSENT, "cli", "", campaign=campaign
    )
    since = await shelf.put(basis="consent", recorded=datetime.now(UTC))
    await shelf.round()
    assert await shelf.fate(recording) == ("consent_withdrawn" if goes else None)
    assert await shelf.fate(since) is None


async def of_another_right(shelf: Shelf, at: datetime) -> str:
    reference = await asked(shelf, Right.RECTIFICATION, at)
    await shelf.store.requests.step(reference, RequestState.REFUSED, by("cli:anna", "it is right"))
    return reference


async def of_another_controller(shelf: Shelf, at: datetime) -> str:
    return await shelf.store.requests.add(
        "bank", letter(Right.WITHDRAW_CONSENT, received_at=at), made.digests()
    )


async def of_another_number(shelf: Shelf, at: datetime) -> str:
    anothers = made.digests(number=made.numbers(2)[1])
    return await shelf.store.requests.add("acme", letter(Right.WITHDRAW_CONSENT, received_at=at), anothers)


@pytest.mark.parametrize("whose", [of_another_right, of_another_controller, of_another_number])
async def test_a_bar_takes_its_time_or_its_end_from_a_request_that_is_not_its_own(
    shelf: Shelf, whose: Callable[[Shelf, datetime], Awaitable[str]]
) -> None:
    """Whoever enters a bar writes what they like as its proof; here, a request that was received before the recording."""
    recording = await shelf.put(basis="consent")
    reference = await whose(shelf, NOW - 1000 * DAY)
    await shelf.store.suppressions.add("acme", made.digests(), Reason.WITHDRAW_CONSENT, "cli:anna", reference)
    await shelf.round()
    assert await shelf.fate(recording) == "consent_withdrawn"


NEWER = Key(2, bytes(32))


def newer() -> Digests:
    older, newest = made.digests().newest, NEWER.digest(made.NUMBER)
    return Digests(newest, NEWER.version, (older, newest))


async def by_command(shelf: Shelf) -> None:
    await shelf.store.consents.withdraw(
        "acme", newer(), datetime.now(UTC), purpose="renewals", purposes={"renewals": "renewals", "again": "renewals"},
        origin="cli:anna", proof="letter 9",
    )  # fmt: skip


async def by_hand(shelf: Shelf) -> None:
    await shelf.store.suppressions.add("acme", newer(), Reason.WITHDRAW_CONSENT, "cli:anna", "letter 9")


async def by_list(shelf: Shelf) -> None:
    async def batches() -> AsyncIterator[Sequence[Bar]]:
        yield [made.bar(reason=Reason.WITHDRAW_CONSENT, since=datetime.now(UTC))]

    report = await shelf.store.suppressions.load(
        "acme", NEWER, batches(), older=[made.key()], keep_going=False
    )
    assert (report.lines, report.accepted) == (1, 1)


async def in_a_call_of_another_campaign(shelf: Shelf) -> None:
    call = await shelf.call(replace(made.call(), campaign="again", keyed=newer()))
    pressed = replace(
        made.exercise(Right.WITHDRAW_CONSENT), received_at=datetime.now(UTC), consent_purpose="renewals",
        consent_campaigns=("renewals", "again"),
    )  # fmt: skip
    await shelf.store.calls.register_right(call, pressed, ())


@pytest.mark.parametrize("withdraws", [by_command, by_hand, by_list, in_a_call_of_another_campaign])
async def test_a_withdrawal_under_a_newer_secret_leaves_what_was_recorded_under_an_older_one(
    shelf: Shelf, withdraws: Callable[[Shelf], Awaitable[None]]
) -> None:
    """And the bar that reaches it is looked up twice, or is not lifted as a whole."""
    call, other = await shelf.call(), await shelf.call(made.call(number=made.numbers(2)[1]))
    goes, otherwise, theirs = (
        await shelf.put(call, basis="consent"), await shelf.put(call), await shelf.put(other, basis="consent"),
    )  # fmt: skip
    await withdraws(shelf)
    await shelf.round()
    assert (await shelf.fate(goes) or "").split(" ")[0] == "consent_withdrawn"
    assert [await shelf.fate(each) for each in (otherwise, theirs)] == [None, None]
    bars = await shelf.store.suppressions.of("acme", newer())
    assert len({each["campaign"] for each in bars}) == len(bars)
    await shelf.store.suppressions.remove("acme", newer(), "cli:anna", "slip")
    assert await shelf.database.rows("SELECT FROM suppressions") == []


async def test_a_bar_under_a_newer_secret_is_entered_under_the_older_for_nothing(
    shelf: Shelf, database: Database
) -> None:
    """The older one could never be retired: it is entered there only if a withdrawal has something to reach."""
    call = await shelf.call()
    await shelf.put(call)
    for reason in Reason:
        await shelf.store.suppressions.add("acme", newer(), reason, "cli:anna", "letter 9")
    await shelf.put(call, basis="consent")
    await shelf.store.suppressions.add("acme", newer(), Reason.OBJECTION, "cli:anna", "letter 9")
    assert await database.rows("SELECT DISTINCT key_version FROM suppressions") == [{"key_version": 2}]


async def test_who_hides_their_number_cannot_take_a_consent_back(shelf: Shelf, database: Database) -> None:
    """They leave no request; only the call knows."""
    refused, talked = [await shelf.call() for _ in range(2)]
    recordings = [await shelf.put(each, basis="consent") for each in (refused, talked)]
    for call, reason in ((refused, "recording_refused"), (talked, "")):
        await database.rows("UPDATE calls SET digest = NULL, key_version = NULL WHERE id = $1", call.id)
        await shelf.store.calls.close(call.id, "bridged", reason, ())
    await shelf.round()
    assert [await shelf.fate(each) for each in recordings] == ["consent_withdrawn", None]


async def test_an_erasure_deletes_before_it_is_granted_or_more_than_it_may(shelf: Shelf) -> None:
    mine, bound, kept = await shelf.put(), await shelf.put(basis="legal_obligation"), await shelf.put()
    anothers = await shelf.put(await shelf.call(made.call(number=made.numbers(2)[1])))
    hold = await shelf.store.holds.place(HoldOn(recording_id=kept), "lawsuit", "cli:anna")
    reference = await asked(shelf, Right.ERASURE)
    assert (await shelf.round()).count == 0
    await shelf.store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))
    since = await shelf.put(recorded=datetime.now(UTC))
    assert (await shelf.round()).held == 1
    granted = f"erasure {reference}"
    fates = [await shelf.fate(each) for each in (mine, bound, kept, since, anothers)]
    assert fates == [granted, None, None, None, None]
    await shelf.store.holds.release(hold["id"], "settled", "cli:anna")
    await shelf.round()
    assert await shelf.fate(kept) == granted


async def test_an_erasure_that_was_refused_deletes(shelf: Shelf) -> None:
    recording = await shelf.put()
    reference = await asked(shelf, Right.ERASURE)
    await shelf.store.requests.step(reference, RequestState.REFUSED, by("cli:anna", "Art 17(3)(e)"))
    await shelf.round()
    assert await shelf.fate(recording) is None
    assert (await shelf.store.deletions.stored([recording]))[recording].erasure_granted is None


async def test_an_erasure_forgets_what_lies_under_an_older_secret(shelf: Shelf) -> None:
    older, digests = await shelf.put(), rotated(made.call()).digests
    reference = await shelf.store.requests.add("acme", letter(Right.ERASURE, level=Level.L2), digests)
    await shelf.store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))
    await shelf.round()
    assert await shelf.fate(older) == f"erasure {reference}"


#: The steps of a deletion; whoever is killed dies before or after the n-th time that one is taken.
STEPS: dict[str, tuple[object, str]] = {
    "decided": (PostgresSweep, "decide"),
    "removed": (Path, "unlink"),
    "flushed": (removal, "settle"),
    "told": (deletions, "_note_deletions"),
    "carried out": (PostgresSweep, "carried_out"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "at"),
    # two files and their tags: each of the four may be the last that was removed
    [
        ("decided", 1),
        *(("removed", at) for at in (1, 2, 3, 4)),
        ("flushed", 1),
        ("told", 1),
        ("carried out", 1),
    ],
)
async def test_whoever_is_killed_leaves_a_deletion_half_done(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str, at: int, *, after: bool
) -> None:
    call = await shelf.call()
    recordings = [await shelf.put(call, limit=OVER) for _ in range(2)]
    with monkeypatch.context() as patch:
        kill(patch, STEPS[step], after=after, at=at)
        with pytest.raises(KilledError):
            await shelf.round()
    await shelf.round()
    assert [await shelf.fate(each) for each in recordings] == ["retention", "retention"]
    assert (await shelf.store.records.show_call(call.id)).fault is None
    assert (await shelf.round()).count == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_what_was_begun_to_be_deleted_is_held_or_what_was_not_is_lost(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """A hold comes in time until the deletion is decided, and not after that, though the file may still be there."""
    recording = await shelf.put(limit=OVER)
    with monkeypatch.context() as patch:
        kill(patch, STEPS["decided"], after=after)
        with pytest.raises(KilledError):
            await shelf.round()
    placing = shelf.store.holds.place(HoldOn(recording_id=recording), "lawsuit", "cli:anna")
    if after:
        with pytest.raises(RecordingError, match="was deleted just now"):
            await placing
    else:
        await placing
    await shelf.round()
    assert await shelf.fate(recording) == ("retention" if after else None)


async def test_a_disk_that_is_not_mounted_passes_for_one_that_is_empty(shelf: Shelf) -> None:
    recording = await shelf.put(limit=OVER)
    away = shelf.folder.rename(shelf.folder.with_name("away"))
    shelf.folder.mkdir()
    with capture_logs() as logs:
        swept = await shelf.round()
    assert (swept.count, len(swept.faults)) == (0, 1)
    (told,) = [each for each in logs if each["event"] == "recordings_not_deleted"]
    assert told["recordings"] == 1
    assert "is the disk mounted?" in told["reason"]
    assert (await shelf.row(recording))["state"] == "stored"
    shelf.folder.rmdir()
    away.rename(shelf.folder)
    await shelf.round()
    assert await shelf.fate(recording) == "retention"


async def test_recordings_are_said_to_be_deleted_that_will_be_there_again_once_their_disk_is_mounted(
    shelf: Shelf, tmp_path: Path
) -> None:
    """Below its mount point there is a folder of that day, because somebody has recorded there before."""
    recording = await shelf.put(limit=OVER)
    known = KnownFolder(shelf.folder, tmp_path / "known")
    known.remember(known.identify())
    file = (await shelf.row(recording))["file"]
    away = shelf.folder.rename(shelf.folder.with_name("away"))
    (shelf.folder / file).parent.mkdir(parents=True)
    keeper = Housekeeper(shelf.store.deletions, shelf.folder, known)
    swept = await keeper.round()
    assert swept is not None
    assert (swept.count, list(swept.faults)) == (0, [file])
    assert "is not the folder in which recordings were stored before" in swept.faults[file]
    assert (await shelf.row(recording))["state"] == "stored"
    shutil.rmtree(shelf.folder)
    away.rename(shelf.folder)
    assert (await keeper.round() or swept).count == 1
    assert not (shelf.folder / file).exists()


async def test_a_node_with_a_folder_of_its_own_goes_unnoticed(shelf: Shelf) -> None:
    there, elsewhere = await shelf.put(limit=OVER), await shelf.put(limit=OVER)
    (shelf.folder / (await shelf.row(elsewhere))["file"]).unlink()
    with capture_logs() as logs:
        swept = await shelf.round()
    assert (swept.count, swept.missing) == (2, 1)
    (told,) = [each for each in logs if each["event"] == "recordings_were_not_there"]
    assert told["recordings"] == 1
    assert await shelf.fate(there) == "retention"


async def test_one_file_that_cannot_be_removed_keeps_the_others(shelf: Shelf) -> None:
    stuck, other = await shelf.put(limit=OVER), await shelf.put(limit=OVER)
    file = shelf.folder / (await shelf.row(stuck))["file"]
    file.unlink()
    file.mkdir()
    swept = await shelf.round()
    assert swept.deleted == {"retention": 1}
    assert await shelf.fate(other) == "retention"
    assert (await shelf.row(stuck))["state"] == "stored"
    file.rmdir()
    await shelf.round()
    assert await shelf.fate(stuck) == "retention"


@pytest.mark.parametrize(
    "place", ["../{name}.flac", "/{folder}/../{name}.flac", "acme/../../{name}.flac", "."]
)
async def test_a_row_that_was_tampered_with_removes_another_file(
    shelf: Shelf, database: Database, place: str
) -> None:
    recording = await shelf.put(limit=OVER)
    # "." is the recordings folder itself; beside it, this would be the file of a recording that has its name
    precious = shelf.folder.with_name(f"{shelf.folder.name}.flac")
    precious.touch()
    await database.rows(
        "UPDATE recordings SET file = $2 WHERE id = $1", recording,
        place.format(folder=str(shelf.folder)[1:], name=shelf.folder.name),
    )  # fmt: skip
    assert list((await shelf.round()).faults.values()) == ["its file is not below the recordings folder"]
    assert precious.exists()


async def test_two_of_the_fleet_are_at_it_at_once_or_none_after_one_died(shelf: Shelf, dsn: str) -> None:
    recording = await shelf.put(limit=OVER)
    async with shelf.store.deletions.turn() as sweep:
        assert sweep is not None
        assert await shelf.keeper().round() is None
        await execute(
            dsn,
            """SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
               WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        )
        assert (await shelf.round()).count == 1
    assert await shelf.fate(recording) == "retention"


async def test_two_that_carry_out_the_same_deletion_tell_of_it_twice(shelf: Shelf) -> None:
    """For example when somebody purges while a node keeps house."""
    recordings = [await shelf.put(limit=OVER) for _ in range(3)]
    deletions_ = shelf.store.deletions
    async with deletions_.sweep() as first, deletions_.sweep() as second:
        await first.decide(recordings, housekeeping.due(datetime.now(UTC), []), "first")
        assert await second.decide(recordings, housekeeping.due(datetime.now(UTC), []), "second") == []
        sweeps = [Swept(), Swept()]
        await asyncio.gather(
            shelf.keeper().finish(first, sweeps[0]), shelf.keeper().finish(second, sweeps[1])
        )
    assert [await shelf.fate(each) for each in recordings] == ["retention"] * 3
    assert sum(each.count for each in sweeps) == 3


async def test_more_is_due_than_one_transaction_takes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 3)
    call = await shelf.call()
    recordings = [await shelf.put(call, limit=OVER) for _ in range(8)]
    held = recordings[::3]
    for each in held:
        await shelf.store.holds.place(HoldOn(recording_id=each), "lawsuit", "cli:anna")
    swept = await shelf.round()
    assert (swept.deleted, swept.held) == ({"retention": 5}, 3)
    fates = {each: await shelf.fate(each) for each in recordings}
    assert fates == {each: None if each in held else "retention" for each in recordings}
    assert (await shelf.store.records.show_call(call.id)).fault is None


async def test_what_is_deleted_is_told_without_why_or_with_a_number(shelf: Shelf) -> None:
    recording = await shelf.put(basis="consent")
    reference = await asked(shelf, Right.REFUSE_RECORDING)
    with capture_logs() as logs:
        await shelf.round()
    told, swept = logs
    call = (await shelf.row(recording))["call_id"]
    assert told == {
        "event": "recording_deleted", "log_level": "info", "recording": str(recording), "call_id": str(call),
        "controller": "acme", "campaign": "renewals", "legal_basis": "consent", "why": "consent_withdrawn",
        "by": "housekeeping", "reference": reference,
    }  # fmt: skip
    assert swept == {
        "event": "recordings_swept", "log_level": "info", "deleted": {"consent_withdrawn": 1}, "held": 0, "failed": 0,
    }  # fmt: skip
    assert made.NUMBER.digits not in str(logs)


async def test_a_service_that_runs_deletes_nothing(shelf: Shelf, store: Store, tmp_path: Path) -> None:
    recording = await shelf.put(limit=OVER)
    settings = Settings(data_dir=tmp_path)
    async with asyncio.timeout(20), running.housekeeping(settings, store, by_the_clock):
        while (await shelf.row(recording))["state"] == "stored":
            pass
    assert await shelf.fate(recording) == "retention"


async def test_a_failure_ends_the_housekeeping_for_good(
    shelf: Shelf, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await shelf.put(limit=OVER)
    monkeypatch.setattr(housekeeping, "ROUND_SECONDS", 0)
    await database.rows("ALTER TABLE deletions RENAME TO gone")
    with capture_logs() as logs:
        running = asyncio.create_task(shelf.keeper().run())
        async with asyncio.timeout(20):
            while not logs:
                await database.rows("SELECT 1")
            await database.rows("ALTER TABLE gone RENAME TO deletions")
            while (await shelf.row(recording))["state"] == "stored":
                pass
        running.cancel()
        await asyncio.wait([running])
    # the same is reported once, however often it fails
    assert [each["event"] for each in logs].count("housekeeping_stalled") == 1
    assert await shelf.fate(recording) == "retention"


async def test_a_folder_that_hangs_keeps_the_turn_from_the_fleet_or_is_not_told_of(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, disk = await shelf.put(limit=OVER), Disk()
    with monkeypatch.context() as hung, capture_logs() as logs:
        hung.setattr(housekeeping, "REMOVAL_SECONDS", 0.05)
        hung.setattr(housekeeping, "remove", disk.hang)
        running = asyncio.create_task(shelf.keeper().run())
        await until(lambda: bool(logs), within=SECONDS)
        running.cancel()
        await asyncio.wait([running])
    assert [(each["event"], each["reason"]) for each in logs] == [
        ("housekeeping_stalled", "the disk does not answer within 0 s")
    ]
    # another node's round, whose folder does not hang
    assert (await shelf.round()).count == 1
    disk.works.set()
    assert await shelf.fate(recording) == "retention"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE calls SET events = events - 1 WHERE id = $1",
        "UPDATE calls SET events = 2147483647 WHERE id = $1",
        "DELETE FROM calls WHERE id = $1",
    ],
)
async def test_a_call_that_somebody_has_changed_keeps_other_recordings_for_good(
    shelf: Shelf, database: Database, change: str
) -> None:
    """Its own file is gone by then: each time it is reported that the row does not say so."""
    call = await shelf.call()
    await shelf.store.calls.append(call.id, "call_gated", {})
    bad, others = await shelf.put(call, limit=OVER), [await shelf.put(limit=OVER) for _ in range(5)]
    await database.rows(
        "INSERT INTO deletions (recording_id, why, decided_by) VALUES ($1, 'retention', 'housekeeping')", bad
    )
    await forge(database, change, call.id)
    for deleted in (5, 0):
        with capture_logs() as logs:
            swept = await shelf.round()
        assert (swept.count, len(swept.faults)) == (deleted, 1)
        (told,) = [each for each in logs if each["event"] == "recordings_not_deleted"]
        assert told["reason"] == f"somebody has changed its call's journal: ccari calls show {call.id}"
    assert [await shelf.fate(each) for each in others] == ["retention"] * 5
    assert (await shelf.row(bad))["state"] == "stored"


async def test_an_unknown_basis_keeps_other_recordings_for_good_or_has_its_own_deleted(
    shelf: Shelf, database: Database
) -> None:
    """Nobody can tell what holds it."""
    call = await shelf.call()
    bad, others = await shelf.put(call, limit=OVER), [await shelf.put(limit=OVER) for _ in range(5)]
    await database.rows("UPDATE recordings SET legal_basis = 'because' WHERE id = $1", bad)
    words = f"somebody has changed its legal basis: ccari calls show {call.id}"
    plan = await shelf.keeper().plan()
    assert (plan.count, plan.faults) == (5, {str(bad): words})
    swept = await shelf.round()
    assert (swept.count, swept.faults) == (5, {str(bad): words})
    assert [await shelf.fate(each) for each in (*others, bad)] == [*["retention"] * 5, None]
    assert list(await shelf.store.deletions.stored([bad])) == []
