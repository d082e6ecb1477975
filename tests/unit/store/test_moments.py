"""Moments and dates that PostgreSQL keeps but Python cannot hold."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from ccari.errors import RefusedError
from ccari.store import moments
from ccari.store.database import Database
from tests.unit.store.forging import NO_MOMENTS
from tests.unit.store.made import LONG_AGO, NOW
from tests.unit.store.server import connected

MOMENTS = (
    moments.FIRST, datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=UTC), LONG_AGO, NOW,
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Warsaw"), fold=1),
    datetime(2026, 11, 28, 12, 0, 0, 999999, tzinfo=timezone(timedelta(hours=14))), moments.LAST,
)  # fmt: skip


def _in_utc(kept: date) -> date:
    return kept.astimezone(UTC) if isinstance(kept, datetime) else kept


@pytest.mark.parametrize("kind", ["timestamptz", "date"])
async def test_what_python_holds_is_kept_or_read_otherwise_than_asyncpg_has_it(
    database: Database, dsn: str, kind: str
) -> None:
    kept = [each if kind == "timestamptz" else each.date() for each in MOMENTS]
    question = f"SELECT one, one::text AS told, $1::{kind}[] AS all FROM unnest($1::{kind}[]) AS one"  # noqa: S608 - constants
    async with connected(dsn, timezone="UTC") as plain:
        theirs = await plain.fetch(question, [*kept, None])
    ours = await database.rows(question, [*kept, None])
    assert ours == [dict(each) for each in theirs]
    assert [each["one"] for each in ours] == [*(_in_utc(each) for each in kept), None]


@pytest.mark.parametrize("edit", NO_MOMENTS)
async def test_what_python_does_not_hold_ends_in_an_error_or_cannot_be_told_in_a_zone(
    database: Database, edit: str
) -> None:
    wanted = moments.FIRST if edit.startswith(("-", "4", "0")) else moments.LAST
    (read,) = await database.rows("SELECT $1::text::timestamptz AS moment, $1::text::date AS day", edit)
    assert read == {"moment": wanted, "day": wanted.date()}
    for hours in (-14, 14):
        read["moment"].astimezone(timezone(timedelta(hours=hours)))


async def test_a_moment_of_no_zone_is_kept_as_one_of_the_servers(database: Database) -> None:
    with pytest.raises(RefusedError):
        await database.rows("SELECT $1::timestamptz", datetime(2026, 11, 28, 12))  # noqa: DTZ001 - the fault
    with pytest.raises(RefusedError):
        await database.rows("SELECT $1::date", date(2026, 11, 28).isoformat())
