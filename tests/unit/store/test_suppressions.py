"""A controller's bars: entered one by one and by lists, lifted on the record, and never anybody else's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ccari.errors import StoreError
from ccari.keyring.secrets import SecretStore
from ccari.policy.gate import Block
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.ports.keying import Digests, Keyed
from ccari.ports.lists import Bar
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.suppressions import NewBar, enter
from tests.unit.store.made import bar, call, digests, judge, key, new_secret, numbers, question
from tests.unit.store.waiting import until_they_wait

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ENDS = [None, NOW - 2 * DAY, NOW + DAY, NOW + 2 * DAY]


async def load(store: Store, *bars: Bar, controller: str = "acme") -> None:
    async def batches() -> AsyncIterator[Sequence[Bar]]:
        yield bars

    report = await store.suppressions.load(controller, key(controller), batches(), keep_going=False)
    assert report.lines == len(bars)


async def test_a_bar_is_entered_twice(store: Store) -> None:
    entries = [
        await store.suppressions.add("acme", digests(), Reason.ERASURE, "cli:anna", proof) for proof in "ab"
    ]
    assert entries == [True, False]
    assert await store.suppressions.add("acme", digests(), Reason.OBJECTION, "cli:anna", "")
    found = await store.suppressions.of("acme", digests())
    assert [(row["reason"], row["proof"]) for row in found] == [("erasure", "a"), ("objection", "")]
    assert [len(rows) async for rows in store.suppressions.newest(None, 10)] == [2]


async def test_a_page_leaves_out_a_bar_that_is_entered_again_meanwhile(store: Store) -> None:
    """A withdrawal that is repeated, and a bar that had ended: both start anew from then on."""
    repeated = partial(bar, 1, reason=Reason.WITHDRAW_CONSENT)
    ended = partial(bar, 2, reason=Reason.OBJECTION)
    await load(store, repeated(since=NOW - 9 * DAY), ended(since=NOW - 8 * DAY, until=NOW - DAY))
    await load(store, bar(3, reason=Reason.OBJECTION, since=NOW - 7 * DAY))
    whole = await store.suppressions.page(None, 9, None)
    first = await store.suppressions.page(None, 1, None)
    await load(store, repeated(since=NOW), ended(since=NOW, until=NOW + DAY))
    rest = await store.suppressions.page(None, 9, first[-1]["id"])
    assert [each["id"] for each in (*first, *rest)] == [each["id"] for each in whole]
    assert len(whole) == 3


async def test_a_list_shortens_a_bar_or_does_otherwise_than_one_by_one(store: Store) -> None:
    """Each pair of ends: entered one by one, by two lists, and by one list that has both, in either order."""
    pairs = [(known, new) for known in ENDS for new in ENDS]
    first = partial(bar, reason=Reason.OBJECTION, since=NOW - 9 * DAY)
    for turn in (0, 1):
        for place, pair in enumerate(pairs):
            one_by_one = digests(number=numbers(4 * place + 1)[-1])
            await store.suppressions.add("acme", one_by_one, Reason.OBJECTION, "x", "", expires_at=pair[turn])
        await load(store, *(first(4 * place + 1, until=pair[turn]) for place, pair in enumerate(pairs)))
    await load(
        store,
        *(first(4 * place + 2, until=until) for place, pair in enumerate(pairs) for until in pair),
        *(first(4 * place + 3, until=until) for place, pair in enumerate(pairs) for until in reversed(pair)),
    )
    for place, pair in enumerate(pairs):
        longest = None if None in pair else max(filter(None, pair))
        for number in numbers(4 * place + 4)[-4:]:
            found = await store.suppressions.of("acme", digests(number=number))
            assert [row["expires_at"] for row in found] == [longest], (pair, number)


@pytest.mark.parametrize(
    ("reason", "until", "expected"),
    [
        (Reason.OBJECTION, None, NOW - 3 * DAY),
        (Reason.OBJECTION, NOW - 2 * DAY, NOW - DAY),
        (Reason.WITHDRAW_CONSENT, None, NOW - DAY),
    ],
)
async def test_a_bar_begins_at_another_time_than_it_should(
    store: Store, reason: Reason, until: datetime | None, expected: datetime
) -> None:
    """A consent withdrawn again is withdrawn from then on; a bar that had ended starts anew; any other stays as it was."""
    await load(store, bar(reason=reason, since=NOW - 3 * DAY, until=until))
    await load(store, bar(reason=reason, since=NOW - DAY))
    assert [row["entered_at"] for row in await store.suppressions.of("acme", digests())] == [expected]


@pytest.mark.parametrize("by_list", [False, True])
@pytest.mark.parametrize(
    ("reason", "until", "expected"),
    [
        (Reason.OBJECTION, None, ("old", "a")),
        (Reason.OBJECTION, NOW - 2 * DAY, ("new", "b")),
        (Reason.WITHDRAW_CONSENT, None, ("new", "b")),
    ],
)
async def test_a_bar_that_began_anew_rests_on_the_proof_of_the_one_before(
    store: Store,
    database: Database,
    reason: Reason,
    until: datetime | None,
    expected: tuple[str, str],
    *,
    by_list: bool,
) -> None:
    pressed = call()
    await database.rows(
        "INSERT INTO suppressions (controller, digest, key_version, reason, origin, proof, call_id, entered_at, expires_at)"
        " VALUES ('acme', $1, 1, $2, 'old', 'a', $3, $4, $5)", digests().newest, reason, pressed.id, NOW - 3 * DAY, until,
    )  # fmt: skip
    if by_list:
        await load(store, replace(bar(reason=reason, since=NOW - DAY, proof="b"), origin="new"))
    else:
        await store.suppressions.add("acme", digests(), reason, "new", "b")
    (row,) = await database.rows("SELECT origin, proof, call_id FROM suppressions")
    assert (row["origin"], row["proof"]) == expected
    assert row["call_id"] == (pressed.id if expected[0] == "old" else None)


@pytest.mark.parametrize("reason", [Reason.OBJECTION, Reason.WITHDRAW_CONSENT])
async def test_who_is_barred_anew_after_a_bar_has_ended_was_barred_already(
    store: Store, reason: Reason
) -> None:
    ended, lasting = NOW - DAY, partial(bar, reason=reason, since=NOW - 9 * DAY)

    async def add(until: datetime | None) -> bool:
        return await store.suppressions.add("acme", digests(), reason, "cli:anna", "", expires_at=until)

    async def accepted(*bars: Bar) -> int:
        async def batches() -> AsyncIterator[Sequence[Bar]]:
            yield bars

        return (await store.suppressions.load("acme", key(), batches(), keep_going=False)).accepted

    assert [await add(ended), await add(None), await add(None)] == [True, True, False]
    many = range(1, 301)
    assert await accepted(*(lasting(index, until=ended if index % 2 else None) for index in many)) == 300
    # half of them had ended; one is entered twice in the list, and one is new
    anew = [*map(lasting, many), lasting(1), lasting(301)]
    assert await accepted(*anew) == 151
    assert await accepted(*anew) == 0


async def test_two_who_enter_a_bar_anew_at_once_have_both_entered_it(
    store: Store, database: Database
) -> None:
    """Whoever comes second finds it standing, whether by list or singly."""
    for index, second in enumerate(("by itself", "by a list")):
        whose = digests(number=numbers(index + 1)[-1])
        await store.suppressions.add("acme", whose, Reason.OBJECTION, "x", "", expires_at=NOW - DAY)

        async def listed(index: int = index) -> int:
            async def batches() -> AsyncIterator[Sequence[Bar]]:
                yield [bar(index, reason=Reason.OBJECTION, since=NOW)]

            return (await store.suppressions.load("acme", key(), batches(), keep_going=False)).accepted

        async def alone(whose: Digests = whose) -> int:
            return await store.suppressions.add("acme", whose, Reason.OBJECTION, "y", "")

        async with database.transaction() as connection:
            assert await enter(connection, "acme", whose, NewBar(Reason.OBJECTION, "first", ""))
            waiting = asyncio.create_task(alone() if second == "by itself" else listed())
            await until_they_wait(database)
        assert await waiting == 0
        (found,) = await store.suppressions.of("acme", whose)
        assert found["origin"] == "first"


async def test_a_list_that_waits_for_one_bar_holds_those_that_come_after_it(
    store: Store, database: Database
) -> None:
    """A key press that has locked those in their order, and reaches that one, would wait for the list, and the list for it."""
    first, last = sorted(range(2), key=lambda index: digests(number=numbers(index + 1)[-1]).newest)
    ended = digests(number=numbers(last + 1)[-1])
    await store.suppressions.add("acme", ended, Reason.OBJECTION, "x", "", expires_at=NOW - DAY)

    async def batches() -> AsyncIterator[Sequence[Bar]]:
        yield [bar(index, reason=Reason.OBJECTION, since=NOW) for index in (first, last)]

    async with database.transaction() as connection:
        pressed = digests(number=numbers(first + 1)[-1])
        assert await enter(connection, "acme", pressed, NewBar(Reason.OBJECTION, "first", ""))
        loading = asyncio.create_task(store.suppressions.load("acme", key(), batches(), keep_going=False))
        await until_they_wait(database)
        locked = "SELECT FROM suppressions WHERE digest = $1 FOR UPDATE NOWAIT"
        assert len(await connection.fetch(locked, ended.newest)) == 1
    assert (await loading).accepted == 1


@pytest.mark.parametrize("by_list", [False, True])
async def test_a_withdrawal_that_had_ended_stands_again_on_its_old_proof(
    store: Store, database: Database, *, by_list: bool
) -> None:
    """For one that was received earlier."""
    over = bar(reason=Reason.WITHDRAW_CONSENT, since=NOW - 3 * DAY, until=NOW - DAY, proof="a")
    await load(store, over)
    if by_list:
        await load(store, bar(reason=Reason.WITHDRAW_CONSENT, since=NOW - 5 * DAY, proof="b"))
    else:
        async with database.transaction() as connection:
            withdrawal = NewBar(Reason.WITHDRAW_CONSENT, "request:letter", "b", since=NOW - 5 * DAY)
            await enter(connection, "acme", digests(), withdrawal)
    (row,) = await store.suppressions.of("acme", digests())
    assert (row["proof"], row["expires_at"]) == ("b", None)


async def test_a_list_with_two_withdrawals_gives_the_proof_of_another_than_it_dates(store: Store) -> None:
    first = partial(bar, reason=Reason.WITHDRAW_CONSENT)
    await load(
        store,
        first(since=NOW - DAY, proof="a"),
        first(since=NOW, proof="b"),
        first(since=NOW - DAY, proof="c"),
    )
    (row,) = await store.suppressions.of("acme", digests())
    assert (row["proof"], row["entered_at"]) == ("b", NOW)


async def test_a_list_that_says_nothing_new_writes_every_row_anew(store: Store, database: Database) -> None:
    """Two million of them would double the table each week."""
    bars = [bar(index, reason=reason, since=NOW) for index in range(3) for reason in Reason]
    places = "SELECT ctid::text FROM suppressions ORDER BY digest, reason"
    await load(store, *bars)
    before = await database.rows(places)
    await load(store, *bars)
    assert await database.rows(places) == before
    assert len(before) == len(bars)


async def test_a_list_bars_another_controllers_number_or_campaign(store: Store) -> None:
    await load(store, bar(campaign="renewals"), bar(1))
    assert [row["campaign"] for row in await store.suppressions.of("acme", digests())] == ["renewals"]
    for number in numbers(2):
        for used in (digests("other", number), digests("acme", number)):
            assert await store.suppressions.of("other", used) == []
    elsewhere = replace(call(), campaign="another")
    facts, _ = await store.calls.open(elsewhere, question(elsewhere))
    assert facts.suppressions == ()


async def test_an_exported_bar_is_keyed_again(store: Store) -> None:
    digest = key("older").digest(numbers(1)[0])
    await load(store, replace(bar(), key=Keyed(digest, 7)))
    (entry,) = [row async for rows in store.suppressions.export("acme") for row in rows]
    assert (entry["digest"], entry["key_version"]) == (digest.hex(), 7)


async def test_a_lifted_bar_still_bars_or_takes_others_with_it_or_leaves_no_trace(
    store: Store, database: Database
) -> None:
    asked = call()
    await load(
        store,
        bar(reason=Reason.ERASURE, proof="letter 7", until=NOW + DAY, since=NOW),
        bar(reason=Reason.OBJECTION),
        bar(reason=Reason.ERASURE, campaign="renewals"),
        bar(1, reason=Reason.ERASURE),
    )
    await load(store, bar(reason=Reason.ERASURE), controller="other")
    lifted = await store.suppressions.remove(
        "acme", digests(), "anna", "it was another's letter", reason=Reason.ERASURE, campaign=""
    )
    assert [(row["reason"], row["campaign"], row["proof"]) for row in lifted] == [("erasure", "", "letter 7")]
    facts, _ = await store.calls.open(asked, question(asked))
    assert {(entry.reason, entry.campaign) for entry in facts.suppressions} == {
        (Reason.OBJECTION, None),
        (Reason.ERASURE, "renewals"),
    }
    assert len(await store.suppressions.remove("acme", digests(), "anna", "all")) == 1
    assert len(await store.suppressions.remove("acme", digests(), "anna", "all", reason=Reason.ERASURE)) == 1
    assert await store.suppressions.remove("acme", digests(), "anna", "again") == []
    assert await store.calls.spend_token(asked, question(asked), judge, []) is None
    assert await store.suppressions.of("acme", digests(number=numbers(2)[1]))
    assert await store.suppressions.of("other", digests("other"))
    kept = await database.rows("SELECT * FROM removed_suppressions ORDER BY removed_at")
    assert len(kept) == 3
    removed_at, _ = kept[0].pop("removed_at"), kept[0].pop("id")
    assert abs(removed_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert kept[0] == {
        "controller": "acme", "digest": digests().newest, "key_version": 1, "campaign": "", "reason": "erasure",
        "origin": "list", "proof": "letter 7", "call_id": None, "entered_at": NOW, "expires_at": NOW + DAY,
        "removed_by": "anna", "why": "it was another's letter",
    }  # fmt: skip
    for change in ("UPDATE removed_suppressions SET why = 'x'", "DELETE FROM removed_suppressions"):
        with pytest.raises(StoreError):
            await database.rows(change)


@pytest.mark.parametrize("reason", list(Reason))
async def test_a_restriction_ends_or_an_erased_number_is_called_by_a_slip(
    store: Store, reason: Reason
) -> None:
    """Art 18(3): the person is told first; and what the restriction kept would be deleted at once."""
    await load(store, bar(reason=reason))
    lifted = await store.suppressions.remove("acme", digests(), "anna", "asked to be called again")
    assert bool(lifted) == (reason not in {Reason.RESTRICTION, Reason.ERASURE})
    named = await store.suppressions.remove("acme", digests(), "anna", "told by letter", reason=reason)
    assert len(lifted) + len(named) == 1


async def test_a_bar_under_an_older_secret_cannot_be_lifted(store: Store) -> None:
    older = key("older").digest(numbers(1)[0])
    await load(store, replace(bar(), key=Keyed(older, 1)), bar())
    both = Digests(digests().newest, 2, (older, digests().newest))
    assert len(await store.suppressions.remove("acme", both, "anna", "why")) == 2


async def test_a_rotated_secret_frees_who_was_barred_or_who_is_barred_by_a_command(
    store: Store, tmp_path: Path
) -> None:
    """The service runs on; meanwhile secrets are rotated and retired, and numbers are barred."""
    running, beside = SecretStore(tmp_path), SecretStore(tmp_path)
    new_secret(running, "acme")

    async def bars(number: Number) -> list[str]:
        used = replace(call(number=number), keyed=running.digests("acme", number))
        facts, _ = await store.calls.open(used, question(used))
        return [entry.reason for entry in facts.suppressions]

    old, new, _ = numbers(3)
    await store.suppressions.add("acme", beside.digests("acme", old), Reason.ERASURE, "cli:anna", "")
    assert [await bars(number) for number in numbers(3)] == [["erasure"], [], []]
    new_secret(beside, "acme")
    await store.suppressions.add("acme", beside.digests("acme", new), Reason.OBJECTION, "cli:anna", "")
    assert [await bars(number) for number in numbers(3)] == [["erasure"], ["objection"], []]
    counts = await store.key_versions.counts()
    assert {(row["controller"], row["key_version"]): row["suppressions"] for row in counts} == {
        ("acme", 1): 1,
        ("acme", 2): 1,
    }
    beside.retire("acme", 1)
    assert [await bars(number) for number in numbers(3)] == [[], ["objection"], []]


async def test_a_bar_entered_before_the_token_is_spent_is_too_late(store: Store) -> None:
    """The list came in between the gate and the dial."""
    asked = call()
    await store.calls.open(asked, question(asked))
    await load(store, bar(campaign="renewals"))
    blocked = await store.calls.spend_token(asked, question(asked), judge, [])
    assert blocked is Block.SUPPRESSED_CAMPAIGN_DO_NOT_CALL


async def test_a_long_list_is_held_whole_or_out_of_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.store.database.STREAM_ROWS", 4)
    for index in range(10):
        await load(store, bar(index, since=NOW - (10 - index) * DAY))
    batches = [rows async for rows in store.suppressions.newest("acme", None)]
    assert [len(rows) for rows in batches] == [4, 4, 2]
    times = [row["entered_at"] for rows in batches for row in rows]
    assert times == sorted(times, reverse=True)
    assert [len(rows) async for rows in store.suppressions.newest("acme", 3)] == [3]
    assert [rows async for rows in store.suppressions.newest("other", None)] == []


async def test_invariant_7_one_controller_lifts_anothers_bar(store: Store) -> None:
    """Even if the two controllers had the same secret."""
    for controller in ("acme", "other"):
        await store.suppressions.add(controller, digests(), Reason.OBJECTION, "test", "")
    assert len(await store.suppressions.remove("acme", digests(), "anna", "why")) == 1
    assert await store.suppressions.of("acme", digests()) == []
    assert [row["reason"] for row in await store.suppressions.of("other", digests())] == ["objection"]
