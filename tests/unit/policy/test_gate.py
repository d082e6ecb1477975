"""The gate against a slow reading of the law that shares no code with it: whole tables, and the space between them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain, combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccari.policy.blocks import WHY
from ccari.policy.campaign import Campaign
from ccari.policy.consent import Consent
from ccari.policy.gate import (
    AttemptsMade,
    Block,
    Contact,
    Facts,
    barred,
    barring,
    question,
    refusal,
    unwelcome,
    verdict,
)
from ccari.policy.hours import DAYS
from ccari.policy.numbers import Number
from ccari.policy.parties import Register
from ccari.policy.presets import PRESETS
from ccari.policy.suppression import Listing, Reason, Suppression
from tests.unit.policy.campaigns import campaign
from tests.unit.policy.gate_law import (
    ALL_DAYS,
    DUTY,
    HOME,
    NUMBERS,
    ORDER,
    REACHES,
    RULES,
    WORKDAYS,
    Agreed,
    Bar,
    Book,
    Case,
    Source,
    Span,
    banned,
    refused,
    ruling,
)
from tests.unit.policy.gate_law import barred as law_bars

#: A Tuesday that is no holiday anywhere, at noon in Warsaw.
NOW = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
MOMENT, DAY = timedelta(microseconds=1), timedelta(days=1)
BASES = ("consent", "contract", *DUTY, "public_task", "legitimate_interest")
#: Each basis with and without marketing; no law requires marketing, so the policy refuses it on a legal obligation.
CALLS = [(basis, marketing) for basis in BASES for marketing in (False, True)]
OURS = (None, "renewals")
ZONES = {"Warsaw": "Europe/Warsaw", "Paris": "Europe/Paris", "Azores": "Atlantic/Azores"}
BARRED = NOW - 10 * DAY
#: Consents compared with a bar or a listing of ten days ago: older, of the same moment, newer; withdrawn, expired, or
#: not yet given.
CONSENTS = (
    None,
    Agreed(BARRED - DAY),
    Agreed(BARRED),
    Agreed(BARRED + MOMENT),
    Agreed(NOW),
    Agreed(NOW + MOMENT),
    Agreed(BARRED + DAY, withdrawn=NOW - DAY),
    Agreed(BARRED + DAY, withdrawn=NOW + DAY),
    Agreed(BARRED + DAY, until=NOW),
    Agreed(BARRED + DAY, until=NOW + MOMENT),
    Agreed(BARRED + DAY, withdrawn=NOW - DAY, until=NOW - DAY),
    Agreed(NOW + DAY, withdrawn=NOW + 2 * DAY),
)


def span(declared: Span) -> dict[str, Any]:
    def clock(minutes: int) -> time:
        return time(minutes // 60, minutes % 60)

    return {
        "days": ",".join(DAYS[day] for day in declared.days), "from": clock(declared.start), "to": clock(declared.end),
        "holidays": declared.on_holidays, "timezone": ZONES[declared.zone] if declared.zone else None,
    }  # fmt: skip


@lru_cache(maxsize=100_000)
def declare(
    basis: str, preset: str | None, spans: tuple[Span, ...], limits: tuple[int | None, ...],
    *, marketing: bool, consent_required: bool | None, source_told: bool,
) -> Campaign:  # fmt: skip
    changes: dict[str, Any] = {
        "legal_basis": basis, "marketing": marketing and basis not in DUTY, "consent_required": consent_required,
        "preset": preset, "keys": {"2": "continue_unrecorded"}, "data_source": "umowa" if source_told else None,
    }  # fmt: skip
    if spans:
        changes["hours"] = [span(each) for each in spans]
    if limits[0] is not None:
        changes["attempts"] = {"max": limits[0], "per_days": 7, "total": limits[1]}
    # the gate also decides on what a policy file could not declare
    return campaign(**changes).model_copy(update={"marketing": marketing})


def asked(case: Case) -> tuple[Campaign, list[Register], Facts]:
    """The case as it is given to the gate."""
    declared = declare(
        case.basis, case.preset, case.spans, (case.most, case.most_in_all), marketing=case.marketing,
        consent_required=case.consent_required, source_told=case.source_told,
    )  # fmt: skip
    days = RULES[case.preset].register_days if case.preset else None
    registers = [
        Register(
            id=each.name, name=each.name, max_age_days=min(each.max_days, days or each.max_days),
            consent_overrides=each.overridden_by_consent,
        )
        for each in case.books
    ]  # fmt: skip
    agreed, source = case.agreed, case.source
    facts = Facts(
        suppressions=[Suppression(Reason(each.reason), each.entered, each.campaign, each.expires) for each in case.bars],
        listings=[Listing(each.name, each.listed) for each in case.books if each.listed],
        registers={each.name: each.copied for each in case.books if each.copied},
        consent=Consent(agreed.given, agreed.withdrawn, agreed.until) if agreed else None,
        contact=Contact(source.until) if source else None,
        attempts=AttemptsMade(case.made, case.made_in_all, case.made_by_controller),
    )  # fmt: skip
    return declared, registers, facts


def found(case: Case) -> Block | None:
    """The gate's answer."""
    declared, registers, facts = asked(case)
    return verdict(declared, registers, case.home, Number(case.number), facts, case.now)


def may_be_declared(case: Case) -> bool:
    """False if the policy file itself would be refused."""
    if case.consent_required is not False:
        return True
    return case.basis != "consent" and not (case.marketing and case.preset in {"DE", "ES", "FR", "PL"})


def bars_and_consents() -> Iterator[Case]:
    """Every reason in every scope, expired or not, with every consent, for every kind of call."""
    expiries = (None, NOW - DAY, NOW, NOW + MOMENT)
    for (basis, marketing), reason, scope, expires, agreed in product(
        CALLS, ORDER, (*OURS, "another"), expiries, CONSENTS
    ):
        yield Case(
            NOW, basis, marketing=marketing, bars=(Bar(reason, BARRED, scope, expires),), agreed=agreed
        )


def sets_of_bars() -> Iterator[Case]:
    """Every set of bars of both scopes, for every kind of call."""
    every = [Bar(reason, BARRED, scope) for scope in OURS for reason in ORDER]
    sets = list(chain.from_iterable(combinations(every, size) for size in range(len(every) + 1)))
    for (basis, marketing), bars in product(CALLS, sets):
        yield Case(NOW, basis, marketing=marketing, bars=bars, agreed=Agreed(BARRED - DAY))


def consents() -> Iterator[Case]:
    for (basis, marketing), required, preset, agreed in product(
        CALLS, (None, True, False), (None, *RULES), CONSENTS
    ):
        case = Case(NOW, basis, marketing=marketing, consent_required=required, agreed=agreed, preset=preset)
        if may_be_declared(case):
            yield case


def registers() -> Iterator[Case]:
    """Two registers, each without a copy or with one of any age, with or without the number in it, and with or without
    precedence for a consent.
    """
    copies = (
        None,
        NOW - 31 * DAY - MOMENT,
        NOW - 31 * DAY,
        NOW - 15 * DAY - MOMENT,
        NOW - 15 * DAY,
        NOW,
        NOW + MOMENT,
    )
    one = [
        Book("rpo", 31, overridden_by_consent=by_consent, copied=copied, listed=listed)
        for by_consent, copied, listed in product((False, True), copies, (None, BARRED))
    ]  # fmt: skip
    other = [
        Book("robinson", 7, overridden_by_consent=True, copied=copied, listed=listed)
        for copied, listed in product((NOW - 7 * DAY, NOW - 8 * DAY), (None, BARRED))
    ]
    sets: list[tuple[Book, ...]] = [(), *((each,) for each in one), *product(one, other)]
    for books, agreed, preset, (basis, marketing) in product(
        sets, CONSENTS, (None, "IT", "GB"), (("contract", False), ("legitimate_interest", True))
    ):
        yield Case(NOW, basis, marketing=marketing, books=books, agreed=agreed, preset=preset)


def sources() -> Iterator[Case]:
    known = (None, Source(), Source(NOW - DAY), Source(NOW), Source(NOW + MOMENT))
    for (basis, marketing), source, told in product(CALLS, known, (False, True)):
        yield Case(NOW, basis, marketing=marketing, source=source, source_told=told, agreed=Agreed(BARRED))


def times() -> Iterator[Case]:
    """Every number by every clock: around each hour that opens or closes, on days of every kind."""
    spans: tuple[tuple[Span, ...], ...] = (
        (),
        (Span(WORKDAYS, 9 * 60, 20 * 60, zone="Warsaw"),),
        (Span(WORKDAYS, 9 * 60, 12 * 60 + 30), Span(ALL_DAYS, 14 * 60, 23 * 60 + 59, on_holidays=True)),
    )
    days = (
        date(2026, 3, 10), date(2026, 3, 14), date(2026, 3, 15), date(2026, 3, 29), date(2026, 6, 4), date(2026, 7, 14),
        date(2026, 8, 15), date(2026, 10, 25), date(2026, 11, 11),
    )  # fmt: skip
    edges = [timedelta(hours=hour) + offset for hour in range(24) for offset in (-MOMENT, timedelta())]
    for number, each, preset, home in product(NUMBERS, spans, (None, "ES", "FR", "IT", "US"), ("PL", "PT")):
        if home == "PL" or NUMBERS[number][1] is None:
            for day, edge in product(days, edges):
                now = datetime.combine(day, time(), UTC) + edge
                yield Case(now, number=number, spans=each, preset=preset, home=home)


def attempts() -> Iterator[Case]:
    made = (0, 1, 2, 3, 4, 5)
    for recent, in_all, by_controller, most, most_in_all, preset in product(
        made, made, made, (None, 1, 3), (None, 2, 4), (None, "FR", "IT")
    ):
        yield Case(
            NOW + timedelta(hours=2), made=recent, made_in_all=in_all, made_by_controller=by_controller, most=most,
            most_in_all=most_in_all if most else None, preset=preset,
        )  # fmt: skip


def causes() -> Iterator[Case]:
    """Every set of reasons to block at once, for every kind of call: the first in the order is reported."""
    changes: tuple[dict[str, Any], ...] = (
        {"number": "+33612345678", "now": datetime(2026, 7, 14, 12, tzinfo=UTC)},
        {"bars": (Bar("erasure", BARRED), Bar("do_not_call", BARRED, "renewals"))},
        {"bars": (Bar("objection", BARRED, "renewals"),)},
        {"listed": BARRED},
        {"copied": None},
        {"agreed": None},
        {"source_told": False},
        {"spans": (Span(WORKDAYS, 0, 60),)},
        {"made_in_all": 9},
        {"made": 3},
    )
    sets = chain.from_iterable(combinations(changes, size) for size in range(len(changes) + 1))
    for each, (basis, marketing), preset in product(sets, CALLS, (None, "FR")):
        told = {name: value for change in each for name, value in change.items()}
        book = Book("rpo", listed=told.pop("listed", None), copied=told.pop("copied", NOW - DAY))
        settled = {"now": NOW, "agreed": Agreed(BARRED - DAY), "most": 3, "most_in_all": 9} | told
        if "now" in told and book.copied:
            book = replace(book, copied=told["now"])
        yield Case(basis=basis, marketing=marketing, books=(book,), preset=preset, **settled)


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (bars_and_consents, 10_368),
        (sets_of_bars, 49_152),
        (consents, 3_024),
        (registers, 10_152),
        (sources, 120),
        (times, 38_880),
        (attempts, 5_832),
        (causes, 24_576),
    ],
)
def test_the_gate_judges_otherwise_than_the_law(table: Any, rows: int) -> None:
    cases = list(table())
    verdicts = [(found(case), ruling(case), case) for case in cases]
    wrong = [(gate, law, case) for gate, law, case in verdicts if gate != law]
    assert not wrong, f"{len(wrong)} of {len(cases)}, such as {wrong[0]}"
    # a table that has lost its rows, or in which nothing or everything is blocked, proves nothing
    assert len(cases) == rows
    assert {law is None for _, law, _ in verdicts} == {False, True}


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31, 12)).map(  # noqa: DTZ001 - made aware here
    lambda moment: moment.replace(tzinfo=UTC)
)
#: Close to now on either side, and now itself.
NEAR = st.sampled_from((timedelta(), MOMENT, DAY, 7 * DAY, 31 * DAY)).flatmap(
    lambda gap: st.sampled_from((-gap, gap))
)
SPANS = st.builds(
    lambda days, start, length, on_holidays, zone: Span(
        tuple(sorted(days)), start, min(start + length, 23 * 60 + 59), on_holidays, zone
    ),
    st.sets(st.sampled_from(ALL_DAYS), min_size=1), st.integers(0, 23 * 60), st.integers(1, 18 * 60),
    st.booleans(), st.sampled_from((None, *ZONES)),
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    now = draw(MOMENTS)

    def near(*, or_none: bool = True) -> datetime | None:
        return None if or_none and draw(st.booleans()) else now + draw(NEAR)

    def past() -> datetime:
        return now - abs(draw(NEAR))

    number = draw(st.sampled_from(sorted(NUMBERS)))
    agreed = near()
    some = st.integers(0, 2)
    return Case(
        now, draw(st.sampled_from(BASES)), marketing=draw(st.booleans()),
        consent_required=draw(st.sampled_from((None, True, False))),
        bars=tuple(Bar(draw(st.sampled_from(ORDER)), past(), draw(st.sampled_from((*OURS, "another"))), near())
                   for _ in range(draw(some))),
        books=tuple(Book(name, draw(st.integers(1, 31)), draw(st.booleans()), near(), near())
                    for name in ("a", "b")[: draw(some)]),
        agreed=Agreed(agreed, near(), near()) if agreed else None,
        source_told=draw(st.booleans()), source=draw(st.sampled_from((None, Source(near())))),
        number=number, home=draw(st.sampled_from(sorted(HOME))) if NUMBERS[number][1] is None else "PL",
        spans=tuple(draw(st.lists(SPANS, max_size=2))), preset=draw(st.sampled_from((None, *RULES))),
        most=draw(st.sampled_from((None, 1, 3))), most_in_all=draw(st.sampled_from((None, 2, 5))),
        made=draw(st.integers(0, 4)), made_in_all=draw(st.integers(0, 6)), made_by_controller=draw(st.integers(0, 5)),
    )  # fmt: skip


@settings(max_examples=1000)
@given(cases().filter(may_be_declared))
def test_between_the_tables_the_gate_judges_otherwise_than_the_law(case: Case) -> None:
    declared, registers, facts = asked(case)
    assert found(case) == ruling(case)
    assert refusal(declared, registers, facts, case.now) == refused(case)
    assert barred(declared, registers, facts, case.now) == law_bars(case)
    assert unwelcome(facts, case.now) == banned(case)


@settings(max_examples=300)
@given(cases().filter(may_be_declared))
def test_one_more_reason_to_block_opens_the_gate(case: Case) -> None:
    closed = found(case) is not None
    worse = (
        replace(case, bars=(*case.bars, Bar("do_not_call", case.now - DAY))),
        replace(case, books=(*case.books, Book("c", listed=case.now))),
        replace(case, agreed=None),
        replace(case, made=case.made + 5, made_in_all=case.made_in_all + 5, made_by_controller=9),
    )
    for each in worse:
        assert not closed or found(each) is not None


@pytest.mark.parametrize(("basis", "marketing"), CALLS)
def test_the_bars_that_are_told_to_others_are_not_those_of_the_gate(basis: str, *, marketing: bool) -> None:
    declared = declare(basis, None, (), (None,), marketing=marketing, consent_required=None, source_told=True)
    reached = {
        reason
        for reason, bases in REACHES.items()
        if basis in bases or (marketing and "advertising" in bases)
    }
    assert set(barring(declared)) == reached


def test_a_number_that_nothing_is_known_of_has_been_called_before() -> None:
    declared = campaign(attempts={"max": 1, "per_days": 7, "total": 1}, preset="FR")
    assert verdict(declared, (), "PL", Number("+48600100001"), Facts(), NOW) is None


@pytest.mark.parametrize("scope", OURS)
def test_two_bars_are_told_by_one_name(scope: str | None) -> None:
    named = {Block.suppressed(Suppression(reason, NOW, scope)) for reason in Reason}
    assert len(named) == len(Reason)
    assert all(("campaign" in each) is (scope is not None) for each in named)


def test_a_verdict_has_no_words_for_people_or_those_of_another() -> None:
    assert set(WHY) == set(Block)
    assert len(set(WHY.values())) == len(Block)
    assert all(words[0].islower() and words[-1] != "." and len(words) > 10 for words in WHY.values())


def test_the_store_is_asked_for_other_facts_than_the_campaign_needs() -> None:
    asked = question(
        campaign(attempts={"max": 3, "per_days": 7}, preset="FR", id="offers", marketing=True), NOW
    )
    assert (asked.controller, asked.campaign, asked.purpose, asked.channel) == (
        "acme",
        "offers",
        "marketing",
        "phone",
    )
    assert (asked.counts_since, asked.rules_count_since) == (NOW - 7 * DAY, NOW - 30 * DAY)
    plain = question(campaign(), NOW)
    # the proof of the consent that a call rests on is kept from then on, Art 7(1)
    assert (asked.consent, plain.consent) == (True, False)
    assert (plain.purpose, plain.counts_since, plain.rules_count_since) == ("renewals", NOW, NOW)
    assert question(campaign(consent_purpose="news"), NOW).purpose == "news"
    assert question(campaign(consent_channel="automatic_calls"), NOW).channel == "automatic_calls"
    for country in PRESETS:
        since = NOW - 30 * DAY if country == "FR" else NOW
        assert question(campaign(preset=country), NOW).rules_count_since == since
