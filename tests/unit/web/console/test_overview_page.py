"""The overview: everything is counted, once, and nothing of anybody else."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from ccari.policy.deadlines import local_day
from ccari.policy.rights import RequestState, Right
from ccari.ports.access import Role
from ccari.ports.requests import Clock, Handling
from ccari.store.opened import Store
from ccari.web.console import overview
from tests.unit.store import made
from tests.unit.store.test_forwards import added
from tests.unit.web.api import Api
from tests.unit.web.console.browsing import Visitor, browser, signed_in

OVERVIEW = "/console/overview"


async def ended(
    store: Store, outcome: str, reason: str = "", *, ago: timedelta = timedelta(), heard: bool = False,
    direction: str = "outbound", controller: str = "acme",
) -> None:  # fmt: skip
    call = made.call(controller)
    await store.calls.open(call, made.question(call))
    if heard:
        await store.calls.commit_heard(call.id, "v1", None, ())
    await store.calls.close(call.id, outcome, reason, ())
    await _moved(store, call.id, ago, direction)


async def _moved(store: Store, call: UUID, ago: timedelta, direction: str) -> None:
    async with store.database.connection() as connection:
        await connection.execute(
            "UPDATE calls SET opened_at = now() - $2::interval, direction = $3 WHERE id = $1",
            call,
            ago,
            direction,
        )


async def test_a_call_or_a_right_is_not_counted_or_counted_for_somebody_else(
    api: Api, visitor: Visitor, store: Store
) -> None:
    for _ in range(3):
        await ended(store, "bridged", heard=True)
    await ended(store, "notice_failed", ago=timedelta(days=3))
    # an hour less, as one of the days may have 23, and midnight may come meanwhile
    await ended(store, "blocked", "holiday", ago=timedelta(days=6, hours=-1))
    await ended(store, "failed", "abandoned", heard=True, direction="callee_first")
    await ended(store, "busy", ago=timedelta(days=20))
    await ended(store, "bridged", controller="other")
    today = datetime.now(UTC)
    await added(store, right=Right.PORTABILITY, received_at=today)
    await added(store, right=Right.ACCESS, controller="other", received_at=today)
    await signed_in(api, visitor, Role.AUDITOR, "acme")
    for days, calls in (1, 4), (7, 6), (30, 7):
        seen = await visitor.get(f"{OVERVIEW}?days={days}")
        assert f"Calls {calls} Notice heard" in seen.words
    week = (await visitor.get(OVERVIEW)).words
    assert "Notice heard 80.0 % of 5 answered calls" in week
    assert "Abandoned 100.0 % of 1 answered power-dialled call" in week
    assert "public holiday 1" in week
    assert "portability 1" in week
    assert "access 1" not in week
    assert "busy 1" not in week


async def test_what_is_due_today_is_hidden_among_what_is_due_in_a_week(
    api: Api, visitor: Visitor, store: Store
) -> None:
    today = local_day(datetime.now(UTC), "PL")
    for count, days in enumerate((-1, 0, 1, 7, 8), 1):
        for _ in range(count):
            await added(store, due=today + timedelta(days=days))
    await signed_in(api, visitor, Role.DPO)
    seen = (await visitor.get(OVERVIEW)).words
    told = [
        f"overdue ▲ {overdue} of 15 open Show overdue requests Requests due today ◆ {now} of 15 open Show requests due by today "
        f"Requests due from tomorrow, within 7 days {soon} of 15 open Show requests due within 7 days"
        # midnight may have come meanwhile
        for overdue, now, soon in ((1, 2, 7), (3, 3, 9))
    ]
    assert any(each in seen for each in told), seen


async def test_a_figure_of_the_overview_leads_to_other_requests_or_to_a_page_that_is_not_for_who_reads_it(
    api: Api, visitor: Visitor, store: Store
) -> None:
    clock = Clock(datetime.now(UTC), {"acme": "PL"})
    due = {
        days: await added(store, due=clock.today("acme") + timedelta(days=days))
        for days in (-1, 0, 1, 7, 8, 9)
    }
    await store.requests.step(due[1], RequestState.WITHDRAWN, Handling("cli:anna", clock, "asked for"))
    async with browser() as session:
        ops = await signed_in(api, Visitor(api.url, session), Role.OPS)
        assert "/console/requests" not in (await ops.get(OVERVIEW)).text
    await signed_in(api, visitor, Role.AUDITOR)
    seen = await visitor.get(OVERVIEW)
    for words, least, most in (
        ("overdue requests", -1, -1),
        ("requests due by today", -1, 0),
        ("requests due within 7 days", -1, 7),
    ):
        (link,) = re.findall(rf'<a href="(/console/requests[^"]*)">Show {words}</a>', seen.text)
        listed = re.findall(r"ACME-2\d{3}-\d{6}(?=</a>)", (await visitor.get(link)).text)
        told = [
            [one for days, one in due.items() if least <= days - passed <= most and days != 1]
            # midnight may have come meanwhile
            for passed in (0, 1)
        ]
        assert listed in told, words


async def test_who_hangs_up_in_the_middle_of_the_notice_has_not_answered(
    api: Api, visitor: Visitor, store: Store
) -> None:
    for direction in ("outbound", "agent_first", "callee_first"):
        await ended(store, "callee_hangup", direction=direction)
    # whoever calls in has nothing to answer, and whoever waits for an agent has heard it
    await ended(store, "callee_hangup", direction="inbound")
    await ended(store, "busy")
    await ended(store, "callee_hangup", heard=True, direction="callee_first")
    await ended(store, "bridged", heard=True, direction="callee_first")
    await signed_in(api, visitor, Role.OPS)
    week = (await visitor.get(OVERVIEW)).words
    assert "Notice heard 40.0 % of 5 answered calls" in week
    # nor was anybody abandoned who did not wait to the end
    assert "Abandoned 0.0 % of 2 answered power-dialled calls" in week


async def test_a_polish_page_has_the_decimal_point_of_an_english_one(
    api: Api, visitor: Visitor, store: Store
) -> None:
    await ended(store, "bridged", heard=True)
    for _ in range(2):
        await ended(store, "callee_hangup")
    await signed_in(api, visitor, Role.OPS)
    await visitor.get("/console/language/pl")
    assert "Komunikat odtworzony 33,3 % z 3 odebranych połączeń" in (await visitor.get(OVERVIEW)).words


async def test_there_was_nothing_and_the_page_fails(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.OPS)
    for days in (1, 7, 30):
        seen = await visitor.get(f"{OVERVIEW}?days={days}")
        assert "There were no calls." in seen.words
        assert "Notice heard – of 0 answered calls" in seen.words
    assert (await visitor.get(f"{OVERVIEW}?days=400")).status == 422


async def test_a_plot_shows_other_numbers_than_its_table(api: Api, visitor: Visitor, store: Store) -> None:
    for days in range(0, 29, 4):
        await ended(store, "bridged", ago=timedelta(days=days))
    await ended(store, "blocked", "holiday")
    await signed_in(api, visitor, Role.OPS)
    seen = await visitor.get(f"{OVERVIEW}?days=30")
    plot = seen.text.partition('preserveAspectRatio="none"')[2].partition("</svg>")[0]
    assert (plot.count('class="talked"'), plot.count('class="blocked"')) == (8, 1)
    table = seen.text.partition('<table class="plain">')[2].partition("</table>")[0]
    assert table.count('<td class="amount">1</td>') == 9


@pytest.mark.parametrize(
    ("moment", "first", "hours"),
    [
        (datetime(2026, 10, 25, 11, 20, tzinfo=UTC), "2026-10-24T14:00:00", 23),
        (datetime(2026, 3, 29, 11, 20, tzinfo=UTC), "2026-03-28T13:00:00", 24),
        (datetime(2026, 7, 1, 11, 20, tzinfo=UTC), "2026-06-30T14:00:00", 24),
    ],
    ids=["clocks back", "clocks forward", "clocks as they are"],
)
def test_after_the_clocks_were_changed_the_hour_that_runs_is_missing(
    monkeypatch: pytest.MonkeyPatch, moment: datetime, first: str, hours: int
) -> None:
    """Or one that is still to come is shown; the hour that occurs twice has one column."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(moment.timestamp(), tz)

    warsaw = ZoneInfo("Europe/Warsaw")
    monkeypatch.setattr(overview, "datetime", Then)
    columns = overview._columns([], overview._since(1, warsaw), 1, warsaw)
    now = moment.astimezone(warsaw).replace(tzinfo=None, minute=0)
    assert (columns[0].begins.isoformat(), columns[-1].begins, len(columns)) == (first, now, hours)
