"""Figures for monitoring, counted in the database."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import asyncpg
import orjson
from pydantic import TypeAdapter

from ccari.ports.figures import COUNT_SECONDS, Pressing, Tallies
from ccari.ports.requests import SOON_DAYS, Clock
from ccari.store.database import Database
from ccari.store.queries import SQL
from ccari.store.recordings import ENDED_WITHIN

#: How old a count may be and still be reused: a single node counts each time; in a fleet, one node counts for all.
_FRESH = timedelta(seconds=0.9 * COUNT_SECONDS)
#: Counting suppressions and recordings may take at most this share of the time: a count of fifty million suppressions reads 7 GB, and
#: evicts the gate's data from the system's cache.
_COUNTING_SHARE = 0.01
_WAITING, _GIVEN_UP = "waiting", "given_up"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """How much was given up: messages by webhook, and changes of requests that were due to controllers."""

    webhooks: Mapping[str, int]
    forwards: int


async def count_given_up(database: Database) -> GivenUp:
    """Count what was given up. Raises StoreError."""
    # it reads a month of messages
    async with database.outside_pool() as connection:
        messages = await connection.fetch(SQL["deliveries_by_state"])
        forwards = await connection.fetch(SQL["forwards_by_state"])
    return GivenUp(
        {row["endpoint"]: row["count"] for row in messages if row["state"] == _GIVEN_UP},
        sum(row["count"] for row in forwards if row["state"] == _GIVEN_UP),
    )


class CountedFigures:
    """:class:`ccari.ports.figures.Figures` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pressing(self, clock: Clock) -> Pressing:
        async with self._database.connection() as connection:
            requests = await connection.fetch(SQL["open_requests"], *clock.days, SOON_DAYS)
            unfinished = await connection.fetch(SQL["unfinished_by_state"], ENDED_WITHIN)
            registers = await connection.fetch(SQL["register_ages"])
        return Pressing(
            {row["urgency"]: row["count"] for row in requests},
            {row["state"]: row["count"] for row in unfinished},
            sum(row["late"] for row in unfinished),
            {row["register"]: row["as_of"] for row in registers},
        )

    async def tallies(self) -> Tallies:
        async with self._database.outside_pool() as connection:
            last = await connection.fetchrow(SQL["counted_figures"], _FRESH)
            # the turn ends with the connection. Without the turn, another node is counting or has just counted
            if (last is None or not last["fresh"]) and await connection.fetchval(SQL["turn_to_count"]):
                last = await connection.fetchrow(SQL["counted_figures"], _FRESH)
                if last is None or not last["fresh"]:
                    stock = await _stock(connection, last)
                    counted = await _count(connection, stock)
                    kept = orjson.dumps(asdict(counted) | {"stock": asdict(stock)})
                    await connection.execute(SQL["keep_figures"], kept.decode())
                    return counted
            if last is None:
                return await _count(connection, await _stock(connection, None))
            return _TALLIES.validate_json(last["held"])


@dataclass(frozen=True, slots=True)
class _Stock:
    """How many suppressions and recordings there were ``at`` a moment of the database's clock, and how many ``seconds`` the count took."""

    at: datetime
    seconds: float
    suppressions: dict[str, int]
    recordings: dict[str, int]

    def is_good(self, now: datetime) -> bool:
        """True if it is too early to count again."""
        return timedelta() <= now - self.at < timedelta(seconds=self.seconds / _COUNTING_SHARE)


_TALLIES, _STOCK = TypeAdapter(Tallies), TypeAdapter(_Stock)


async def _stock(connection: asyncpg.Connection, last: asyncpg.Record | None) -> _Stock:
    """The stock from the ``last`` count or, if that is too old for how long it took, a new one."""
    now = await connection.fetchval(SQL["clock"])
    # a count written by an earlier version has no stock
    kept = orjson.loads(last["held"]).get("stock") if last is not None else None
    if kept is not None and (stock := _STOCK.validate_python(kept)).is_good(now):
        return stock
    began = time.monotonic()
    suppressions = await connection.fetch(SQL["suppressions_by_reason"])
    recordings = await connection.fetch(SQL["recordings_by_state"])
    return _Stock(
        now, time.monotonic() - began, {row["reason"]: row["count"] for row in suppressions},
        {row["state"]: row["count"] for row in recordings},
    )  # fmt: skip


async def _count(connection: asyncpg.Connection, stock: _Stock) -> Tallies:
    requests = await connection.fetch(SQL["requests_by_right"])
    forwards = await connection.fetch(SQL["forwards_by_state"])
    webhooks = await connection.fetch(SQL["deliveries_by_state"])
    return Tallies(
        stock.suppressions,
        stock.recordings,
        [(row["right"], row["channel"], row["count"]) for row in requests],
        {row["state"]: row["count"] for row in forwards},
        [(row["endpoint"], row["state"], row["count"]) for row in webhooks],
        {row["endpoint"]: row["since"] for row in webhooks if row["state"] == _WAITING},
        next((row["since"] for row in forwards if row["state"] == _WAITING), None),
    )
