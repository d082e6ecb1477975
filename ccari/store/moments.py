"""Reading PostgreSQL's moments and dates, some of which Python does not have: ``-infinity``, years BC, and years after 9999.

ccari writes none of these, but somebody who edits the tables may. asyncpg raises an error for some, and gives the infinite ones
without a time zone: then the check that is to find what was edited would itself break off.
"""

from datetime import UTC, date, datetime, timedelta

import asyncpg

#: Where PostgreSQL counts from, whichever time zone is set.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
#: The bounds: each a day within what Python holds, so that it can be shown in every time zone.
FIRST = datetime(1, 1, 2, tzinfo=UTC)
LAST = datetime(9999, 12, 30, tzinfo=UTC)
_FIRST, _LAST = ((each - _EPOCH) // _MICROSECOND for each in (FIRST, LAST))
_FIRST_DAY, _LAST_DAY = (each.toordinal() - _EPOCH_DAY for each in (FIRST, LAST))


async def read_all(connection: asyncpg.Connection) -> None:
    """Have the connection read every ``timestamptz`` and ``date``, a moment before :data:`FIRST` as that, one after :data:`LAST` as
    that.

    In a journal an edited moment is still detected, as the chain of its entries no longer fits.
    """
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_moment_to, decoder=_moment_from, format="tuple"
    )
    await connection.set_type_codec(
        "date", schema="pg_catalog", encoder=_date_to, decoder=_date_from, format="tuple"
    )


def _moment_to(moment: datetime) -> tuple[int]:
    return ((moment - _EPOCH) // _MICROSECOND,)


def _moment_from(stored: tuple[int]) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(stored[0], _FIRST), _LAST))


def _date_to(day: date) -> tuple[int]:
    return (day.toordinal() - _EPOCH_DAY,)


def _date_from(stored: tuple[int]) -> date:
    return date.fromordinal(min(max(stored[0], _FIRST_DAY), _LAST_DAY) + _EPOCH_DAY)
