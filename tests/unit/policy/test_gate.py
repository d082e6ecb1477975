"""The gate against a slow reference that was written from the law, not from the code."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import chain, combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Consent
from ccari.policy.declaration import Campaign
from ccari.policy.gate import Attempts, Block, Facts, barring, question
from ccari.policy.gate import verdict as verdict_on
from ccari.policy.numbers import Number
from ccari.policy.suppression import Entry, Reason
from tests.unit.policy.campaigns import campaign

NUMBER = Number("+48600100001")
WARSAW = ZoneInfo("Europe/Warsaw")
HOURS = {"timezone": "Europe/Warsaw", "days": "mon-fri", "from": "09:00", "to": "20:00"}
#: A Tuesday that is no holiday.
OPEN = datetime(2026, 3, 10, 12, 0, tzinfo=WARSAW)

#: Which basis each bar reaches; a bar of marketing reaches any basis if the call is marketing.
REACHES: dict[Reason, set[str]] = {
    Reason.OBJECTION_MARKETING: set(),
    Reason.OBJECTION: {"legitimate_interest", "public_task"},
    Reason.WITHDRAW_CONSENT: {"consent"},
    Reason.RESTRICTION: {"consent", "contract", "public_task", "legitimate_interest"},
    Reason.ERASURE: {"consent", "contract", "public_task", "legitimate_interest"},
    Reason.DO_NOT_CALL: {"consent", "contract", "public_task", "legitimate_interest"},
}
OF_MARKETING = {Reason.OBJECTION_MARKETING, Reason.OBJECTION, Reason.WITHDRAW_CONSENT}

#: Every public holiday of Poland in 2026, from the calendar.
POLISH_2026 = {
    date(2026, month, day)
    for month, day in [(1, 1), (1, 6), (4, 5), (4, 6), (5, 1), (5, 3), (5, 24), (6, 4), (8, 15), (11, 1), (11, 11),
                       (12, 24), (12, 25), (12, 26)]
}  # fmt: skip


def is_barred(reason: Reason, basis: LegalBasis, *, marketing: bool) -> bool:
    return basis.value in REACHES[reason] or (marketing and reason in OF_MARKETING)


def barred(*reasons: Reason, attempts: Attempts = Attempts()) -> Facts:  # noqa: B008 - immutable
    """The facts of a number with a consent of before its bars."""
    entries = [Entry(reason, OPEN - timedelta(days=1)) for reason in reasons]
    return Facts(entries, consent=Consent(OPEN - timedelta(days=2)), attempts=attempts)


def verdict(declared: Campaign, facts: Facts, now: datetime) -> Block | None:
    return verdict_on(declared, (), "PL", NUMBER, facts, now)


def subsets() -> list[frozenset[Reason]]:
    return [
        frozenset(each)
        for each in chain.from_iterable(combinations(Reason, n) for n in range(len(Reason) + 1))
    ]


@pytest.mark.parametrize("marketing", [False, True])
@pytest.mark.parametrize("basis", list(LegalBasis))
def test_no_set_of_bars_lets_a_call_through_that_one_of_them_forbids(
    basis: LegalBasis,
    *,
    marketing: bool,
) -> None:
    declared = campaign(legal_basis=basis, marketing=marketing)
    for bars in subsets():
        wanted = {f"suppressed_{reason}" for reason in bars if is_barred(reason, basis, marketing=marketing)}
        found = verdict(declared, barred(*bars), OPEN)
        assert (found in wanted) if wanted else (found is None)


@pytest.mark.parametrize("marketing", [False, True])
@pytest.mark.parametrize("basis", list(LegalBasis))
def test_the_bars_that_are_read_again_before_the_dial_are_those_of_the_gate(
    basis: LegalBasis,
    *,
    marketing: bool,
) -> None:
    declared = campaign(legal_basis=basis, marketing=marketing)
    assert set(barring(declared)) == {
        reason for reason in Reason if is_barred(reason, basis, marketing=marketing)
    }


def test_erasure_is_named_before_any_other_bar() -> None:
    declared = campaign(legal_basis="consent", marketing=True)
    assert verdict(declared, barred(*Reason), OPEN) is Block.SUPPRESSED_ERASURE


def test_every_reason_has_a_block_of_its_own() -> None:
    assert len({Block.suppressed(Entry(reason, OPEN)) for reason in Reason}) == len(Reason)


@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31, 12)),  # noqa: DTZ001 - made aware below
    on_holidays=st.booleans(),
    used=st.integers(0, 5),
    limit=st.integers(1, 4),
    erased=st.booleans(),
)
@example(moment=datetime(2026, 12, 24, 12), on_holidays=True, used=0, limit=1, erased=False)  # noqa: DTZ001
@example(moment=datetime(2026, 12, 24, 12), on_holidays=False, used=0, limit=1, erased=False)  # noqa: DTZ001
@example(moment=datetime(2026, 3, 10, 8), on_holidays=False, used=0, limit=1, erased=False)  # noqa: DTZ001
@example(moment=datetime(2026, 3, 10, 19), on_holidays=False, used=0, limit=1, erased=False)  # noqa: DTZ001
def test_hours_holidays_and_attempts_close_the_gate_as_they_say(
    *,
    moment: datetime,
    on_holidays: bool,
    used: int,
    limit: int,
    erased: bool,
) -> None:
    declared = campaign(hours=HOURS | {"holidays": on_holidays}, attempts={"max": limit, "per_days": 7})
    now = moment.replace(tzinfo=UTC)
    local = now.astimezone(WARSAW)
    facts = barred(*([Reason.ERASURE] if erased else []), attempts=Attempts(used))
    wanted = None
    if used >= limit:
        wanted = Block.ATTEMPTS_CAPPED
    if local.isoweekday() > 5 or not 9 <= local.hour < 20:
        wanted = Block.OUTSIDE_HOURS
    if local.date() in POLISH_2026 and not on_holidays:
        wanted = Block.HOLIDAY
    if erased:
        wanted = Block.SUPPRESSED_ERASURE
    assert verdict(declared, facts, now) is wanted


@pytest.mark.parametrize(
    ("local", "block"),
    [
        (time(8, 59, 59, 999999), Block.OUTSIDE_HOURS),
        (time(9, 0), None),
        (time(19, 59, 59, 999999), None),
        (time(20, 0), Block.OUTSIDE_HOURS),
    ],
)
def test_the_first_moment_is_open_and_the_last_is_closed(local: time, block: Block | None) -> None:
    now = datetime.combine(OPEN.date(), local, WARSAW)
    assert verdict(campaign(hours=HOURS), Facts(), now) is block


@pytest.mark.parametrize(
    ("now", "block"),
    [
        # summer time began on 29 March: nine o'clock is an hour earlier for the rest of the world
        (datetime(2026, 3, 27, 7, 30, tzinfo=UTC), Block.OUTSIDE_HOURS),
        (datetime(2026, 3, 30, 7, 30, tzinfo=UTC), None),
    ],
)
def test_hours_are_those_on_the_wall_of_the_callee(now: datetime, block: Block | None) -> None:
    assert verdict(campaign(hours=HOURS), Facts(), now) is block


def test_a_campaign_without_hours_calls_on_a_holiday_night() -> None:
    now = datetime(2026, 12, 25, 3, 0, tzinfo=WARSAW)
    assert verdict(campaign(), Facts(), now) is None


def test_attempts_count_back_from_now() -> None:
    declared = campaign(attempts={"max": 3, "per_days": 7})
    assert question(declared, OPEN).counts_since == OPEN - timedelta(days=7)


def test_without_a_limit_no_attempt_counts() -> None:
    assert question(campaign(), OPEN).counts_since == OPEN
    assert verdict(campaign(), Facts(attempts=Attempts(10_000, 10_000, 10_000)), OPEN) is None
