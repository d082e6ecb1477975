"""Contacts as lists bring them: what is kept of them, what is kept out, and what the law says of many at once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest

from ccari.errors import StoreError
from ccari.policy import gate
from ccari.policy.gate import Block, Question
from ccari.policy.numbers import Number
from ccari.policy.parties import Register
from ccari.policy.suppression import Reason
from ccari.ports.keying import Sought
from ccari.ports.lists import LineFault, Scrubbed, Sourced
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.policy.campaigns import campaign
from tests.unit.store import listed, made
from tests.unit.store.listed import DAY, NOW, batches, contact, number

FOR_ALL = Question("acme", "", "", "phone", NOW, NOW)
UNWELCOME = partial(gate.unwelcome, now=NOW)
FAULT = LineFault(2, "obtained", "it is empty")
#: May be called without consent by anybody who knows where the number comes from.
RENEWALS = campaign(data_source=None, keys={"2": "continue_unrecorded"})
ROBINSON = Register(id="robinson", name="Lista Robinsonów", consent_overrides=True)


async def load(
    store: Store, *lines: tuple[Sourced, Sought] | LineFault, keep_going: bool = False, **changes: Any
) -> Scrubbed:
    said: dict[str, Any] = {"question": FOR_ALL, "judge": UNWELCOME, "origin": "import:anna"}
    return await store.contacts.load(contacts=batches(*lines), keep_going=keep_going, **(said | changes))


async def kept(store: Store, of: Number = made.NUMBER, version: int = 1) -> list[str]:
    return [row["source"] for row in await store.contacts.of("acme", listed.digests(of, version))]


async def test_a_contact_is_kept_without_its_provenance_or_with_its_number(
    store: Store, database: Database
) -> None:
    done = await load(store, contact(proof="K-7", until=NOW + DAY))
    assert (done.report.lines, done.report.accepted, done.report.taken, dict(done.barred)) == (1, 1, True, {})
    (row,) = await store.contacts.of("acme", made.digests())
    assert {**row, "entered_at": None} == {
        "source": "fair", "obtained_on": listed.OBTAINED, "legal_basis": "contract", "proof": "K-7",
        "valid_until": NOW + DAY, "origin": "import:anna", "entered_at": None,
    }  # fmt: skip
    (whole,) = await database.rows("SELECT contacts::text AS row FROM contacts")
    assert "600100001" not in whole["row"]
    assert await store.contacts.of("other", made.digests("other")) == []


async def test_a_number_comes_back_that_was_erased_or_one_stays_away_that_need_not(store: Store) -> None:
    """Every reason: on all of a controller's calls, on one campaign, expired, and of another controller."""
    cases = list(enumerate(product(Reason, ["controller", "campaign", "expired", "another"])))
    for n, (reason, scope) in cases:
        await store.suppressions.add(
            "other" if scope == "another" else "acme", listed.digests(number(n)), reason, "test", "",
            campaign="renewals" if scope == "campaign" else None, expires_at=NOW - DAY if scope == "expired" else None,
        )  # fmt: skip
    done = await load(store, *(contact(number(n)) for n, _ in cases))
    out = {Reason.ERASURE, Reason.RESTRICTION, Reason.DO_NOT_CALL}
    for n, (reason, scope) in cases:
        barred = scope == "controller" and reason in out
        assert await kept(store, number(n)) == ([] if barred else ["fair"]), (reason, scope)
    assert dict(done.barred) == {f"suppressed_{reason}": 1 for reason in out}
    assert (done.report.lines, done.report.accepted) == (len(cases) - 3, len(cases) - 3)


async def test_a_bar_under_an_older_secret_is_overlooked(store: Store) -> None:
    await store.suppressions.add("acme", listed.digests(made.NUMBER, 1), Reason.ERASURE, "test", "")
    done = await load(store, contact(version=3))
    assert (dict(done.barred), await kept(store, version=3)) == ({Block.SUPPRESSED_ERASURE: 1}, [])


async def test_a_key_pressed_while_the_list_is_read_is_too_late(store: Store) -> None:
    """Each line is judged as it is read; whoever asks for erasure after that is left out when the list is entered."""

    async def read_slowly() -> AsyncIterator[list[tuple[Sourced, Sought] | LineFault]]:
        yield [contact(), contact(number(2))]
        await store.suppressions.add("acme", made.digests(), Reason.ERASURE, "call", "")
        await store.suppressions.add(
            "acme", listed.digests(number(2)), Reason.OBJECTION_MARKETING, "call", ""
        )

    await store.contacts.load(FOR_ALL, UNWELCOME, read_slowly(), origin="import:anna", keep_going=False)
    assert (await kept(store), await kept(store, number(2))) == ([], ["fair"])


async def test_a_contact_that_has_gone_ends_the_list_or_begins_it_anew(store: Store) -> None:
    await load(store, *(contact(number(n)) for n in range(3)))
    first, second, third = await store.contacts.page(None, None, 9, None)
    await store.database.rows("DELETE FROM contacts WHERE id = $1", second["id"])
    assert await store.contacts.page(None, None, 9, first["id"]) == [third]
    # the contact that ended the previous page was erased meanwhile
    assert await store.contacts.page(None, None, 9, second["id"]) == [third]


async def test_a_page_repeats_a_contact_or_leaves_it_out_when_a_list_is_imported_meanwhile(
    store: Store,
) -> None:
    """Other sources for numbers on pages already given, and known contacts entered anew."""
    known = [contact(number(n), source=source) for n in range(3) for source in ("m", "n")]
    await load(store, *known)
    whole = await store.contacts.page(None, None, 9, None)
    told = await store.contacts.page(None, None, 3, None)
    more = [contact(number(n), source=source) for n in range(3) for source in ("a", "z")]
    newer = [contact(number(n), source="m", obtained=listed.OBTAINED + DAY) for n in range(3)]
    await load(store, *more, *newer)
    rest = await store.contacts.page(None, None, 9, told[-1]["id"])
    assert [each["id"] for each in (*told, *rest)] == [each["id"] for each in whole]


async def test_a_campaigns_bars_and_registers_let_a_contact_of_it_through(
    store: Store, database: Database
) -> None:
    """A bar on another campaign, and a listing that a consent overrides, keep nobody out."""
    listed_as = (("robinson", bytes(32)),)
    as_of = NOW - DAY
    async with database.connection() as connection:
        load_id = await connection.fetchval(
            "INSERT INTO register_loads (register, as_of, loaded_by, entries, sha256) VALUES ('robinson', $1, 'x', 1, $2) "
            "RETURNING id", as_of, bytes(32),
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO register_entries (register, digest, key_version, listed_at, load) VALUES ('robinson', $1, 1, $2, $3)",
            bytes(32), as_of, load_id,
        )  # fmt: skip
    marketing = campaign(marketing=True, registers=["robinson"])
    law: dict[str, Any] = {
        "question": gate.question(marketing, NOW),
        "judge": lambda facts: gate.barred(marketing, (ROBINSON,), facts, NOW),
    }
    unlisted = (("robinson", bytes(31) + b"\1"),)
    await store.suppressions.add(
        "acme", listed.digests(number(3)), Reason.OBJECTION_MARKETING, "x", "", campaign=marketing.id
    )
    await store.suppressions.add(
        "acme", listed.digests(number(4)), Reason.OBJECTION_MARKETING, "x", "", campaign="another"
    )
    await store.consents.load(
        "acme", {}, batches(listed.agreed(number(5), given=NOW - 2 * DAY), listed.agreed(number(6), given=NOW - DAY / 2)),
        origin="x", keep_going=False,
    )  # fmt: skip
    lines = [
        contact(number(2), listed_as=listed_as),
        *(contact(number(n), listed_as=unlisted) for n in (3, 4)),
        *(contact(number(n), listed_as=listed_as) for n in (5, 6)),
    ]
    done = await load(store, *lines, **law)
    assert dict(done.barred) == {
        Block.SUPPRESSED_REGISTER: 2, Block.SUPPRESSED_CAMPAIGN_OBJECTION_MARKETING: 1,
    }  # fmt: skip
    assert [n for n in range(2, 7) if await kept(store, number(n))] == [4, 6]
    stale = ROBINSON.model_copy(update={"max_age_days": 1})
    done = await load(
        store, contact(number(7), listed_as=unlisted), question=law["question"],
        judge=lambda facts: gate.barred(marketing, (stale,), facts, NOW + DAY),
    )  # fmt: skip
    assert dict(done.barred) == {Block.REGISTER_STALE: 1}


async def test_a_bad_line_changes_something_or_keeps_the_sound_ones_out(store: Store) -> None:
    await store.suppressions.add("acme", listed.digests(number(3)), Reason.ERASURE, "test", "")
    lines: list[tuple[Sourced, Sought] | LineFault] = [
        contact(),
        FAULT,
        contact(number(3)),
        contact(),
        contact(number(4)),
    ]
    done = await load(store, *lines)
    report = done.report
    assert (report.taken, report.invalid, report.faults, report.duplicate) == (False, 1, [FAULT], 0)
    assert await kept(store) == []
    done = await load(store, *lines, keep_going=True)
    report = done.report
    assert (report.taken, report.lines, report.accepted, report.duplicate, report.invalid) == (
        True,
        4,
        2,
        1,
        1,
    )
    assert dict(done.barred) == {Block.SUPPRESSED_ERASURE: 1}
    again = (await load(store, *lines, keep_going=True)).report
    assert (again.accepted, again.duplicate) == (0, 3)


async def test_an_older_list_overwrites_what_a_newer_one_has_told(store: Store) -> None:
    async def told(*lines: tuple[Sourced, Sought]) -> tuple[int, list[tuple[Any, Any]]]:
        done = await load(store, *lines)
        rows = await store.contacts.of("acme", made.digests())
        return done.report.accepted, [(row["source"], row["proof"]) for row in rows]

    assert await told(contact(proof="old"), contact(source="web")) == (2, [("fair", "old"), ("web", "")])
    later = listed.OBTAINED + DAY
    assert await told(
        contact(proof="newest", obtained=later), contact(proof="new")
    ) == (1, [("web", ""), ("fair", "newest")])  # fmt: skip
    assert await told(contact(proof="old")) == (0, [("web", ""), ("fair", "newest")])
    # the same day again, with a limit that was not there before: the last word counts, in one list too
    await load(store, contact(obtained=later, until=NOW + DAY), contact(obtained=later, until=NOW - DAY))
    (row,) = [each for each in await store.contacts.of("acme", made.digests()) if each["source"] == "fair"]
    assert row["valid_until"] == NOW - DAY


async def test_a_contact_under_an_older_secret_stays_beside_the_new_one(
    store: Store, database: Database
) -> None:
    """It would be one source more, and one that may be used for ever although the newer contact says otherwise."""
    await load(store, contact(), contact(source="web"))
    await load(store, contact(version=2, until=NOW - DAY))
    rows = await store.contacts.of("acme", listed.digests(made.NUMBER, 2))
    assert [(row["source"], row["valid_until"]) for row in rows] == [("fair", NOW - DAY), ("web", None)]
    versions = await database.rows("SELECT DISTINCT key_version FROM contacts")
    assert versions == [{"key_version": 2}]
    # a list that was prepared under the older one brings it back, and is overtaken again
    await load(store, contact(proof="late"))
    await load(store, contact(version=2, until=NOW - DAY))
    assert await kept(store, version=2) == ["fair", "fair", "web"]


async def test_one_controllers_list_acts_on_anothers_contacts(store: Store) -> None:
    await load(store, contact(proof="ours"))
    theirs = contact(proof="theirs")[0], Sought(made.digests())
    await load(store, theirs, question=replace(FOR_ALL, controller="other"))
    for whose, proof in (("acme", "ours"), ("other", "theirs")):
        assert [row["proof"] for row in await store.contacts.of(whose, made.digests())] == [proof]


async def test_many_numbers_are_judged_otherwise_than_each_alone(store: Store) -> None:
    """In their order, and with nothing of one number among the facts of another."""
    numbers = [number(n) for n in range(40)]
    for n, each in enumerate(numbers):
        if n % 3 == 0:
            await store.suppressions.add("acme", listed.digests(each), list(Reason)[n // 3 % 6], "x", "")
    await load(
        store,
        *(contact(each, until=NOW - DAY if n % 5 == 0 else None) for n, each in enumerate(numbers) if n % 2),
    )
    await store.consents.load(
        "acme", {},
        batches(*(listed.agreed(each, purpose="renewals") for n, each in enumerate(numbers) if n % 7)),
        origin="x", keep_going=False,
    )  # fmt: skip
    sought = [Sought(listed.digests(each, 1 + n % 2)) for n, each in enumerate(numbers)]
    asked = gate.question(RENEWALS, NOW)
    one_by_one = [
        gate.refusal(RENEWALS, (), (await store.calls.facts(asked, each))[0], NOW) for each in sought
    ]  # fmt: skip
    async with store.contacts.sieve(asked, lambda facts: gate.refusal(RENEWALS, (), facts, NOW)) as sieve:
        assert await sieve.sift(sought) == one_by_one
        assert await sieve.sift([]) == []
    assert len(set(one_by_one)) >= 5


async def test_a_source_that_ran_out_is_dialled(store: Store) -> None:
    await load(store, contact(until=NOW + DAY))
    asked = gate.question(RENEWALS, NOW)
    facts, _ = await store.calls.facts(asked, Sought(made.digests()))
    assert gate.refusal(RENEWALS, (), facts, NOW) is None
    assert gate.refusal(RENEWALS, (), facts, NOW + 2 * DAY) is Block.SOURCE_EXPIRED
    unknown, _ = await store.calls.facts(asked, Sought(listed.digests(number(2))))
    assert gate.refusal(RENEWALS, (), unknown, NOW) is Block.NO_SOURCE


async def test_a_failure_of_the_database_quotes_what_is_in_a_row(store: Store) -> None:
    with pytest.raises(StoreError) as wrong:
        await load(store, contact(source=f"{made.NUMBER.e164}\0"))
    told: BaseException | None = wrong.value
    while told is not None:
        assert "600100001" not in str(told)
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
