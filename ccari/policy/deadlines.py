"""When a request is due: Article 12(3) GDPR counted by Regulation (EEC, Euratom) 1182/71."""

import calendar
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays

#: Where a controller's clock stands, by the country of the EEA it is established in: Art 12(3) runs in its time.
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


def due(received: datetime, country: str) -> date:
    """The last day to answer a request that was received at ``received`` (aware) by a controller in ``country``.

    One month, the day of receipt not counted (Reg. 1182/71 Art 3(1)): it ends on the same date of the next month, or
    on that month's last day (Art 3(2)(c)); from a Saturday, Sunday or public holiday it moves to the next working day
    (Art 3(4)).
    """
    local = received.astimezone(ZoneInfo(TIME_ZONES[country])).date()
    day = _months_later(local, 1)
    closed = holidays.country_holidays(country, years=(day.year, day.year + 1))
    while day.weekday() >= calendar.SATURDAY or day in closed:
        day += timedelta(days=1)
    return day


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
