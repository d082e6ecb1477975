"""Times on the pages: of the controller's clock, or said to be UTC."""

from datetime import UTC, datetime

import pytest

from ccari.web.console import rendering

MOMENT = datetime(2026, 5, 4, 22, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("controller", "seconds", "told"),
    [
        ("acme", False, "2026-05-05 00:30"), ("acme", True, "2026-05-05 00:30:05"),
        (None, False, "2026-05-04 22:30 UTC"), (None, True, "2026-05-04 22:30:05 UTC"),
        ("gone", False, "2026-05-04 22:30 UTC"), ("gone", True, "2026-05-04 22:30:05 UTC"),
    ],
)  # fmt: skip
def test_utc_is_taken_for_the_local_time(controller: str | None, told: str, *, seconds: bool) -> None:
    when = rendering._when({"acme": "Europe/Warsaw"})
    assert when(MOMENT, controller, seconds=seconds) == told
    assert when(None, controller, seconds=seconds) == "–"
