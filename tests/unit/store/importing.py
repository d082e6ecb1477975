"""A list of consents is loaded by a process of its own, which may be stopped in the middle: see test_gone_midway.py.

Its arguments: the database, the seconds that a connection outside the pool may idle in a transaction, and how many consents.
It prints what came of it.
"""

import asyncio
import sys
from datetime import UTC, datetime

from ccari.errors import StoreError
from ccari.store import database as databases
from ccari.store import migrating
from ccari.store.opened import Store
from tests.unit.store.listed import agreed, number, whole

GIVEN = datetime(2026, 1, 31, tzinfo=UTC)


async def bring(dsn: str, consents: int) -> None:
    async with migrating.open_database(dsn) as database:
        try:
            done = await Store(dsn, database).consents.load(
                "acme", {}, whole([agreed(number(n), given=GIVEN) for n in range(consents)]), origin="import:anna", keep_going=False
            )  # fmt: skip
        except StoreError as error:
            print(error)
        else:
            print(done.report.accepted)


if __name__ == "__main__":
    databases.OUTSIDE_IDLE_SECONDS = float(sys.argv[2])
    asyncio.run(bring(sys.argv[1], int(sys.argv[3])))
