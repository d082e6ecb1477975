"""Accesses past their limit no longer tell who looked at what, except those that something keeps; the record stays whole."""

import asyncio
import json
import shutil
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ccari.cli.output import cell
from ccari.errors import ExpiryError, StoreError
from ccari.keyring.secrets import SecretStore
from ccari.office.limits import Expired
from ccari.policy import accesses as law
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.policy.declaration import read
from ccari.policy.limits import GRACE, Limit, standing
from ccari.policy.retention import Limited
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Access, Looked, WantedAccesses
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.limits import PastLimit
from ccari.recordings.evidence.checking import check
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.sealer import Sealer
from ccari.store import accesses, limits, migrating
from ccari.store.database import Database
from ccari.store.migrating import migrations_folder, open_database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.commands import on
from tests.unit.store.expiring import (
    ALIKE,
    HOLD,
    OF_ACCESSES,
    OF_LONG_AGO,
    OTHER,
    Keeps,
    applied,
    by_one_clock,
    expire,
    expire_beside_a_hold,
    expire_unseen,
    keeper_of,
)
from tests.unit.store.forging import forge
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.killing import KilledError, kill
from tests.unit.store.made import new_secret
from tests.unit.store.server import connected
from tests.unit.store.test_requests import letter
from tests.unit.store.test_starting import begun, to_start, told

LIMIT = Limit(Limited.ACCESSES, "", 365)
LIMITED = f"accesses_days = 365\n{made.POLICY}"
OF_PERSON = {"controller": "acme", "digest": made.digests().newest.hex()}
OF_OTHER = {"controller": "acme", "digest": made.digests(number=OTHER).newest.hex()}
#: A new day may have begun since.
LONG_AGO = OF_LONG_AGO + DAY


async def look(
    shelf: Shelf,
    ago: timedelta = LONG_AGO,
    at: Mapping[str, str] = OF_PERSON,
    event: str = Looked.NUMBER_CHECKED,
) -> int:
    """An access that long ago, in its place in the chain; its number."""
    fields = {"who": "cli:anna", "why": "they ask", **at}
    async with shelf.database.transaction() as connection:
        (head,) = await connection.fetch(SQL["lock_access_chain"])
        entry = Entry(NOW - ago, event, fields, bytes(16))
        (new,) = chain.follow(bytes(head["link"]), head["events"], [entry])
        await connection.execute(
            SQL["add_access"],
            new.seq,
            new.at,
            new.event,
            json.dumps(fields),
            new.salt,
            new.commitment,
            new.link,
        )
    return new.seq


def a_year_before_today() -> datetime:
    """The moment up to which :data:`LIMIT` has looks expire."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=365)


_NO_LOOKS = {
    law.EXPIRED, Looked.NUMBER_BARRED, Looked.BARS_LIFTED, Looked.CONSENTS_WITHDRAWN, Looked.HOLD_PLACED, Looked.HOLD_RELEASED,
}  # fmt: skip


async def tell(shelf: Shelf) -> list[int]:
    """The entries that still tell who looked, other than those who entered or lifted a bar or a hold or let looks expire;
    the record is whole.
    """
    assert (await shelf.store.accesses.fault())[1] is None
    rows = await shelf.store.accesses.list(1000, WantedAccesses())
    return sorted(each["seq"] for each in rows if each["access"] not in _NO_LOOKS)


async def declared(shelf: Shelf) -> list[dict[str, Any]]:
    rows = await shelf.store.accesses.list(1000, WantedAccesses())
    return [each for each in rows if each["access"] == law.EXPIRED]


async def test_a_bar_whose_entries_are_over_passes_for_taken_away_or_lifted_by_hand(shelf: Shelf) -> None:
    bar = {**OF_PERSON, "reason": "objection", "campaign": "", "until": "never"}
    await look(shelf, at=bar, event=Looked.NUMBER_BARRED)
    await forge(
        shelf.database,
        """INSERT INTO removed_suppressions (controller, digest, key_version, campaign, reason, origin, proof, entered_at, removed_at,
                                             removed_by, why)
           VALUES ('acme', $1, 1, '', 'objection', 'cli:anna', '', $2, $2, 'cli:anna', 'a mistake')""",
        made.digests().newest,
        NOW - LONG_AGO,
    )
    await look(shelf, at={**OF_PERSON, "bars": "1", "lifted": "1"}, event=Looked.BARS_LIFTED)
    for number in (made.NUMBER, OTHER):
        digests = made.digests(number=number)
        await shelf.store.suppressions.add("acme", digests, Reason.OBJECTION, "cli:anna", "letter 7")
    await shelf.store.suppressions.remove(
        "acme", made.digests(), "cli:anna", "a mistake", reason=Reason.OBJECTION
    )
    assert await shelf.store.accesses.contradictions() == (0, [])
    assert await expire(shelf, LIMIT) == Expired(2)
    assert await shelf.store.accesses.contradictions() == (0, [])


async def test_a_look_whose_time_is_over_tells_who_looked_at_whom(shelf: Shelf, tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path / "keys")
    keys.create()
    gone, kept = await look(shelf), await look(shelf, DAY)
    before = await shelf.database.rows("SELECT seq, at, event, commitment, link FROM accesses ORDER BY seq")
    await Sealer(shelf.store.seals, keys).seal()
    started = a_year_before_today()
    assert await expire(shelf, LIMIT) == Expired(1)
    # midnight may have come since
    stated = (started, a_year_before_today())
    (row,) = await shelf.database.rows("SELECT fields, salt FROM accesses WHERE seq = $1", gone)
    assert (row["fields"], row["salt"]) == (None, None)
    assert await tell(shelf) == [kept]
    after = await shelf.database.rows("SELECT seq, at, event, commitment, link FROM accesses ORDER BY seq")
    assert after[:2] == before
    (said,) = await declared(shelf)
    assert (said["who"], said["what"]["accesses_days"]) == ("housekeeping", "365")
    assert datetime.fromisoformat(said["what"]["before"]) in stated
    assert await shelf.store.accesses.expired_before() in stated
    # it is still as it was sealed, and what was added to it is sealed too
    assert (await check(shelf.store.seals, keys.all())).unfit == []
    assert await Sealer(shelf.store.seals, keys).seal() == 1
    assert (await check(shelf.store.seals, keys.all())).unfit == []
    assert await expire(shelf, LIMIT) == Expired()
    assert len(await declared(shelf)) == 1


async def test_a_look_goes_before_its_time(shelf: Shelf) -> None:
    kept = [await look(shelf, timedelta(days=each)) for each in (364, 100, 0)]
    assert await expire(shelf, LIMIT) == Expired()
    assert await tell(shelf) == kept
    assert await declared(shelf) == []


@by_one_clock
async def test_a_look_goes_by_one_clock_alone(shelf: Shelf, ago: int, wrong_by: int) -> None:
    kept = await look(shelf, timedelta(days=ago))
    assert await expire(shelf, LIMIT, NOW + timedelta(days=wrong_by)) == Expired()
    assert await tell(shelf) == [kept]


async def test_the_record_says_each_hour_that_looks_have_expired(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 2)
    for _ in range(5):
        await look(shelf)
    assert await expire(shelf, LIMIT) == Expired(5)
    await look(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert len(await declared(shelf)) == 1
    assert await tell(shelf) == []


async def test_who_had_looks_expire_is_told_for_good(shelf: Shelf) -> None:
    """An entry that says so expires like any other, once a newer one says so."""
    before = datetime.now(UTC) - timedelta(days=800)
    await look(shelf, timedelta(days=400), law.declaration(before, 365, "cli:anna"), law.EXPIRED)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await tell(shelf) == []
    assert [each["who"] for each in await declared(shelf)] == ["housekeeping"]


async def test_invariant_9_a_look_is_hidden_by_having_it_expire(shelf: Shelf, dsn: str) -> None:
    """By somebody who can write every table, and does not know how to get past their triggers."""
    await look(shelf)
    await look(shelf, timedelta(days=300))
    async with connected(dsn) as connection:
        for change in (
            "UPDATE accesses SET fields = NULL, salt = NULL",
            "UPDATE accesses SET fields = NULL, salt = NULL WHERE seq = 2",
            "UPDATE accesses SET fields = '{}' WHERE seq = 1",
            "UPDATE accesses SET fields = NULL, salt = NULL, event = 'x' WHERE seq = 1",
            "UPDATE accesses SET fields = NULL, salt = NULL, at = at - interval '1 day' WHERE seq = 1",
            "DELETE FROM accesses WHERE seq = 1",
        ):
            with pytest.raises(asyncpg.PostgresError, match="accesses is append-only"):
                await connection.execute(change)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE accesses SET fields = NULL WHERE seq = 1")


@pytest.mark.parametrize("ago", [0, 300, 366], ids=["today", "this-year", "before"])
async def test_invariant_9_a_look_that_was_erased_without_being_declared_goes_unnoticed(
    shelf: Shelf, database: Database, ago: int
) -> None:
    await look(shelf)
    hidden = await look(shelf, timedelta(days=ago))
    await forge(database, "UPDATE accesses SET fields = NULL, salt = NULL WHERE seq = $1", hidden)
    fault = f"the fields of entry {hidden} were erased before their time"
    assert await shelf.store.accesses.fault() == (2, fault)
    # nor does it go unnoticed because of what the record says next
    if ago < 365:
        assert await expire_unseen(shelf.store, LIMIT, NOW) == Expired(1)
        assert await shelf.store.accesses.fault() == (3, fault)


async def test_invariant_9_a_look_of_this_year_is_declared_to_have_expired(
    shelf: Shelf, database: Database
) -> None:
    hidden = await look(shelf, timedelta(days=30))
    async with database.transaction() as connection:
        await accesses.add(connection, law.EXPIRED, law.declaration(NOW - DAY, 365, "housekeeping"))
    await forge(database, "UPDATE accesses SET fields = NULL, salt = NULL WHERE seq = $1", hidden)
    fault = f"the fields of entry {hidden} were erased before their time"
    assert await shelf.store.accesses.fault() == (2, fault)
    assert await shelf.store.accesses.expired_before() is None


async def test_invariant_9_a_look_of_this_year_is_declared_to_have_expired_on_a_day_to_come(
    shelf: Shelf, database: Database
) -> None:
    """Whoever can write the record chooses the moment of a new entry, and can compute its link."""
    hidden = await look(shelf, timedelta(days=30))
    await look(shelf, timedelta(days=-400), law.declaration(NOW - DAY, 365, "housekeeping"), law.EXPIRED)
    await forge(database, "UPDATE accesses SET fields = NULL, salt = NULL WHERE seq = $1", hidden)
    fault = f"the fields of entry {hidden} were erased before their time"
    assert await shelf.store.accesses.fault() == (2, fault)
    assert await shelf.store.accesses.expired_before() is None
    # what expires when it is due is declared all the same, and covers nothing else
    await look(shelf)
    started = a_year_before_today()
    assert await expire_unseen(shelf.store, LIMIT, NOW) == Expired(1)
    assert await shelf.store.accesses.fault() == (4, fault)
    # midnight may have come since
    assert await shelf.store.accesses.expired_before() in (started, a_year_before_today())


async def test_invariant_9_an_erased_look_is_changed_or_left_out_unnoticed(
    shelf: Shelf, database: Database
) -> None:
    for _ in range(3):
        await look(shelf)
    assert await expire(shelf, LIMIT) == Expired(3)
    await forge(database, "UPDATE accesses SET event = 'call_shown' WHERE seq = 2")
    assert "entry 2 (call_shown) was changed" in str((await shelf.store.accesses.fault())[1])
    await forge(database, "DELETE FROM accesses WHERE seq = 2")
    assert (await shelf.store.accesses.fault())[1] == "entry 2 is missing"


@pytest.mark.parametrize(("keeps", "words"), [each for each in ALIKE if each.id != "portability"])
async def test_a_look_goes_that_is_kept_or_stays_when_it_is_not_any_more(
    shelf: Shelf, keeps: Keeps, words: str
) -> None:
    kept = await look(shelf)
    await look(shelf, at=OF_OTHER)
    let_go = await keeps(shelf)
    assert await expire(shelf, LIMIT) == Expired(1, 1, Counter({words: 1}))
    assert await tell(shelf) == [kept]
    await let_go()
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await tell(shelf) == []


async def test_a_look_at_what_is_a_persons_goes_though_the_person_waits_for_an_answer(shelf: Shelf) -> None:
    call = await person.called(shelf)
    recording, reference = await shelf.put(call), await person.asked(shelf)
    await person.resolved(shelf, reference)
    theirs = [
        await look(shelf, at=target)
        for target in (
            {"call": str(call.id)},
            {"recording": str(recording)},
            {"recording": str(recording), "call": str(call.id), "controller": "acme"},
            {"request": reference, "controller": "acme"},
            {"of": str(call.id)},
            {"of": reference},
        )
    ]
    for target in (
        {"controller": "acme"},
        {"register": "robinson"},
        {"call": "x", "digest": "x"},
        {"of": "BETA-1"},
    ):
        await look(shelf, at=target)
    access = await person.asked(shelf, Right.ACCESS)
    words = f"request {access} (access)"
    assert await expire(shelf, LIMIT) == Expired(4, 6, Counter({words: 6}))
    assert await tell(shelf) == theirs


@pytest.mark.parametrize("of", ["call", "recording", "request"])
async def test_a_hold_on_what_was_looked_at_lets_the_look_go(shelf: Shelf, of: str) -> None:
    call = await person.called(shelf)
    recording, reference = await shelf.put(call), await person.asked(shelf)
    await person.resolved(shelf, reference)
    on, target = {
        "call": (HoldOn(call_id=call.id), {"call": str(call.id)}),
        "recording": (HoldOn(recording_id=recording), {"recording": str(recording)}),
        "request": (HoldOn(reference=reference), {"request": reference}),
    }[of]
    kept = await look(shelf, at=target)
    await shelf.store.holds.place(on, "lawsuit", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({HOLD: 1}))
    assert await tell(shelf) == [kept]


async def test_a_request_keeps_a_look_that_it_does_not_need(shelf: Shelf) -> None:
    await look(shelf)
    for right in (Right.RECTIFICATION, Right.ERASURE, Right.PORTABILITY):
        await person.asked(shelf, right)
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_invariant_7_another_controllers_hold_and_request_keep_a_look(shelf: Shelf) -> None:
    await look(shelf)
    await shelf.store.holds.place(HoldOn(subject=Subject("beta", made.digests())), "lawsuit", "cli:anna")
    await shelf.store.requests.add("beta", letter(), made.digests())
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_looks_behind_many_that_are_kept_are_never_come_to(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 2)
    kept = [await look(shelf, timedelta(days=400)) for _ in range(3)]
    for _ in range(3):
        await look(shelf, at=OF_OTHER)
    await shelf.store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(3, 3, Counter({HOLD: 3}))
    assert await tell(shelf) == kept


async def test_a_look_goes_past_a_hold_that_is_just_being_placed(shelf: Shelf, dsn: str) -> None:
    kept = await look(shelf)
    on_person = HoldOn(subject=Subject("acme", made.digests()))
    assert (await expire_beside_a_hold(shelf, dsn, LIMIT, on_person)).kept == 1
    assert await tell(shelf) == [kept]


async def test_looks_at_once_with_their_expiry_break_the_chain(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 3)
    for _ in range(20):
        await look(shelf)
    note = shelf.store.accesses.note(Access(Looked.NUMBER_CHECKED, "cli:anna", OF_OTHER))
    done, *_ = await asyncio.gather(
        expire_unseen(shelf.store, LIMIT), note,
        *(shelf.store.accesses.note(Access(Looked.CALL_SHOWN, "cli:anna", OF_OTHER)) for _ in range(5)),
    )  # fmt: skip
    assert (done, len(await tell(shelf))) == (Expired(20), 6)


async def test_who_is_killed_leaves_a_look_half_gone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await look(shelf)
    with monkeypatch.context() as patch:
        kill(patch, (accesses, "add"), after=True)
        with pytest.raises(KilledError):
            await expire_unseen(shelf.store, LIMIT)
    assert (await tell(shelf), await declared(shelf)) == ([kept], [])
    assert await expire(shelf, LIMIT) == Expired(1)


@pytest.mark.parametrize(
    ("days", "stands"),
    [
        pytest.param([None], 1096, id="a-policy-that-says-none"),
        pytest.param([365, None], 1096, id="shorter-since-today"),
        pytest.param([None, 365], 1096, id="longer-since-today"),
        pytest.param([3660, None], 3660, id="kept-longer-before-the-first-start"),
        pytest.param([365, 400], 400, id="both-shorter"),
    ],
)
def test_a_policy_of_an_older_version_has_looks_kept_for_good_or_takes_them_by_surprise(
    days: list[int | None], stands: int
) -> None:
    policies = [read(f"accesses_days = {each}\n{made.POLICY}" if each else made.POLICY) for each in days]
    assert standing(policies) == [Limit(Limited.ACCESSES, "", stands)]
    assert standing([]) == []


async def test_a_round_leaves_looks_alone(shelf: Shelf) -> None:
    await look(shelf, timedelta(days=1098))
    kept = await look(shelf, timedelta(days=1000))
    await applied(shelf, made.POLICY, GRACE * 2)
    async with shelf.store.limits.turn() as mine:
        assert mine
        assert await keeper_of(shelf.store).round() == {}
    assert await keeper_of(shelf.store).round() == {OF_ACCESSES: Expired(1)}
    assert await tell(shelf) == [kept]


async def test_who_may_have_waited_for_an_answer_under_a_lost_secret_is_told_of_no_look(
    shelf: Shelf, tmp_path: Path
) -> None:
    keys = SecretStore(tmp_path / "keys")
    new_secret(keys, "acme")
    kept = await look(shelf)
    await applied(shelf, LIMITED, GRACE * 2)
    reach = partial(shelf.store.key_versions.extend, await shelf.store.key_versions.vouch(keys))
    keeper = keeper_of(shelf.store, reach)
    shutil.rmtree(keys.folder / "acme")
    with pytest.raises(ExpiryError, match="secret of 'acme'"):
        await keeper.round()
    assert await tell(shelf) == [kept]


async def test_one_controllers_lost_secret_keeps_the_looks_of_all(shelf: Shelf, tmp_path: Path) -> None:
    """Only its own open requests could need them, under the secret that is lost; the policy may no longer even declare it."""
    keys = SecretStore(tmp_path / "keys")
    for controller in ("acme", "former"):
        new_secret(keys, controller)
    of_former = {"controller": "former", "digest": OF_PERSON["digest"]}
    kept = await look(shelf, at=of_former)
    await look(shelf)
    await applied(shelf, LIMITED, GRACE * 2)
    reach = partial(shelf.store.key_versions.extend, await shelf.store.key_versions.vouch(keys))
    keeper = keeper_of(shelf.store, reach)
    shutil.rmtree(keys.folder / "former")
    with pytest.raises(ExpiryError, match="secret of 'former'") as stalled:
        await keeper.round()
    assert stalled.value.reasons.keys() == {"former"}
    assert await tell(shelf) == [kept]


async def test_nobody_is_told_that_looks_do_not_expire(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    await applied(shelf, LIMITED, GRACE * 2)

    def fails(limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        raise StoreError("the database did not answer in time")

    monkeypatch.setattr(shelf.store.limits, "expire", fails)
    with pytest.raises(ExpiryError, match=r"^the record of accesses: the database did not answer in time$"):
        await keeper_of(shelf.store).round()


async def test_a_running_service_lets_no_look_expire(shelf: Shelf, dsn: str, tmp_path: Path) -> None:
    await look(shelf)
    await applied(shelf, LIMITED.partition("[[campaigns]]")[0], GRACE * 2)
    service = to_start(tmp_path, tmp_path, CCARI_DATABASE__URL=dsn)
    assert (await service.ccari("keys", "init")).code == 0
    await begun(service, lambda: any(line["event"] == "accesses_expired" for line in service.lines()))
    await told(service, signal.SIGTERM)
    (line,) = [each for each in service.lines() if each["event"] == "accesses_expired"]
    assert (line["expired"], line["held"], line["accesses_days"], "controller" in line) == (1, 0, 365, False)
    assert await tell(shelf) == []


@pytest.fixture
def ccari(dsn: str, tmp_path: Path) -> Service:
    return on(dsn, tmp_path)


async def test_the_command_has_looks_expire_unasked_or_does_not_say_since_when(
    ccari: Service, shelf: Shelf
) -> None:
    await look(shelf)
    await look(shelf, DAY)
    await applied(shelf, LIMITED, timedelta(0))
    asked = await ccari.ccari("audit", "purge")
    assert (asked.code, asked.err) == (0, "nothing has been erased yet: add --yes to erase 1 for good\n")
    assert await tell(shelf) == [1, 2]
    assert (await ccari.ccari("audit", "list")).err == ""
    assert await ccari.json("audit", "purge", "--yes") == {
        "limits": [{"accesses_days": 365, "accesses": 1, "kept": 0, "held_by": {}}],
        "erased": True,
    }
    (said,) = await declared(shelf)
    assert said["who"].startswith("cli:")
    listed = await ccari.ccari("audit", "list")
    before = cell(datetime.fromisoformat(said["what"]["before"]))
    assert listed.err == f"accesses before {before} have expired, but for those that are held\n"
    assert "#1 " not in listed.out
    # a program that reads only the list would take it for the whole record
    assert (await ccari.ccari("audit", "list", "--json")).err == listed.err
    assert (await ccari.ccari("audit", "list", "--days", "30")).err == ""
    assert (await ccari.ccari("audit", "check")).out == "3 accesses: the record is intact\n"


async def test_the_command_has_looks_expire_that_a_request_may_need_under_a_lost_secret_or_none(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    keys = SecretStore(tmp_path / "keys")
    for controller in ("acme", "former"):
        new_secret(keys, controller)
    await shelf.store.key_versions.vouch(keys)
    await shelf.store.suppressions.add("former", made.digests(), Reason.DO_NOT_CALL, "manual", "")
    kept = await look(shelf, at={"controller": "former", "digest": OF_PERSON["digest"]})
    await look(shelf)
    shutil.rmtree(keys.folder / "former")
    await applied(shelf, LIMITED, timedelta(0))
    told = await ccari.ccari("audit", "purge", "--yes")
    assert told.code == 1
    assert "the suppression secret of 'former'" in told.err
    assert "1 past the limit, but held by a lost secret of 'former'" in told.out
    assert await tell(shelf) == [kept]


@pytest.mark.parametrize(
    ("before", "left"), [([], 1), (["accesses_days = 3660"], 2)], ids=["unprepared", "prepared"]
)
async def test_an_update_loses_looks_that_were_to_be_kept_or_keeps_those_past_the_limit(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[str], left: int
) -> None:
    """What is kept longer is declared before the new version first serves; its policy has only just come into force."""
    steps = tmp_path / "migrations"
    shutil.copytree(
        migrations_folder(), steps, ignore=lambda _, names: [each for each in names if each >= "0033"]
    )
    with monkeypatch.context() as older:
        older.setattr(migrating, "migrations_folder", lambda: steps)
        async with open_database(empty) as database:
            shelf = Shelf(Store(empty, database), database, tmp_path)
            await look(shelf, timedelta(days=1100))
            await look(shelf, DAY)
            await applied(shelf, made.POLICY, GRACE * 2)
    async with open_database(empty) as database:
        shelf = Shelf(Store(empty, database), database, tmp_path)
        for line in before:
            await applied(shelf, f"{line}\n{made.POLICY}", timedelta(0))
        assert len(await tell(shelf)) == 2
        await keeper_of(shelf.store).round()
        assert len(await tell(shelf)) == left
