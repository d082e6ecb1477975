"""The rules of calling as a person reads them off the law, in plain data: slow, and sharing nothing with the gate.

Sources: Art 6, 7(3), 14(2)(f), 17(3)(b), 18, 21(1)-(3) GDPR; PKE Art 398 (PL); the calling hours of FR, ES, IT and the US.
Clocks and holidays are worked out here by hand.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

DUTY = ("legal_obligation", "vital_interest")
#: The legal bases that each bar takes away; ``advertising`` stands for marketing on any of them.
REACHES: dict[str, tuple[str, ...]] = {
    "erasure": ("consent", "contract", "public_task", "legitimate_interest"),
    "objection_marketing": ("advertising",),
    "objection": ("public_task", "legitimate_interest", "advertising"),
    "withdraw_consent": ("consent", "advertising"),
    "restriction": ("consent", "contract", "public_task", "legitimate_interest"),
    "do_not_call": ("consent", "contract", "public_task", "legitimate_interest"),
}  # fmt: skip
#: The order in which bars are reported, the most serious first.
ORDER = tuple(REACHES)

#: Where each number of the tests may be, and by which country's calendar. None: nobody knows.
NUMBERS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "+48600100001": (("Warsaw",), "PL"),
    "+33612345678": (("Paris",), "FR"),
    "+351912345678": (("Azores", "Lisbon"), "PT"),
    "+12125550123": (("New York",), "US"),
    "+80012345678": ((), None),
}
#: Hours from UTC in winter.
WINTER = {"Warsaw": 1, "Paris": 1, "Rome": 1, "Lisbon": 0, "Azores": -1, "New York": -5}
HOME = {"PL": "Warsaw", "PT": "Lisbon", "IT": "Rome"}

#: Public holidays of 2026, by month.
HOLIDAYS: dict[str, dict[int, tuple[int, ...]]] = {
    "PL": {1: (1, 6), 4: (5, 6), 5: (1, 3, 24), 6: (4,), 8: (15,), 11: (1, 11), 12: (24, 25, 26)},
    "FR": {1: (1,), 4: (6,), 5: (1, 8, 14, 25), 7: (14,), 8: (15,), 11: (1, 11), 12: (25,)},
    "PT": {1: (1,), 4: (3, 5, 25), 5: (1,), 6: (4, 10), 8: (15,), 10: (5,), 11: (1,), 12: (1, 8, 25)},
    "IT": {1: (1, 6), 4: (5, 6, 25), 5: (1,), 6: (2,), 8: (15,), 10: (4,), 11: (1,), 12: (8, 25, 26)},
    "US": {1: (1, 19), 2: (16,), 5: (25,), 6: (19,), 7: (3, 4), 9: (7,), 10: (12,), 11: (11, 26), 12: (25,)},
}  # fmt: skip

WORKDAYS, SATURDAY, ALL_DAYS = (0, 1, 2, 3, 4), (5,), (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Span:
    """``start`` and ``end``: minutes of the day; ``zone``: None is where the number is."""

    days: tuple[int, ...]
    start: int
    end: int
    on_holidays: bool = False
    zone: str | None = None


@dataclass(frozen=True)
class Rules:
    spans: tuple[Span, ...] = ()
    calls: int | None = None
    register_days: int | None = None


RULES = {
    "DE": Rules(),
    "ES": Rules((Span(WORKDAYS, 9 * 60, 21 * 60),)),
    "FR": Rules((Span(WORKDAYS, 10 * 60, 13 * 60), Span(WORKDAYS, 14 * 60, 20 * 60)), calls=4),
    "GB": Rules(register_days=28),
    "IT": Rules((Span(WORKDAYS, 9 * 60, 20 * 60), Span(SATURDAY, 10 * 60, 19 * 60)), register_days=15),
    "PL": Rules(),
    "US": Rules((Span(ALL_DAYS, 8 * 60, 21 * 60, on_holidays=True),), register_days=31),
}


@dataclass(frozen=True)
class Bar:
    """``campaign``: None means all of the controller's calls."""

    reason: str
    entered: datetime
    campaign: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class Agreed:
    given: datetime
    withdrawn: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Book:
    """A register that the campaign must check: the date of its copy, and since when the number is listed."""

    name: str
    max_days: int = 31
    overridden_by_consent: bool = True
    copied: datetime | None = None
    listed: datetime | None = None


@dataclass(frozen=True)
class Source:
    until: datetime | None = None


@dataclass(frozen=True)
class Case:
    """One call that somebody wants to make."""

    now: datetime
    basis: str = "contract"
    marketing: bool = False
    consent_required: bool | None = None
    bars: tuple[Bar, ...] = ()
    books: tuple[Book, ...] = ()
    agreed: Agreed | None = None
    source_told: bool = True
    source: Source | None = None
    number: str = "+48600100001"
    home: str = "PL"
    spans: tuple[Span, ...] = ()
    preset: str | None = None
    most: int | None = None
    most_in_all: int | None = None
    made: int = 0
    made_in_all: int = 0
    made_by_controller: int = 0
    name: str = "renewals"


def ruling(case: Case) -> str | None:
    """Why the call may not be made; None if it may."""
    return refused(case) or bad_time(case) or too_many(case)


def refused(case: Case) -> str | None:
    """Why the campaign may not call the number at any hour."""
    return barred(case) or without_consent(case) or without_source(case)


def banned(case: Case) -> str | None:
    """Why the controller may not even keep the number on a list: CJEU C-129/21."""
    standing = bars_of(replace(case, basis="contract", marketing=False), None)
    return next(
        (standing[each] for each in ("erasure", "restriction", "do_not_call") if each in standing), None
    )


def barred(case: Case) -> str | None:
    for barred in (bars_of(case, None), bars_of(case, case.name)):
        for reason in ORDER:
            if reason in barred:
                return barred[reason]
    for book in case.books:
        if book.listed is not None:
            agreed_later = in_force(case) and case.agreed is not None and case.agreed.given > book.listed
            if not (book.overridden_by_consent and agreed_later):
                return "suppressed_register"
    for book in case.books:
        if not trusted(book, case):
            return "register_stale"
    return None


def bars_of(case: Case, campaign: str | None) -> dict[str, str]:
    """The bars of one scope that are in force now and affect this call, each with the reason that is reported."""
    told = {}
    for bar in case.bars:
        if bar.campaign != campaign:
            continue
        if bar.expires is not None and case.now >= bar.expires:
            continue
        if (
            bar.reason == "withdraw_consent"
            and in_force(case)
            and case.agreed
            and case.agreed.given > bar.entered
        ):
            continue
        advertises = case.marketing and "advertising" in REACHES[bar.reason]
        if case.basis in REACHES[bar.reason] or advertises:
            told[bar.reason] = f"suppressed_{'campaign_' if campaign else ''}{bar.reason}"
    return told


def in_force(case: Case) -> bool:
    """A consent that was given, and is neither withdrawn nor expired."""
    agreed = case.agreed
    if agreed is None or agreed.withdrawn is not None or agreed.given > case.now:
        return False
    return agreed.until is None or case.now < agreed.until


def trusted(book: Book, case: Case) -> bool:
    """A copy that was made no longer ago than the register and the country's rules allow."""
    if book.copied is None or book.copied > case.now:
        return False
    days = book.max_days
    if case.preset and RULES[case.preset].register_days is not None:
        days = min(days, RULES[case.preset].register_days or days)
    return book.copied + timedelta(days=days) >= case.now


def without_consent(case: Case) -> str | None:
    needed = case.consent_required
    if needed is None:
        needed = case.basis == "consent" or case.marketing
    if not needed or in_force(case):
        return None
    if case.agreed is None or case.agreed.given > case.now:
        return "no_consent"
    return "consent_withdrawn" if case.agreed.withdrawn is not None else "consent_expired"


def without_source(case: Case) -> str | None:
    if case.source is None:
        return None if case.source_told else "no_source"
    return "source_expired" if case.source.until is not None and case.now >= case.source.until else None


def bad_time(case: Case) -> str | None:
    for spans in (case.spans, RULES[case.preset].spans if case.preset else ()):
        if not spans:
            continue
        if any(is_open(span, case) for span in spans):
            continue
        return (
            "holiday"
            if any(not span.on_holidays and on_holiday(span, case) for span in spans)
            else "outside_hours"
        )
    return None


def is_open(span: Span, case: Case) -> bool:
    if not span.on_holidays and on_holiday(span, case):
        return False
    minutes = range(span.start, span.end)
    return all(
        there.weekday() in span.days and there.hour * 60 + there.minute in minutes
        for there in walls(span, case)
    )


def on_holiday(span: Span, case: Case) -> bool:
    country = NUMBERS[case.number][1] or case.home
    return any(there.day in HOLIDAYS[country].get(there.month, ()) for there in walls(span, case))


def walls(span: Span, case: Case) -> list[datetime]:
    """What the clocks on the wall show, naive, wherever the number may be."""
    zones = (span.zone,) if span.zone else NUMBERS[case.number][0] or (HOME[case.home],)
    return [on_the_wall(zone, case.now) for zone in zones]


def on_the_wall(zone: str, now: datetime) -> datetime:
    """Summer time is an hour ahead: in the EU from the last Sunday of March to that of October at 01:00 UTC; in the US
    from the second Sunday of March to the first of November at 02:00 of the local time.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None)
    if zone == "New York":
        begins, ends = sunday(moment.year, 3, 8, 7), sunday(moment.year, 11, 1, 6)
    else:
        begins, ends = sunday(moment.year, 3, 25, 1), sunday(moment.year, 10, 25, 1)
    return moment + timedelta(hours=WINTER[zone] + (begins <= moment < ends))


@lru_cache
def sunday(year: int, month: int, not_before: int, hour: int) -> datetime:
    day = date(year, month, not_before)
    while day.isoweekday() != 7:
        day += timedelta(days=1)
    return datetime(day.year, day.month, day.day, hour)  # noqa: DTZ001 - of UTC, as all here


def too_many(case: Case) -> str | None:
    if case.most is not None:
        if case.most_in_all is not None and case.made_in_all >= case.most_in_all:
            return "attempts_exhausted"
        if case.made >= case.most:
            return "attempts_capped"
    calls = RULES[case.preset].calls if case.preset else None
    return "attempts_capped" if calls is not None and case.made_by_controller >= calls else None
