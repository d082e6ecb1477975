"""Times on the pages: by the controller's clock, or said to be UTC."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from ccari.ports.access import Role
from ccari.ports.calls import RefusedCall
from ccari.store.opened import Store
from ccari.web.console import rendering
from ccari.web.console.words import CATALOGUES
from tests.unit.store import made
from tests.unit.store.made import POLICY
from tests.unit.web.api import Api
from tests.unit.web.console.browsing import Visitor, signed_in

LISTS = ("campaigns", "campaigns/2", "calls", "recordings", "requests", "live")
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


@pytest.mark.parametrize(
    ("zone", "hour", "told"),
    [
        ("Europe/Warsaw", -1, "2026-10-25 01:30:05"), ("Europe/Warsaw", 0, "2026-10-25 02:30:05 CEST"),
        ("Europe/Warsaw", 1, "2026-10-25 02:30:05 CET"), ("Europe/Warsaw", 2, "2026-10-25 03:30:05"),
        ("Europe/Lisbon", 0, "2026-10-25 01:30:05 WEST"), ("Europe/Lisbon", 1, "2026-10-25 01:30:05 WET"),
        ("UTC", 1, "2026-10-25 01:30:05 UTC"),
    ],
)  # fmt: skip
def test_two_hours_have_the_same_name(zone: str, hour: int, told: str) -> None:
    moment = datetime(2026, 10, 25, 0, 30, 5, tzinfo=UTC) + timedelta(hours=hour)
    when = rendering._when({"acme": zone})
    assert when(moment, "acme", seconds=True) == told
    assert when(moment, "acme") == told.replace(":05", "")


@pytest.mark.parametrize(
    ("controller", "told"), [("acme", "2026-05-05 00:30 CEST"), ("baltica", "2026-05-05 01:30 EEST")]
)
def test_times_of_two_clocks_in_one_list_are_taken_for_those_of_one(controller: str, told: str) -> None:
    """A list of calls does not say which controller's a call was."""
    assert rendering._when({"acme": "Europe/Warsaw", "baltica": "Europe/Vilnius"})(MOMENT, controller) == told


@pytest.mark.parametrize("name", ["delete_at", "pressed_at"])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2026-05-04T22:30:05+00:00", "2026-05-05 00:30:05"), ("2026-05-04T22:30:05.123456+00:00", "2026-05-05 00:30:05"),
        ("tampered with", "tampered with"), ("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59+00:00"),
    ],
    ids=["moment", "with-microseconds", "none", "beyond-the-calendar"],
)  # fmt: skip
def test_a_moment_in_a_journal_is_by_another_clock_than_its_page(name: str, value: str, told: str) -> None:
    told_by = rendering._told(CATALOGUES["en"], {"acme": "Europe/Warsaw"})
    assert told_by({name: value}, "acme") == [f"{CATALOGUES['en'].term('detail', name)}: {told}"]
    assert told_by({"file": value}, "acme") == [f"file: {value}"]


@pytest.mark.parametrize(
    ("zones", "clocks", "common"),
    [
        ({}, "UTC", None), ({"acme": "Europe/Warsaw", "bank": "Europe/Warsaw"}, "Europe/Warsaw", "acme"),
        ({"acme": "Europe/Warsaw", "other": "Europe/Berlin", "bank": "Europe/Warsaw"},
         "Europe/Warsaw (acme, bank), Europe/Berlin (other)", None),
    ],
    ids=["none", "one", "two"],
)  # fmt: skip
def test_nobody_knows_by_whose_clock_a_list_is(
    zones: dict[str, str], clocks: str, common: str | None
) -> None:
    assert (rendering._clocks(zones), rendering._common(zones)) == (clocks, common)


async def test_a_call_that_names_no_campaign_is_by_another_clock_than_those_around_it(
    api: Api, visitor: Visitor, store: Store
) -> None:
    # all controllers have one clock
    await store.policies.apply(POLICY, "cli:anna")
    mistyped = RefusedCall(uuid4(), uuid4(), made.ASTERISK, "anna", "renewal", datetime.now(UTC))
    await store.calls.open_refused(mistyped)
    await store.calls.close(
        mistyped.id, "blocked", "unknown_campaign", made.journal("call_ended", outcome="blocked")
    )
    await signed_in(api, visitor, Role.DPO)
    for page in ("/console/calls", f"/console/calls/{mistyped.id}"):
        seen = (await visitor.get(page)).words
        assert "unknown campaign" in seen
        assert "Times: Europe/Warsaw" in seen
        assert " UTC" not in seen


async def test_a_page_does_not_say_by_which_clock_its_times_are(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.DPO, "acme")
    bars, number = "/console/suppressions", "600 100 001"
    await visitor.send(bars, f"{bars}/add", number=number, reason="erasure", until="2099-06-30")
    for seen in (
        *[await visitor.get(f"/console/{each}") for each in LISTS], await visitor.get(bars),
        await visitor.send(bars, f"{bars}/check", number=number),
    ):  # fmt: skip
        assert "Times: Europe/Warsaw" in seen.words
        assert " UTC" not in seen.words
    # the end of that day, where the controller is
    assert seen.words.count("2099-07-01 00:00") == 2
    await signed_in(api, visitor, Role.DPO)
    assert "Times: Europe/Warsaw (acme), Europe/Berlin (other)" in (await visitor.get(bars)).words
    campaigns = (await visitor.get("/console/campaigns")).words
    assert "Times: UTC" in campaigns
