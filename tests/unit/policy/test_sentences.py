"""Moments in sentences."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ccari.policy.sentences import in_utc


def test_a_moment_by_another_clock_passes_for_one_in_utc() -> None:
    in_warsaw = datetime(2026, 7, 1, 0, 30, 59, tzinfo=ZoneInfo("Europe/Warsaw"))
    assert in_utc(in_warsaw) == in_utc(in_warsaw.astimezone(UTC)) == "2026-06-30 22:30:59 UTC"
