"""What a connection knows of arrays before it asks the server."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from ccari.store import arrays
from ccari.store.connecting import connect
from ccari.store.database import SESSION
from ccari.store.moments import FIRST
from ccari.store.queries import SQL

#: Of each type, elements of an array.
ELEMENTS: dict[str, list[Any]] = {
    "bytea": [b"\x00\xff", b""], "date": [date(2026, 12, 1)], "int4": [-1, 2**31 - 1], "int8": [2**63 - 1],
    "interval": [timedelta(days=3, seconds=5)], "jsonb": ['{"a": [1]}'], "timestamptz": [datetime(2026, 12, 1, 9, tzinfo=UTC)],
    "uuid": [UUID(int=7)],
}  # fmt: skip

#: How a statement fails that is a part of others, or is about the table in which a list is loaded.
INCOMPLETE = (asyncpg.PostgresSyntaxError, asyncpg.IndeterminateDatatypeError, asyncpg.UndefinedTableError)


async def test_a_call_waits_until_its_new_connection_has_asked_what_an_array_is(dsn: str) -> None:
    asked: list[str] = []
    connection = await connect(dsn, server_settings=SESSION)
    try:
        with connection.query_logger(lambda each: asked.append(each.query)):
            for statement in SQL.values():
                with contextlib.suppress(*INCOMPLETE):
                    await connection.prepare(statement)
    finally:
        await connection.close()
    assert asked == []


@pytest.mark.parametrize("kind", arrays.KNOWN)
async def test_an_array_is_taken_for_one_of_another_type(kind: str, dsn: str) -> None:
    connection = await connect(dsn, server_settings=SESSION)
    given = [*ELEMENTS[kind], None]
    ids = f"SELECT '{kind}[]'::regtype::oid::int8 AS arrays, '{kind}'::regtype::oid::int8 AS elements"
    try:
        assert await connection.fetchval(f"SELECT $1::{kind}[]", given) == given
        assert [tuple(each) for each in await connection.fetch(ids)] == [arrays.KNOWN[kind]]
    finally:
        await connection.close()


async def test_moments_in_an_array_are_not_read_as_all_others(dsn: str) -> None:
    connection = await connect(dsn, server_settings=SESSION)
    try:
        assert await connection.fetchval("SELECT ARRAY['-infinity'::timestamptz]") == [FIRST]
        assert await connection.fetchval("SELECT ARRAY['-infinity'::date]") == [FIRST.date()]
    finally:
        await connection.close()
