"""Time zones and public holidays: when a controller's day begins, which days are not working days, and on which people are left alone."""

from collections import Counter
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: A controller's time zone, by the EEA country that it is established in. The periods of Art 12(3) run in its time.
TIME_ZONES = {
    "AT": "Europe/Vienna", "BE": "Europe/Brussels", "BG": "Europe/Sofia", "CY": "Asia/Nicosia",
    "CZ": "Europe/Prague", "DE": "Europe/Berlin", "DK": "Europe/Copenhagen", "EE": "Europe/Tallinn",
    "ES": "Europe/Madrid", "FI": "Europe/Helsinki", "FR": "Europe/Paris", "GR": "Europe/Athens",
    "HR": "Europe/Zagreb", "HU": "Europe/Budapest", "IE": "Europe/Dublin", "IS": "Atlantic/Reykjavik",
    "IT": "Europe/Rome", "LI": "Europe/Vaduz", "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg",
    "LV": "Europe/Riga", "MT": "Europe/Malta", "NL": "Europe/Amsterdam", "NO": "Europe/Oslo",
    "PL": "Europe/Warsaw", "PT": "Europe/Lisbon", "RO": "Europe/Bucharest", "SE": "Europe/Stockholm",
    "SI": "Europe/Ljubljana", "SK": "Europe/Bratislava",
}  # fmt: skip


def clock(zone: str) -> ZoneInfo | None:
    """The time zone of that name; None if this machine does not have it, or cannot read it now.

    Zones are renamed over the years, and a system may have only the new names (Debian, without tzdata-legacy).
    """
    try:
        return _read(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=1024)
def _read(zone: str) -> ZoneInfo:
    """A failure is not cached: file descriptors may run out for a moment, or the zone be installed later."""
    return ZoneInfo(zone)


@lru_cache(maxsize=1024)
def public_holidays(country: str, year: int) -> frozenset[date] | None:
    """The public holidays of all of a country (ISO 3166 alpha-2) in a year; None if its calendar is unknown.

    The first look-up of a country takes 0.1 s; the results are cached.
    """
    import holidays  # noqa: PLC0415 - most commands ask for no day

    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return None


@lru_cache(maxsize=1024)
def widely_kept(country: str, year: int) -> frozenset[date] | None:
    """Like :func:`public_holidays`, with those that most parts of the country keep: Easter Monday in the United Kingdom, which Scotland
    does not; Good Friday in Switzerland. In which part a person is, a mobile number does not say.
    """
    import holidays  # noqa: PLC0415 - most commands ask for no day

    everywhere = public_holidays(country, year)
    if everywhere is None:
        return None
    parts = holidays.country_holidays(country).subdivisions
    kept = Counter(
        day for part in parts for day in holidays.country_holidays(country, subdiv=part, years=year)
    )
    return everywhere | {day for day, times in kept.items() if 2 * times > len(parts)}
