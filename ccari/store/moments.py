"""Reading timestamps and dates of PostgreSQL that Python cannot hold: ``-infinity``, years BC, and years after 9999.

ccari writes none of these, but somebody who edits the tables may. asyncpg raises an error for some, and returns the infinite ones without
a time zone: then the check that looks for edits would itself fail.
"""

from datetime import UTC, date, datetime, timedelta

import asyncpg

#: PostgreSQL's epoch, in any time zone.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
#: The bounds, each a day inside Python's range, so that every time zone can show them.
FIRST = datetime(1, 1, 2, tzinfo=UTC)
LAST = datetime(9999, 12, 30, tzinfo=UTC)
_FIRST, _LAST = ((each - _EPOCH) // _MICROSECOND for each in (FIRST, LAST))
_FIRST_DAY, _LAST_DAY = (each.toordinal() - _EPOCH_DAY for each in (FIRST, LAST))


async def read_all(connection: asyncpg.Connection) -> None:
    """Make the connection clamp every ``timestamptz`` and ``date`` to :data:`FIRST` and :data:`LAST`.

    An edited timestamp in a journal is still detected, since the chain of its entries no longer fits.
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
