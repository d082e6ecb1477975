"""Moments and dates of PostgreSQL, which keeps more of them than Python: ``-infinity``, years BC, and years after 9999.

ccari writes none of these, but whoever can write the tables may have put one in the place of another. asyncpg has an error for
some, and for the infinite ones a moment of no zone: then what was edited would break off who looks for it.
"""

from datetime import UTC, date, datetime, timedelta

import asyncpg

#: From where PostgreSQL counts, whichever zone is set.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
#: A day within what Python holds, so that it can be told in every zone.
FIRST = datetime(1, 1, 2, tzinfo=UTC)
LAST = datetime(9999, 12, 30, tzinfo=UTC)
_FIRST, _LAST = ((each - _EPOCH) // _MICROSECOND for each in (FIRST, LAST))
_FIRST_DAY, _LAST_DAY = (each.toordinal() - _EPOCH_DAY for each in (FIRST, LAST))


async def read_all(connection: asyncpg.Connection) -> None:
    """Have the connection give every ``timestamptz`` and ``date``: what is before :data:`FIRST` as that, what is after
    :data:`LAST` as that.

    A chain of entries does not go through a moment that is not its own, so whoever reads a journal is told of it.
    """
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_moment_to, decoder=_moment_from, format="tuple"
    )
    await connection.set_type_codec(
        "date", schema="pg_catalog", encoder=_date_to, decoder=_date_from, format="tuple"
    )


def _moment_to(moment: datetime) -> tuple[int]:
    return ((moment - _EPOCH) // _MICROSECOND,)


def _moment_from(kept: tuple[int]) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(kept[0], _FIRST), _LAST))


def _date_to(day: date) -> tuple[int]:
    return (day.toordinal() - _EPOCH_DAY,)


def _date_from(kept: tuple[int]) -> date:
    return date.fromordinal(min(max(kept[0], _FIRST_DAY), _LAST_DAY) + _EPOCH_DAY)
