"""Consents: no list revives one that was withdrawn, in whatever order things come, and each use is on record."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from itertools import permutations
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ccari.errors import ConsentError, StoreError
from ccari.keyring.secrets import Key, SecretStore
from ccari.office import intake, withdrawing
from ccari.office.intake import Claim
from ccari.office.naming import purposes_of
from ccari.office.withdrawing import Withdrawal
from ccari.policy import gate
from ccari.policy.campaign import Campaign
from ccari.policy.consent import Channel, ConsentState
from ccari.policy.declaration import read
from ccari.policy.gate import Block, Question
from ccari.policy.numbers import Number
from ccari.policy.rights import Level, Right
from ccari.policy.suppression import Reason
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Digests, Sought
from ccari.ports.lists import Agreed, Bar, LineFault, Report
from ccari.ports.pressed import Pressed
from ccari.ports.requests import Intake
from ccari.store import policies, withdrawals
from ccari.store.database import Connection, Database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from ccari.store.suppressions import NewBar, enter
from tests.unit.policy.campaigns import campaign
from tests.unit.store import listed, made
from tests.unit.store.listed import DAY, NOW, agreed, batches, number, whole
from tests.unit.store.test_requests import letter
from tests.unit.store.waiting import until_they_wait

OFFERS = campaign(id="offers", legal_basis="consent", marketing=True)
SURVEY = campaign(id="survey", legal_basis="consent")
PURPOSES = {"offers": "marketing", "survey": "survey", "again": "marketing"}
FAULT = LineFault(2, "given", "it is empty")
#: The same as for :func:`listed.digests`.
KEYS = [Key(1, b"acme".ljust(32, b".")), Key(2, b"acme-2".ljust(32, b"."))]


async def load(
    store: Store, *lines: tuple[Agreed, Digests] | LineFault, keep_going: bool = False, controller: str = "acme"
) -> Report:  # fmt: skip
    done = await store.consents.load(
        controller, PURPOSES, batches(*lines), origin="import:anna", keep_going=keep_going
    )
    return done.report


async def withdraw(
    store: Store, purpose: str | None = None, of: Number = made.NUMBER, version: int = 1
) -> int:
    return await store.consents.withdraw(
        "acme", listed.digests(of, version), datetime.now(UTC), purpose=purpose, purposes=PURPOSES, origin="cli:anna",
        proof="letter 7",
    )  # fmt: skip


async def kept(store: Store, *columns: str, of: Number = made.NUMBER, version: int = 1) -> list[Any]:
    rows = await store.consents.of("acme", listed.digests(of, version))
    return [tuple(row[column] for column in columns) if columns else row for row in rows]


async def refusal(store: Store, of: Campaign, now: datetime | None = None) -> Block | None:
    now = now or datetime.now(UTC)
    facts, _ = await store.calls.facts(gate.question(of, now), Sought(made.digests()))
    return gate.refusal(of, (), facts, now)


async def test_a_consent_is_kept_without_its_proof_or_with_its_number(
    store: Store, database: Database
) -> None:
    line = agreed(withdrawn=NOW - DAY, until=NOW + DAY, channel=Channel.AUTOMATIC_CALLS)
    report = await load(store, line)
    assert (report.lines, report.accepted, report.taken) == (1, 1, True)
    (row,) = await kept(store)
    assert {**row, "id": None, "entered_at": None} == {
        "id": None, "purpose": "marketing", "channel": "automatic_calls", "given_at": NOW - 30 * DAY,
        "withdrawn_at": NOW - DAY, "valid_until": NOW + DAY, "proof": "form 12", "origin": "import:anna",
        "entered_at": None, "uses": [], "state": ConsentState.WITHDRAWN,
    }  # fmt: skip
    (text,) = await database.rows("SELECT consents::text AS row FROM consents")
    assert "600100001" not in text["row"]


async def test_a_call_is_made_on_a_consent_to_something_else(store: Store) -> None:
    assert await refusal(store, OFFERS) is Block.NO_CONSENT
    await load(store, agreed(purpose="survey"), agreed(channel=Channel.AUTOMATIC_CALLS))
    assert (await refusal(store, OFFERS), await refusal(store, SURVEY)) == (Block.NO_CONSENT, None)
    await load(store, agreed(until=NOW + DAY))
    assert await refusal(store, OFFERS) is None
    assert await refusal(store, OFFERS, NOW + DAY) is Block.CONSENT_EXPIRED
    await load(store, agreed(given=NOW - DAY, withdrawn=NOW - DAY / 2))
    assert await refusal(store, OFFERS) is Block.CONSENT_WITHDRAWN


async def test_a_bad_line_changes_something_or_keeps_the_sound_ones_out(store: Store) -> None:
    lines: list[tuple[Agreed, Digests] | LineFault] = [agreed(), FAULT, agreed(), agreed(given=NOW - DAY)]
    report = await load(store, *lines)
    assert (report.taken, report.invalid, report.faults) == (False, 1, [FAULT])
    assert await kept(store) == []
    report = await load(store, *lines, keep_going=True)
    assert (report.taken, report.lines, report.accepted, report.duplicate, report.invalid) == (
        True,
        4,
        2,
        1,
        1,
    )
    report = await load(store, *lines, keep_going=True)
    assert (report.accepted, report.duplicate) == (0, 3)


Line = tuple[Agreed, Digests]

#: What lists say of a number: from before the withdrawal, and from after it.
LISTS: dict[str, Callable[[Number], list[Line]]] = {
    "an old list": lambda of: [agreed(of), agreed(of, given=NOW - 90 * DAY)],
    "another old list": lambda of: [agreed(of, given=NOW - 10 * DAY)],
    "a list of what came later": lambda of: [agreed(of, given=NOW + DAY), agreed(of)],
}


async def press(store: Store, of: Number = made.NUMBER) -> None:
    call = replace(made.call(), keyed=listed.digests(of))
    await store.calls.open(call, made.question(call))
    exercise = made.exercise(Right.WITHDRAW_CONSENT)
    exercise = replace(exercise, received_at=datetime.now(UTC), consent_purpose="marketing",
                       consent_campaigns=tuple(each for each, asks in PURPOSES.items() if asks == "marketing"))  # fmt: skip
    await store.calls.register_right(call, exercise, ())


async def bar_of_list(
    store: Store,
    of: Number,
    campaign: str | None = None,
    keys: Sequence[Key] = KEYS[:1],
    since: datetime = NOW,
) -> None:
    """Entered together with bars of other kinds, which end no consent."""
    bar = Bar(of, Reason.WITHDRAW_CONSENT, campaign, "letter 7", "list", since, None)
    beside = [replace(bar, reason=each) for each in (Reason.OBJECTION, Reason.DO_NOT_CALL)]

    async def bars() -> AsyncIterator[Sequence[Bar]]:
        yield [*beside, bar]

    done = await store.suppressions.load("acme", keys[-1], bars(), older=keys[:-1], keep_going=False)
    assert done.lines == 3


async def bar(store: Store, of: Number, campaign: str | None = None) -> None:
    await store.suppressions.add(
        "acme", listed.digests(of), Reason.WITHDRAW_CONSENT, "cli:anna", "letter 7", campaign=campaign
    )


WITHDRAWALS: dict[str, Callable[[Store, Number], Awaitable[object]]] = {
    "of everything": lambda store, of: withdraw(store, of=of),
    "of one purpose": lambda store, of: withdraw(store, "marketing", of),
    "by key": press,
    "by list": lambda store, of: load(store, agreed(of, given=NOW - 40 * DAY, withdrawn=NOW)),
    "as a bar": bar,
    "as a bar on a campaign": lambda store, of: bar(store, of, "offers"),
    "as a bar of a list": bar_of_list,
    "as a bar of a list on a campaign": lambda store, of: bar_of_list(store, of, "offers"),
}


@pytest.mark.parametrize("way", WITHDRAWALS)
async def test_the_order_in_which_things_become_known_revives_a_consent(store: Store, way: str) -> None:
    """Every order, each with a number of its own: what was given before the withdrawal has ended, and nothing else has."""
    await store.policies.apply(offering("offers"), "anna")
    orders = list(permutations([*LISTS, "withdrawal"]))
    for step in range(len(LISTS) + 1):
        lines: list[Line] = []
        for n, order in enumerate(orders):
            if order[step] == "withdrawal":
                await WITHDRAWALS[way](store, number(n))
            else:
                lines += LISTS[order[step]](number(n))
        await load(store, *lines)
    for n, order in enumerate(orders):
        found = await kept(store, "given_at", "withdrawn_at", of=number(n))
        assert [given for given, withdrawn in found if withdrawn is None] == [NOW + DAY], order
        assert len(found) == (5 if way == "by list" else 4)


EARLIER: dict[str, Callable[[Store, Number], Awaitable[object]]] = {
    "by list": lambda store, of: load(store, agreed(of, given=NOW - 50 * DAY, withdrawn=NOW - 20 * DAY)),
    "as a bar of a list": lambda store, of: bar_of_list(store, of, since=NOW - 20 * DAY),
}


@pytest.mark.parametrize("way", EARLIER)
async def test_a_withdrawal_is_forgotten_for_an_earlier_one_and_a_consent_between_the_two_stands(
    store: Store, way: str
) -> None:
    await store.policies.apply(offering("offers"), "anna")
    steps: list[Callable[[Store, Number], Awaitable[object]]] = [
        lambda store, of: load(store, agreed(of, given=NOW - 40 * DAY, withdrawn=NOW)),
        EARLIER[way],
        lambda store, of: load(store, agreed(of, given=NOW - 10 * DAY)),
    ]
    for n, order in enumerate(permutations(range(len(steps)))):
        for step in order:
            await steps[step](store, number(n))
        newest = max(await kept(store, "given_at", "withdrawn_at", of=number(n)))
        assert newest == (NOW - 10 * DAY, NOW), order


async def test_a_consent_counts_as_withdrawn_when_that_was_entered_although_a_list_knows_that_it_was_earlier(
    store: Store,
) -> None:
    await load(store, agreed(given=NOW - 40 * DAY))
    await withdraw(store)
    await load(store, agreed(given=NOW - 50 * DAY, withdrawn=NOW - 20 * DAY))
    assert {at for (at,) in await kept(store, "withdrawn_at")} == {NOW - 20 * DAY}


@pytest.mark.parametrize("enter", [bar, bar_of_list])
async def test_a_bar_for_a_withdrawal_ends_another_consent_or_another_controllers(
    store: Store, enter: Callable[..., Awaitable[None]]
) -> None:
    """Invariant 7; and the consent stays ended when the bar has been lifted."""
    await store.policies.apply(offering("offers") + offering("survey", "survey")[len(made.POLICY) :], "anna")
    await load(store, agreed(), agreed(purpose="survey"), agreed(given=NOW + DAY), agreed(number(2)))
    await load(store, agreed(), controller="other")
    await enter(store, made.NUMBER, "offers")
    ended = await kept(store, "purpose", "given_at", "withdrawn_at")
    assert [(purpose, given) for purpose, given, withdrawn in ended if withdrawn is not None] == [
        ("marketing", NOW - 30 * DAY)
    ]
    assert await kept(store, "withdrawn_at", of=number(2)) == [(None,)]
    (theirs,) = await store.consents.of("other", made.digests())
    assert theirs["withdrawn_at"] is None
    # from everything that the controller was given consent to
    await enter(store, made.NUMBER)
    assert [
        given for given, withdrawn in await kept(store, "given_at", "withdrawn_at") if withdrawn is None
    ] == [NOW + DAY]
    await store.suppressions.remove("acme", listed.digests(made.NUMBER, 2), "anna", "by mistake")
    assert [
        given for given, withdrawn in await kept(store, "given_at", "withdrawn_at") if withdrawn is None
    ] == [NOW + DAY]


@pytest.mark.parametrize("enter", [bar, bar_of_list])
@pytest.mark.parametrize("campaign", [None, "offers"])
async def test_a_list_revives_what_was_withdrawn_once_the_bar_of_that_is_lifted(
    store: Store, enter: Callable[..., Awaitable[None]], campaign: str | None
) -> None:
    """Calls are allowed again, and this consent is no basis for them: only a newer one is."""
    await store.policies.apply(offering("offers"), "anna")
    await enter(store, made.NUMBER, campaign)
    await store.suppressions.remove("acme", made.digests(), "anna", "asked to be called again")
    await load(store, agreed(), agreed(number(2)))
    assert await refusal(store, OFFERS) is Block.CONSENT_WITHDRAWN
    assert await kept(store, "withdrawn_at", of=number(2)) == [(None,)]
    await load(store, agreed(given=datetime.now(UTC)))
    assert await refusal(store, OFFERS) is None


async def test_a_bar_of_a_list_misses_a_consent_under_an_older_secret(store: Store) -> None:
    await load(store, agreed(), agreed(number(2)))
    await bar_of_list(store, made.NUMBER, keys=KEYS)
    assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at")] == [True]
    assert await kept(store, "withdrawn_at", of=number(2)) == [(None,)]


async def test_a_list_of_bars_that_is_cut_off_has_ended_consents_whose_bars_are_not_entered(
    store: Store, database: Database
) -> None:
    """Each slice is one transaction, which also ends what it withdraws."""
    await load(store, agreed())
    digest = made.digests().newest
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM consents FOR UPDATE")
        loading = asyncio.create_task(bar_of_list(store, made.NUMBER))
        await until_they_wait(database)
        seen = await database.rows("SELECT FROM suppressions WHERE digest = $1", digest)
        assert seen == []
    await loading
    assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at")] == [True]


async def test_a_withdrawal_that_is_known_is_put_off_by_a_list(store: Store) -> None:
    for withdrawn in (NOW - 2 * DAY, None, NOW - DAY, NOW - 3 * DAY):
        await load(store, agreed(withdrawn=withdrawn))
    assert await kept(store, "withdrawn_at") == [(NOW - 3 * DAY,)]
    # nor by a bar that came after it
    await withdraw(store)
    await load(store, agreed())
    assert await kept(store, "withdrawn_at") == [(NOW - 3 * DAY,)]
    ends = (None, NOW - DAY, NOW - 2 * DAY, None)
    await load(store, *(agreed(of=number(2), withdrawn=end) for end in ends))
    assert await kept(store, "withdrawn_at", of=number(2)) == [(NOW - 2 * DAY,)]


async def test_an_end_that_comes_earlier_than_was_known_is_taken_for_a_duplicate_or_put_off(
    store: Store,
) -> None:
    accepted = [
        (await load(store, agreed(until=until))).accepted
        for until in (None, NOW + 2 * DAY, None, NOW + 3 * DAY, NOW + DAY, NOW + DAY)
    ]
    assert accepted == [1, 1, 0, 0, 1, 0]
    assert await kept(store, "valid_until", "withdrawn_at") == [(NOW + DAY, None)]
    # each of the two ends on its own, and neither undoes the other
    await load(store, agreed(withdrawn=NOW - DAY))
    assert (await load(store, agreed(until=NOW - 2 * DAY))).accepted == 1
    assert await kept(store, "valid_until", "withdrawn_at") == [(NOW - 2 * DAY, NOW - DAY)]
    assert await refusal(store, OFFERS) is Block.CONSENT_WITHDRAWN
    # also within one list
    ends = (NOW + DAY, None, NOW - DAY, NOW + 2 * DAY)
    await load(store, *(agreed(of=number(2), until=end) for end in ends))
    assert await kept(store, "valid_until", of=number(2)) == [(NOW - DAY,)]


async def test_a_letter_that_is_entered_late_ends_what_was_agreed_to_since(store: Store) -> None:
    earlier, anew, received = (NOW - days * DAY for days in (30, 3, 8))
    await load(store, agreed(given=earlier))
    await load(store, agreed(given=anew))

    async def register(received_at: datetime) -> None:
        of_marketing = letter(
            Right.WITHDRAW_CONSENT, received_at=received_at, consent_purpose="marketing", consent_campaigns=("offers",)
        )  # fmt: skip
        await store.requests.add("acme", of_marketing, made.digests())

    await register(received)
    assert await refusal(store, OFFERS) is None
    await load(store, agreed(given=anew))
    assert await kept(store, "given_at", "withdrawn_at") == [(earlier, received), (anew, None)]
    # nor does one that was received before it take back what the first has ended
    await register(NOW - 20 * DAY)
    (bar,) = await store.suppressions.of("acme", made.digests())
    assert bar["entered_at"] == received


async def test_a_key_that_is_pressed_by_a_slow_clock_leaves_a_consent_that_is_older(store: Store) -> None:
    """A virtual machine that stood still overnight: what was agreed to meanwhile seemed to be newer than its withdrawal."""
    await load(store, agreed(given=NOW - DAY))
    call = made.call()
    await store.calls.open(call, made.question(call))
    pressed = replace(made.exercise(Right.WITHDRAW_CONSENT), received_at=NOW - 2 * DAY)
    await store.calls.register_right(call, pressed, ())
    assert await refusal(store, OFFERS) is Block.SUPPRESSED_WITHDRAW_CONSENT
    ((withdrawn_at,),) = await kept(store, "withdrawn_at")
    assert withdrawn_at >= NOW


class Slow(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Slow":
        return cls.fromtimestamp((NOW - 2 * DAY).timestamp(), tz)


async def test_a_letter_that_is_entered_by_a_slow_clock_leaves_a_consent_that_is_older(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = SecretStore(tmp_path / "keys")
    made.new_secret(secrets, "acme")
    digests = secrets.digests("acme", made.NUMBER)
    await load(store, (agreed(given=NOW - DAY)[0], digests))
    monkeypatch.setattr(intake, "datetime", Slow)
    claim = Claim(Right.WITHDRAW_CONSENT, made.NUMBER.e164, None, None, None, Intake.LETTER, Level.L0, "")
    await intake.enter(read(made.POLICY), claim, store.requests, secrets, "cli:anna")
    (consent,) = await store.consents.of("acme", digests)
    assert consent["withdrawn_at"] >= NOW


async def test_a_consent_that_is_older_than_its_withdrawal_stands_if_a_slow_clock_dates_that(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No campaign asks for it now, so that no bar is entered: the next one that does would call."""
    secrets = SecretStore(tmp_path / "keys")
    made.new_secret(secrets, "acme")
    digests = secrets.digests("acme", made.NUMBER)
    await load(store, (agreed(purpose="raffle", given=NOW - DAY)[0], digests))
    monkeypatch.setattr(withdrawing, "datetime", Slow)
    asked = Withdrawal(made.NUMBER.e164, None, "raffle", "letter 7")
    done = await withdrawing.withdraw(read(made.POLICY), store.consents, secrets, asked, "cli:anna")
    (consent,) = await store.consents.of("acme", digests)
    assert (done["consents_withdrawn"], consent["state"]) == (1, ConsentState.WITHDRAWN)
    assert consent["withdrawn_at"] >= NOW


async def test_a_key_that_waited_on_a_disk_ends_what_was_agreed_to_since(store: Store) -> None:
    await load(store, agreed(given=NOW - DAY))
    pressed = replace(made.exercise(Right.WITHDRAW_CONSENT), received_at=NOW - 2 * DAY)
    await store.calls.replay(Pressed(made.call(), pressed, ()))
    assert await refusal(store, OFFERS) is None


async def test_a_withdrawal_ends_what_it_does_not_reach(store: Store) -> None:
    """Another purpose or channel in a list, another controller, and what was renewed at the moment the old one ended."""
    await load(
        store, agreed(withdrawn=NOW - DAY), agreed(purpose="survey"), agreed(channel=Channel.AUTOMATIC_CALLS),
        agreed(given=NOW - DAY), agreed(of=number(2)),
    )  # fmt: skip
    assert len(await kept(store)) == 4
    assert [row["given_at"] for row in await kept(store) if row["withdrawn_at"]] == [NOW - 30 * DAY]
    theirs = agreed()[0], made.digests()
    await load(store, theirs, controller="other")
    await withdraw(store)
    (row,) = await store.consents.of("other", made.digests())
    assert row["withdrawn_at"] is None
    assert await kept(store, "withdrawn_at", of=number(2)) == [(None,)]
    assert await store.suppressions.of("other", made.digests()) == []


async def test_a_withdrawal_bars_the_calls_of_another_purpose_or_not_its_own(store: Store) -> None:
    await load(store, agreed(), agreed(purpose="survey"))
    assert await withdraw(store, "marketing") == 1
    bars = await store.suppressions.of("acme", made.digests())
    assert [(row["campaign"], row["reason"], row["origin"], row["proof"]) for row in bars] == [
        ("again", "withdraw_consent", "cli:anna", "letter 7"), ("offers", "withdraw_consent", "cli:anna", "letter 7"),
    ]  # fmt: skip
    assert await refusal(store, OFFERS) is Block.SUPPRESSED_CAMPAIGN_WITHDRAW_CONSENT
    assert await refusal(store, SURVEY) is None
    # nor does a list that comes later find it withdrawn, or because of a bar of another kind
    await store.suppressions.add(
        "acme", made.digests(), Reason.OBJECTION_MARKETING, "x", "", campaign="survey"
    )
    await load(store, agreed(purpose="survey", given=NOW - DAY))
    assert await refusal(store, SURVEY) is None
    assert await withdraw(store) == 2
    assert await refusal(store, SURVEY) is Block.SUPPRESSED_WITHDRAW_CONSENT
    assert await withdraw(store) == 0
    await load(store, agreed(given=datetime.now(UTC)))
    assert await refusal(store, OFFERS) is None
    assert await refusal(store, SURVEY) is Block.SUPPRESSED_WITHDRAW_CONSENT


def offering(name: str, purpose: str = "marketing") -> str:
    """The policy with one more campaign, which asks for that consent."""
    return (
        made.POLICY
        + f"""
[[campaigns]]
id = "{name}"
controller = "acme"
purpose = "oferta"
legal_basis = "consent"
consent_purpose = "{purpose}"
dial = "PJSIP/{{number}}@trunk"
[campaigns.recording]
mode = "off"
"""
    )


AUTUMN = campaign(id="autumn", legal_basis="consent", consent_purpose="marketing")


async def load_under(store: Store, policy: str, *lines: Line) -> None:
    """Load it under this policy, which was applied before."""
    whose = read(policy)
    purposes = purposes_of(whose, whose.controllers[0])
    await store.consents.load("acme", purposes, batches(*lines), origin="import:anna", keep_going=False)


@pytest.mark.parametrize(
    "since", [offering("autumn"), offering("autumn") + offering("spring", "survey")[len(made.POLICY) :]]
)
async def test_a_withdrawal_goes_with_the_campaign_that_it_was_made_in(store: Store, since: str) -> None:
    """When a list brings what was withdrawn, that campaign has gone or asks for another consent, and another campaign
    asks for it.
    """
    await store.policies.apply(offering("spring"), "anna")
    of_spring = letter(
        Right.WITHDRAW_CONSENT, received_at=NOW, consent_purpose="marketing", consent_campaigns=("spring",)
    )
    await store.requests.add("acme", of_spring, made.digests())
    await store.policies.apply(since, "anna")
    # nor does it reach another consent, or another controller's
    await load_under(store, since, agreed(), agreed(purpose="raffle"), agreed(given=NOW + DAY))
    await load(store, agreed(), controller="other")
    assert await kept(store, "purpose", "given_at", "withdrawn_at") == [
        ("marketing", NOW - 30 * DAY, NOW), ("raffle", NOW - 30 * DAY, None), ("marketing", NOW + DAY, None),
    ]  # fmt: skip
    assert await refusal(store, AUTUMN) is Block.CONSENT_WITHDRAWN
    (theirs,) = await store.consents.of("other", made.digests())
    assert theirs["withdrawn_at"] is None


async def test_what_an_older_ccari_accepted_keeps_lists_out_or_is_not_heeded(
    store: Store, database: Database
) -> None:
    older = offering("spring").replace('mode = "off"', 'mode = "as it was"')
    async with database.connection() as connection:
        for document in (older, 'of = "another time"'):
            await connection.execute(
                "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('x', $1, $2)",
                bytes(32),
                document,
            )
    await enter_bar(store, "spring")
    await store.policies.apply(offering("autumn"), "anna")
    await load_under(store, offering("autumn"), agreed())
    assert await refusal(store, AUTUMN) is Block.CONSENT_WITHDRAWN


async def test_a_policy_is_forgotten_that_is_read_while_another_is(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, begun, slow = policies._declared, threading.Event(), threading.Event()

    def slowly(rows: Sequence[asyncpg.Record]) -> set[policies.Declared]:
        if not begun.is_set():
            begun.set()
            slow.wait(20)
        return reads(rows)

    monkeypatch.setattr(policies, "_declared", slowly)
    campaigns = policies.DeclaredCampaigns()
    await store.policies.apply(offering("spring"), "anna")
    async with database.connection() as one, database.connection() as another:
        first = asyncio.create_task(campaigns.asked(one, "acme"))
        assert await asyncio.to_thread(begun.wait, 20)
        await store.policies.apply(offering("autumn"), "anna")
        await campaigns.asked(another, "acme")
        slow.set()
        await first
        found = await campaigns.asked(one, "acme")
    assert {campaign for campaign, _ in found} >= {"spring", "autumn"}


async def test_a_campaign_is_unknown_whose_revision_has_the_number_of_one_from_before_the_database_was_restored(
    store: Store, database: Database
) -> None:
    """A withdrawal from what it asks for ended no consent."""
    campaigns = policies.DeclaredCampaigns()
    await store.policies.apply(offering("spring"), "anna")
    async with database.outside_pool() as connection:
        await campaigns.asked(connection, "acme")
        await connection.execute(
            "ALTER TABLE policy_revisions DISABLE TRIGGER append_only; DELETE FROM policy_revisions WHERE revision = 2;"
            "ALTER TABLE policy_revisions ENABLE TRIGGER append_only, ALTER revision RESTART WITH 2"
        )
        assert await store.policies.apply(offering("autumn"), "anna") == 2
        assert "autumn" in {campaign for campaign, _ in await campaigns.asked(connection, "acme")}


async def enter_bar(store: Store, on: str) -> None:
    await store.suppressions.add("acme", made.digests(), Reason.WITHDRAW_CONSENT, "x", "", campaign=on)


async def test_a_wish_is_refused_that_campaigns_asked_for_until_yesterday(store: Store) -> None:
    """No campaign asks for it now, and it is not on file yet; then both hold."""
    for each in (offering("spring"), made.POLICY):
        await store.policies.apply(each, "anna")
    done = await store.consents.withdraw(
        "acme", made.digests(), datetime.now(UTC), purpose="marketing", purposes={"renewals": "renewals"}, origin="cli:anna",
        proof="letter 7",
    )  # fmt: skip
    assert done == 0
    await store.policies.apply(offering("autumn"), "anna")
    await load_under(store, offering("autumn"), agreed())
    assert await refusal(store, AUTUMN) is Block.CONSENT_WITHDRAWN


async def test_a_wish_is_taken_for_granted_that_nothing_was_done_about(store: Store) -> None:
    await load(store, agreed(purpose="raffle"))
    with pytest.raises(
        ConsentError,
        match=r"the purposes asked for are marketing, survey; to withdraw every consent leave out --purpose",
    ):
        await withdraw(store, "marketting")
    assert await store.suppressions.of("acme", made.digests()) == []
    # nobody asks for it any more, but it is on file
    assert await withdraw(store, "raffle") == 1
    assert [row["withdrawn_at"] is None for row in await kept(store)] == [False]


async def test_a_withdrawal_and_its_bar_are_two_transactions(store: Store, database: Database) -> None:
    await load(store, agreed())
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE consents ADD CONSTRAINT never CHECK (withdrawn_at IS NULL)")
        with pytest.raises(StoreError, match="never"):
            await withdraw(store)
        assert await store.suppressions.of("acme", made.digests()) == []
        await connection.execute("ALTER TABLE consents DROP CONSTRAINT never")
        await connection.execute("ALTER TABLE suppressions ADD CONSTRAINT never CHECK (false)")
        with pytest.raises(StoreError, match="never"):
            await withdraw(store)
    assert await kept(store, "withdrawn_at") == [(None,)]


async def test_a_consent_under_an_older_secret_lives_on_beside_the_new_one(
    store: Store, database: Database
) -> None:
    await load(store, agreed(), agreed(given=NOW - 90 * DAY, purpose="survey"))
    await withdraw(store)
    await load(store, agreed(version=2))
    found = await kept(store, "purpose", version=2)
    assert found == [("survey",), ("marketing",)]
    assert await database.rows("SELECT DISTINCT key_version FROM consents") == [{"key_version": 2}]
    assert all(ended for (ended,) in await kept(store, "withdrawn_at", version=2))
    # a list that was prepared under the older one brings a twin, which is no more in force than the first
    await load(store, agreed())
    await load(store, agreed(version=2))
    assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at", version=2)] == [True, True, True]


def on_consent(call: OpenedCall) -> Question:
    """The question of a campaign whose calls are based on consent."""
    return replace(made.question(call), consent=True)


async def test_a_use_of_a_consent_is_not_on_record_or_one_that_was_none(store: Store) -> None:
    await load(store, agreed(purpose="renewals"), agreed(purpose="survey"))
    used, blocked, unspent, without = (made.call() for _ in range(4))
    for call in (used, blocked, unspent):
        await store.calls.open(call, on_consent(call))
    assert await store.calls.spend_token(used, on_consent(used), lambda _: None, ()) is None
    assert await store.calls.spend_token(used, on_consent(used), lambda _: None, ()) is Block.TOKEN_SPENT
    await store.calls.spend_token(blocked, on_consent(blocked), lambda _: Block.NO_CONSENT, ())
    other = replace(without, keyed=listed.digests(number(2)))
    await store.calls.open(other, on_consent(other))
    assert await store.calls.spend_token(other, on_consent(other), lambda _: None, ()) is None
    uses = {row["purpose"]: row["uses"] for row in await kept(store)}
    assert uses["survey"] == []
    assert [use["call"] for use in uses["renewals"]] == [used.id]
    assert NOW < uses["renewals"][0]["at"] <= datetime.now(UTC)
    await withdraw(store)
    again = made.call()
    await store.calls.open(again, on_consent(again))
    assert [len(row["uses"]) for row in await kept(store) if row["purpose"] == "renewals"] == [1]


async def until_somebody_waits(connection: Connection) -> None:
    """Asked within the transaction that others wait for: one in which nothing is asked is ended."""
    async with asyncio.timeout(20):
        while not await connection.fetch("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            pass


async def test_a_list_that_comes_in_during_a_withdrawal_outlives_it(store: Store, database: Database) -> None:
    """The withdrawal has looked for consents, found none, and is not yet committed when the list is entered."""
    async with database.transaction() as connection:
        await enter(connection, "acme", made.digests(), NewBar(Reason.WITHDRAW_CONSENT, "call", ""))
        await withdrawals.withdraw(connection, "acme", made.digests(), ["marketing"], datetime.now(UTC))
        loading = asyncio.create_task(load(store, agreed()))
        await until_somebody_waits(connection)
    assert (await loading).accepted == 1
    assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at")] == [True]


async def test_a_withdrawal_that_comes_in_during_a_list_misses_it(store: Store, database: Database) -> None:
    """The list has looked for withdrawals, found none, and is not yet committed when the key is pressed."""
    async with database.transaction() as connection:
        await connection.execute(SQL["lock_consents"], "acme")
        await connection.execute(
            "INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin) "
            "VALUES ('acme', $1, 1, 'marketing', 'phone', $2, 'x', 'x')", made.digests().newest, NOW - DAY,
        )  # fmt: skip
        pressed = asyncio.create_task(press(store))
        await until_somebody_waits(connection)
    await pressed
    assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at")] == [True]


async def test_a_withdrawal_waits_for_more_of_a_first_list_than_a_slice(store: Store) -> None:
    """Many slices, and after each one the withdrawal of a number that is in, and of one that may be still to come."""
    numbers = [number(n) for n in range(2000)]
    leaving = iter(numbers)
    pressed: list[asyncio.Task[int]] = []

    def entering(_done: int, _of: int) -> None:
        pressed.extend(asyncio.create_task(withdraw(store, of=next(leaving))) for _ in range(2))

    await store.consents.load(
        "acme", PURPOSES, whole(map(agreed, numbers)), origin="x", keep_going=False, progress=entering
    )
    assert len(pressed) >= 2 * 4
    await asyncio.gather(*pressed)
    for each in numbers[: len(pressed)]:
        assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at", of=each)] == [True]
    assert await kept(store, "withdrawn_at", of=numbers[-1]) == [(None,)]


async def test_a_pressed_withdrawal_and_one_by_hand_wait_for_one_another_for_ever(
    store: Store, database: Database
) -> None:
    """The key press reaches the consent first; whoever withdraws by hand must not have its bar by then."""
    await load(store, agreed())
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM consents FOR UPDATE")
        pressed = asyncio.create_task(press(store))
        await until_they_wait(database)
        by_hand = asyncio.create_task(withdraw(store, "marketing"))
        await until_they_wait(database, 2)
    await asyncio.gather(pressed, by_hand)
    assert [bool(ended) for (ended,) in await kept(store, "withdrawn_at")] == [True]


async def test_lists_and_withdrawals_of_the_same_numbers_wait_for_one_another_for_ever(store: Store) -> None:
    """Lists in opposite order, under a newer secret, calls based on the consents, people who withdraw, and lists of
    those who have, all at once.
    """
    numbers = [number(n) for n in range(200)]
    await load(store, *(agreed(each, purpose="renewals") for each in numbers))
    lines = [agreed(each, purpose="renewals", version=2) for each in numbers]
    more = [agreed(each, purpose="renewals", given=NOW - DAY, version=2) for each in numbers]

    async def bring(of: Sequence[Line]) -> None:
        for _ in range(3):
            await store.consents.load("acme", PURPOSES, whole(of), origin="x", keep_going=False)

    async def bar_all(of: Sequence[Number]) -> None:
        async def bars() -> AsyncIterator[Sequence[Bar]]:
            yield [Bar(each, Reason.WITHDRAW_CONSENT, None, "", "list", NOW, None) for each in of]

        for _ in range(3):
            await store.suppressions.load("acme", KEYS[1], bars(), older=KEYS[:1], keep_going=False)

    async def use(of: Number) -> None:
        call = replace(made.call(), keyed=listed.digests(of, 2))
        await store.calls.open(call, on_consent(call))
        await store.calls.spend_token(call, on_consent(call), lambda _: None, ())

    gone, called = numbers[::5], numbers[::3]
    async with asyncio.timeout(120):
        await asyncio.gather(
            bring(lines), bring(lines[::-1]), bring(more), bar_all(gone), bar_all(gone[::-1]),
            *(withdraw(store, of=each, version=2) for each in gone), *map(use, called),
        )  # fmt: skip
    for each in numbers:
        found = await kept(store, of=each, version=2)
        assert [row["withdrawn_at"] is not None for row in found] == [each in gone] * 2
        assert sum(len(row["uses"]) for row in found) == (each in called)
