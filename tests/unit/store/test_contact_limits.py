"""Contacts long neither in a list nor called are deleted, and that lets nobody be called who was not before."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccari.office.limits import Expired
from ccari.policy import gate
from ccari.policy.declaration import read
from ccari.policy.gate import Block
from ccari.policy.limits import Limit, standing
from ccari.policy.numbers import Number
from ccari.policy.retention import Limited
from ccari.policy.rights import Right
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.keying import Sought
from ccari.store import limits
from ccari.store.database import Connection
from tests.unit.store import listed, made, person
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
    erases_one,
    expire,
    expire_beside,
    expire_beside_a_hold,
    keeper_of,
    told_of_one,
    with_limit,
)
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.test_call_limits import over
from tests.unit.store.test_requests import letter

LIMIT = Limit(Limited.CONTACTS, "acme", 365)
SOURCED = replace(LIMIT, sourced=True)
LIMITED = with_limit(Limited.CONTACTS)
UNSOURCED = LIMITED.replace('data_source = "umowa zawarta z ACME"\n', "")


async def listing(shelf: Shelf, *contacts: Any, controller: str = "acme") -> int:
    """Load a list; how many contacts it has entered."""
    question = replace(made.QUESTION, controller=controller)
    told = listed.batches(*contacts)
    done = await shelf.store.contacts.load(question, lambda _: None, told, origin="list", keep_going=False)
    return done.report.accepted


async def aged(shelf: Shelf, ago: timedelta = OF_LONG_AGO) -> None:
    """Make all contacts have been in a list that long ago, and not since."""
    await shelf.database.rows("UPDATE contacts SET entered_at = $1, told_at = NULL", NOW - ago)


async def known(shelf: Shelf, of: Number = made.NUMBER, source: str = "fair", **told: Any) -> None:
    """A contact that was in a list long ago."""
    await listing(shelf, listed.contact(of, source, **told))
    await aged(shelf)


async def left(shelf: Shelf) -> list[str]:
    rows = await shelf.database.rows("SELECT source FROM contacts ORDER BY source")
    return [row["source"] for row in rows]


async def verdict(shelf: Shelf, document: str) -> Block | None:
    """The gate's verdict on a call to the number, by a policy of one campaign."""
    facts, _ = await shelf.store.calls.facts(made.QUESTION, Sought(made.digests()))
    return gate.verdict(read(document).campaigns[0], (), "PL", made.NUMBER, facts, datetime.now(UTC))


async def test_a_contact_whose_time_is_over_is_kept_or_its_number_called_without_a_source(
    shelf: Shelf,
) -> None:
    await known(shelf)
    await known(shelf, source="web")
    assert await verdict(shelf, UNSOURCED) is None
    assert await expire(shelf, LIMIT) == Expired(2)
    assert await left(shelf) == []
    assert await verdict(shelf, UNSOURCED) is Block.NO_SOURCE
    assert await expire(shelf, LIMIT) == Expired()
    # as if it had never been in one
    assert await listing(shelf, listed.contact()) == 1
    assert await verdict(shelf, UNSOURCED) is None


async def test_a_contact_goes_before_its_time_or_with_anothers(shelf: Shelf) -> None:
    await known(shelf)
    await aged(shelf, timedelta(days=364))
    await listing(shelf, listed.contact(source="of beta"), controller="beta")
    await shelf.database.rows(
        "UPDATE contacts SET entered_at = $1 WHERE controller = 'beta'", NOW - OF_LONG_AGO
    )
    assert await expire(shelf, LIMIT) == Expired()
    assert await left(shelf) == ["fair", "of beta"]


@by_one_clock
async def test_a_contact_goes_by_one_clock_alone(shelf: Shelf, ago: int, wrong_by: int) -> None:
    await known(shelf)
    await aged(shelf, timedelta(days=ago))
    assert await expire(shelf, LIMIT, NOW + timedelta(days=wrong_by)) == Expired()


@pytest.mark.parametrize("obtained", [listed.OBTAINED, listed.OBTAINED - 30 * DAY], ids=["same", "older"])
async def test_a_contact_that_a_list_has_again_goes_or_counts_as_new(shelf: Shelf, obtained: Any) -> None:
    await known(shelf)
    await known(shelf, source="web")
    entered = await shelf.database.rows("SELECT entered_at FROM contacts WHERE source = 'fair'")
    assert await listing(shelf, listed.contact(obtained=obtained)) == 0
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await left(shelf) == ["fair"]
    assert await shelf.database.rows("SELECT entered_at FROM contacts") == entered
    await shelf.database.rows("UPDATE contacts SET told_at = $1", NOW - OF_LONG_AGO)
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_list_that_comes_each_hour_writes_each_contact_each_time(shelf: Shelf) -> None:
    await listing(shelf, listed.contact())
    await listing(shelf, listed.contact())
    assert await shelf.database.rows("SELECT told_at FROM contacts") == [{"told_at": None}]
    await aged(shelf, timedelta(hours=25))
    await listing(shelf, listed.contact(), listed.contact())
    (first,) = await shelf.database.rows("SELECT told_at FROM contacts")
    assert first["told_at"] is not None
    await listing(shelf, listed.contact())
    assert await shelf.database.rows("SELECT told_at FROM contacts") == [first]


async def test_a_contact_goes_that_is_called_or_stays_for_calls_that_were_none(shelf: Shelf) -> None:
    await known(shelf)
    call = await person.called(shelf)
    assert await expire(shelf, LIMIT) == Expired()
    blocked = await shelf.call()
    await shelf.store.calls.close(blocked.id, "blocked", "no_source", ())
    await shelf.database.rows("UPDATE calls SET ended_at = $2 WHERE id = $1", call.id, NOW - OF_LONG_AGO)
    another = await shelf.call(made.call(number=OTHER))
    of_another = await shelf.call(replace(made.call("beta"), keyed=made.digests()))
    assert await expire(shelf, LIMIT) == Expired(1)
    await shelf.store.calls.close(another.id, "bridged", "", ())
    await shelf.store.calls.close(of_another.id, "bridged", "", ())


async def test_a_contact_goes_whose_number_is_being_called(shelf: Shelf) -> None:
    await known(shelf)
    call = await shelf.call()
    await shelf.database.rows("UPDATE calls SET opened_at = $1", NOW - OF_LONG_AGO)
    assert await expire(shelf, LIMIT) == Expired()
    await shelf.store.calls.close(call.id, "bridged", "", ())
    assert await expire(shelf, LIMIT) == Expired()


async def test_a_number_is_called_whose_contact_said_that_it_may_not_be_used(shelf: Shelf) -> None:
    """By a campaign that itself states where its numbers come from: valid_until has passed, and only the contact says so."""
    for source, until in (("bought", NOW - DAY), ("lent", NOW + 30 * DAY)):
        await known(shelf, source=source, until=until)
    assert await verdict(shelf, LIMITED) is None
    assert await verdict(shelf, UNSOURCED) is None
    words = "its last day (valid_until), after which it bars calls"
    assert await expire(shelf, SOURCED) == Expired(0, 2, Counter({words: 2}))
    await shelf.database.rows("UPDATE contacts SET valid_until = $1", NOW - DAY)
    assert await expire(shelf, SOURCED) == Expired(0, 2, Counter({words: 2}))
    assert await verdict(shelf, LIMITED) is Block.SOURCE_EXPIRED
    # where each number has to be a contact, one that is not is not called either
    assert await expire(shelf, LIMIT) == Expired(2)
    assert await verdict(shelf, UNSOURCED) is Block.NO_SOURCE


@pytest.mark.parametrize(
    ("documents", "sourced"),
    [([UNSOURCED], False), ([LIMITED], True), ([UNSOURCED, LIMITED], True), ([LIMITED, UNSOURCED], True)],
)
def test_a_campaign_that_has_its_source_goes_unnoticed(documents: list[str], *, sourced: bool) -> None:
    """Also one of a policy that was in force a moment ago, whose calls may be under way."""
    limit, of_accesses = standing([read(each) for each in documents])
    assert (limit, limit.sourced, of_accesses) == (LIMIT, sourced, OF_ACCESSES)


@pytest.mark.parametrize(("keeps", "words"), ALIKE)
async def test_a_contact_goes_that_is_kept_or_stays_when_it_is_not_any_more(
    shelf: Shelf, keeps: Keeps, words: str
) -> None:
    await known(shelf)
    await known(shelf, OTHER, "web")
    lets_go = await keeps(shelf)
    assert await expire(shelf, LIMIT) == Expired(1, 1, Counter({words: 1}))
    assert await left(shelf) == ["fair"]
    await lets_go()
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_request_keeps_a_contact_that_it_does_not_need(shelf: Shelf) -> None:
    """Portability covers what rests on consent or a contract; nobody who asked to be forgotten is kept longer."""
    await known(shelf)
    await shelf.database.rows("UPDATE contacts SET legal_basis = 'legitimate_interest'")
    await person.asked(shelf, Right.PORTABILITY)
    await person.asked(shelf, Right.ERASURE)
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_invariant_7_another_controllers_hold_and_request_keep_a_contact(shelf: Shelf) -> None:
    """Even though the digests were the same: invariant 7."""
    await known(shelf)
    await shelf.store.holds.place(HoldOn(subject=Subject("beta", made.digests())), "lawsuit", "cli:anna")
    held = await shelf.store.requests.add("beta", letter(), made.digests())
    await shelf.store.holds.place(HoldOn(reference=held), "lawsuit", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_contacts_behind_many_that_are_kept_are_never_come_to(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 2)
    await listing(
        shelf, *(listed.contact(source=f"kept {n}") for n in range(3)), *(listed.contact(OTHER, f"gone {n}") for n in range(3))
    )  # fmt: skip
    await aged(shelf)
    await shelf.store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(3, 3, Counter({HOLD: 3}))
    assert await left(shelf) == ["kept 0", "kept 1", "kept 2"]


async def test_a_contact_goes_that_a_list_has_just_now(shelf: Shelf, dsn: str) -> None:
    await known(shelf)

    async def brings(connection: Connection) -> None:
        await connection.execute("UPDATE contacts SET told_at = now()")

    assert await expire_beside(shelf, dsn, LIMIT, brings) == Expired()
    assert await left(shelf) == ["fair"]


async def test_a_contact_goes_past_a_hold_that_is_just_being_placed(shelf: Shelf, dsn: str) -> None:
    await known(shelf)
    on_the_number = HoldOn(subject=Subject("acme", made.digests()))
    assert (await expire_beside_a_hold(shelf, dsn, LIMIT, on_the_number)).kept == 1
    assert await left(shelf) == ["fair"]


async def test_the_command_deletes_contacts_unasked(dsn: str, tmp_path: Path, shelf: Shelf) -> None:
    ccari = on(dsn, tmp_path)
    await known(shelf)
    await told_of_one(ccari, shelf, Limited.CONTACTS, LIMITED)
    await erases_one(ccari, Limited.CONTACTS)
    assert await left(shelf) == []


async def test_a_round_leaves_contacts_alone(shelf: Shelf) -> None:
    await known(shelf)
    call = await over(shelf)
    await applied(shelf, LIMITED, timedelta(days=2))
    assert await keeper_of(shelf.store).round() == {SOURCED: Expired(1), OF_ACCESSES: Expired()}
    assert (await shelf.database.rows("SELECT digest FROM calls WHERE id = $1", call.id))[0]["digest"]
