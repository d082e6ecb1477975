"""An entry of the record of accesses may be erased only as far as the record itself says, and no sooner than the law allows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ccari.policy.accesses import DEFAULT_DAYS, LEAST_DAYS, declaration, expired_before, fault_of_erased

AT = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
BEFORE = datetime(2025, 11, 29, tzinfo=UTC)
SOONEST = AT - timedelta(days=LEAST_DAYS)


@pytest.mark.parametrize("before", [BEFORE, SOONEST, BEFORE.astimezone(timezone(timedelta(hours=2)))])
def test_what_the_record_says_of_its_expiry_is_not_understood(before: datetime) -> None:
    fields = declaration(before, DEFAULT_DAYS, "cli:anna")
    assert expired_before(AT, fields) == before
    assert (fields["accesses_days"], fields["who"], fields["before"][-6:]) == ("1096", "cli:anna", "+00:00")


@pytest.mark.parametrize(
    "before", [SOONEST + timedelta(microseconds=1), AT, AT + timedelta(days=1)], ids=["soon", "now", "later"]
)
def test_the_record_says_that_looks_of_the_last_year_have_expired_and_is_believed(before: datetime) -> None:
    assert expired_before(AT, declaration(before, LEAST_DAYS, "cli:anna")) is None


@pytest.mark.parametrize(
    "written",
    [
        "",
        "long ago",
        "2025-11-29",
        "2025-11-29T00:00:00",
        "10000-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+00:00",
        "0001-01-02T00:00:00+14:00",
    ],
)
def test_what_is_no_moment_lets_looks_expire_or_raises(written: str) -> None:
    assert expired_before(AT, {"before": written}) is None
    assert expired_before(AT, {}) is None
    assert expired_before(datetime(1, 1, 2, tzinfo=UTC), declaration(BEFORE, LEAST_DAYS, "x")) is None


def test_a_look_that_was_erased_to_hide_it_goes_unnoticed() -> None:
    assert fault_of_erased(7, BEFORE - timedelta(microseconds=1), BEFORE) is None
    for at, before in ((BEFORE, BEFORE), (AT, BEFORE), (BEFORE, None)):
        assert fault_of_erased(7, at, before) == "the fields of entry 7 were erased before their time"
