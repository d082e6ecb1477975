"""How long a recording is kept, and what makes that longer or shorter."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.retention import HOLDING, Deletion, HoldKind, delete_at, deletion, purge_fault
from ccari.policy.rights import EFFECTS, Right

RECORDED = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DAYS = 90
LIMIT = RECORDED + timedelta(days=DAYS)
#: Moments before, at, within and after the time for which the recording is kept.
BEFORE, WITHIN, LATER, AFTER = (RECORDED + timedelta(days=days) for days in (-1, 10, 20, DAYS + 1))

moments = st.datetimes(datetime(2024, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
holds = st.frozensets(st.sampled_from(HoldKind))
bases = st.sampled_from(LegalBasis)


@pytest.mark.parametrize(
    ("basis", "held", "withdrawn", "erased", "wanted"),
    [
        ("contract", (), None, None, (LIMIT, "retention")),
        ("contract", (), None, WITHIN, (WITHIN, "erasure")),
        ("contract", (), None, AFTER, (LIMIT, "retention")),
        ("contract", (), None, BEFORE, (RECORDED, "erasure")),
        # a contract does not rest on the consent that was withdrawn
        ("contract", (), WITHIN, None, (LIMIT, "retention")),
        ("consent", (), WITHIN, None, (WITHIN, "consent_withdrawn")),
        ("consent", (), AFTER, None, (LIMIT, "retention")),
        ("consent", (), BEFORE, None, (RECORDED, "consent_withdrawn")),
        ("consent", (), LATER, WITHIN, (WITHIN, "erasure")),
        ("consent", (), WITHIN, LATER, (WITHIN, "consent_withdrawn")),
        ("legitimate_interest", (), WITHIN, LATER, (LATER, "erasure")),
        ("public_task", (), None, WITHIN, (WITHIN, "erasure")),
        ("vital_interest", (), None, WITHIN, (WITHIN, "erasure")),
        # Art 17(3)(b)
        ("legal_obligation", (), None, WITHIN, (LIMIT, "retention")),
        ("legal_obligation", (), WITHIN, WITHIN, (LIMIT, "retention")),
        # Art 17(3)(e), and the copy that Art 15 promises
        ("consent", ("legal",), WITHIN, WITHIN, (None, "legal_hold")),
        ("consent", ("request",), WITHIN, WITHIN, (None, "request_hold")),
        ("contract", ("request", "legal"), None, None, (None, "legal_hold")),
    ],
)
def test_a_recording_goes_too_early_or_too_late(
    basis: str,
    held: tuple[str, ...],
    withdrawn: datetime | None,
    erased: datetime | None,
    wanted: tuple[datetime | None, str],
) -> None:
    found = deletion(
        RECORDED, LegalBasis(basis), LIMIT,
        holds=[HoldKind(each) for each in held], consent_withdrawn=withdrawn, erasure_granted=erased,
    )  # fmt: skip
    assert found == Deletion(*wanted)


@given(
    recorded=moments, basis=bases, days=st.integers(1, 3660), held=holds,
    withdrawn=st.none() | moments, erased=st.none() | moments,
)  # fmt: skip
def test_a_recording_outlives_its_limit_or_goes_before_it_was_made(
    recorded: datetime,
    basis: LegalBasis,
    days: int,
    held: frozenset[HoldKind],
    withdrawn: datetime | None,
    erased: datetime | None,
) -> None:
    limit = delete_at(recorded, days)
    found = deletion(recorded, basis, limit, holds=held, consent_withdrawn=withdrawn, erasure_granted=erased)
    assert (found.at is None) is bool(held)
    if HoldKind.LEGAL in held:
        assert found.why == "legal_hold"
    if found.at is not None:
        assert recorded <= found.at <= limit
        if basis is LegalBasis.LEGAL_OBLIGATION:
            assert found.at == limit
        elif erased is not None:
            assert found.at <= max(erased, recorded)


@given(recorded=moments, basis=bases, days=st.integers(1, 3659), withdrawn=st.none() | moments)
def test_a_longer_limit_or_no_erasure_deletes_sooner(
    recorded: datetime, basis: LegalBasis, days: int, withdrawn: datetime | None
) -> None:
    def at(days: int, erased: datetime | None) -> datetime:
        limit = delete_at(recorded, days)
        found = deletion(recorded, basis, limit, consent_withdrawn=withdrawn, erasure_granted=erased).at
        assert found is not None
        return found

    assert at(days, None) <= at(days + 1, None)
    assert at(days, recorded) <= at(days, None)


def test_a_day_of_retention_is_an_hour_short_when_the_clocks_change() -> None:
    """It is 24 hours, whatever the clock on the wall shows."""
    night_before_summer_time = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert delete_at(night_before_summer_time, 1) == datetime(2026, 3, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("right", "bases_held"),
    [
        (Right.ACCESS, "abcdef"),
        (Right.RESTRICTION, "abcdef"),
        (Right.HUMAN_REVIEW, "abcdef"),
        # Art 20(1)(a)
        (Right.PORTABILITY, "ab"),
        # Art 21(1)
        (Right.OBJECTION, "ef"),
        (Right.REFUSE_RECORDING, "ef"),
        # nobody's data are kept longer because they asked to be forgotten, or not to be called
        (Right.ERASURE, ""),
        (Right.WITHDRAW_CONSENT, ""),
        (Right.OBJECTION_MARKETING, ""),
        (Right.RECTIFICATION, ""),
    ],
)
def test_a_request_holds_what_it_does_not_reach_or_lets_go_what_it_needs(
    right: Right, bases_held: str
) -> None:
    assert "".join(sorted(each.letter for each in HOLDING.get(right, ()))) == bases_held


def test_a_right_keeps_what_its_effect_says_is_to_be_held() -> None:
    """Different code reads the table of effects and that of holds."""
    for right, effect in EFFECTS.items():
        if effect.stored in {"hold", "restrict", "export"}:
            assert HOLDING[right]


@pytest.mark.parametrize(
    ("basis", "at", "held", "fault"),
    [
        ("contract", WITHIN, (), None),
        ("contract", WITHIN, ("request",), "it is held"),
        ("consent", AFTER, ("legal",), "it is held"),
        (
            "legal_obligation",
            WITHIN,
            (),
            "a legal obligation keeps it until 2026-06-08 12:00 UTC (Art 17(3)(b))",
        ),
        ("legal_obligation", LIMIT, (), None),
    ],
)
def test_somebody_deletes_what_they_may_not(
    basis: str, at: datetime, held: tuple[str, ...], fault: str | None
) -> None:
    assert purge_fault(LegalBasis(basis), LIMIT, at, [HoldKind(each) for each in held]) == fault
