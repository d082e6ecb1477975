"""The overview page: calls by outcome, and rights, of the last day, week or month."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from ccari.office import dossiers
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.call import Outcome
from ccari.ports.access import SUPERVISING
from ccari.ports.overview import Counted
from ccari.ports.requests import SOON_DAYS
from ccari.web.console.pages import Answer, Shown, Visit
from ccari.web.models.base import Given

DAYS = (1, 7, 30)
#: The outcomes of each shade in the plot, from the bottom up.
_SHADES: Mapping[str, frozenset[str | None]] = {
    "talked": frozenset({Outcome.BRIDGED}),
    "rights": frozenset({Outcome.RIGHT_EXERCISED, Outcome.RECORDING_REFUSED}),
    "blocked": frozenset({Outcome.BLOCKED}),
}
_OTHERS = "others"
#: The plot's size in its own units; browsers scale it.
_WIDTH, _HEIGHT, _GAP = 720.0, 180.0, 0.2


class OverviewQuery(Given):
    days: Literal["1", "7", "30"] = "7"


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle of the plot."""

    shade: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One hour or day: how many calls of each shade."""

    begins: datetime
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table with a bar beside it. ``part``: the bar's length, in per cent of the longest."""

    name: str
    count: int
    part: float


async def overview(visit: Visit) -> Answer:
    """The statistics and their plots."""
    query: OverviewQuery = visit.ask.query or OverviewQuery()
    days = int(query.days)
    policy = await visit.ask.policy()
    countries = [each.country for each in policy.controllers] if policy else []
    zone = TIME_ZONES[countries[0]] if countries else "UTC"
    since = _since(days, ZoneInfo(zone))
    clock = dossiers.clock(policy)
    statistics = await visit.ask.front.overview.since(
        since, visit.ask.controllers, by_hour=days == 1, zone=zone, clock=clock
    )
    columns = _columns(statistics.counted, since, days, ZoneInfo(zone))
    heard = sum(each.heard for each in statistics.counted)
    answered = sum(each.answered for each in statistics.counted)
    power = sum(each.power for each in statistics.counted)
    abandoned = sum(each.abandoned for each in statistics.counted)
    outcomes, blocks = Counter[str](), Counter[str]()
    for each in statistics.counted:
        outcomes[each.outcome or ""] += each.calls
        if each.reason is not None:
            blocks[each.reason] += each.calls
    # where it is the latest: the list leaves out none of those counted
    today = max(map(clock.today, clock.countries), default=clock.today(""))
    fields = {
        "days": days, "choices": DAYS, "calls": outcomes.total(), "heard": _rate(heard, answered), "answered": answered,
        "abandoned": _rate(abandoned, power), "power": power, "due": statistics.due, "outcomes": _lines(outcomes),
        "blocks": _lines(blocks), "rights": _lines(statistics.rights), "columns": columns, "shades": (*_SHADES, _OTHERS),
        "plot": _plot(columns), "most": _most(columns), "zone": zone, "size": (_WIDTH, _HEIGHT),
        "lists_requests": visit.role in SUPERVISING, "after_today": today + timedelta(1), "after_soon": today + timedelta(SOON_DAYS + 1),
    }  # fmt: skip
    return Shown("overview.html.j2", fields)


def _since(days: int, zone: ZoneInfo) -> datetime:
    """The start of the statistics: for one day, the hour 24 hours ago; for longer, the first of that many days, ending today."""
    now = datetime.now(UTC).astimezone(zone)
    if days == 1:
        this_hour = now.replace(minute=0, second=0, microsecond=0)
        # in absolute time: the wall clock may have been put back or forward since
        return (this_hour.astimezone(UTC) - timedelta(hours=23)).astimezone(zone)
    return datetime.combine(now.date() - timedelta(days=days - 1), time(), zone)


def _columns(counted: Sequence[Counted], since: datetime, days: int, zone: ZoneInfo) -> list[Column]:
    """A column for each hour or day, including those without calls."""
    if days == 1:
        hours = (since.astimezone(UTC) + timedelta(hours=each) for each in range(24))
        begins = [each.astimezone(zone).replace(tzinfo=None) for each in hours]
    else:
        begins = [since.replace(tzinfo=None) + timedelta(days=each) for each in range(days)]
    columns: dict[datetime, Counter[str]] = {moment: Counter() for moment in begins}
    for each in counted:
        if each.begins in columns:
            columns[each.begins][_shade(each.outcome)] += each.calls
    return [Column(moment, counts) for moment, counts in columns.items()]


def _shade(outcome: str | None) -> str:
    return next((shade for shade, outcomes in _SHADES.items() if outcome in outcomes), _OTHERS)


def _most(columns: Sequence[Column]) -> int:
    return max((sum(each.counts.values()) for each in columns), default=0)


def _plot(columns: Sequence[Column]) -> list[Rectangle]:
    most = _most(columns)
    step = _WIDTH / max(len(columns), 1)
    blocks = []
    for index, column in enumerate(columns):
        top = _HEIGHT
        for shade in (*_SHADES, _OTHERS):
            count = column.counts.get(shade, 0)
            if count:
                height = _HEIGHT * count / most
                top -= height
                blocks.append(
                    Rectangle(shade, round(step * (index + _GAP / 2), 2), round(top, 2), round(step * (1 - _GAP), 2), round(height, 2))
                )  # fmt: skip
    return blocks


def _lines(counts: Counter[str]) -> list[Line]:
    most = max(counts.values(), default=0)
    return [Line(name, count, round(100 * count / most, 1)) for name, count in counts.most_common() if count]


def _rate(some: int, of: int) -> tuple[int, int] | None:
    """In per cent, whole ones and tenths: what stands between them depends on the language. None if ``of`` is zero."""
    return divmod(round(1000 * some / of), 10) if of else None
