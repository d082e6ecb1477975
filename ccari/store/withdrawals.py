"""The end of consents that are withdrawn, whichever way the withdrawal comes: by key, by letter, or as a bar.

One law for all of them: a withdrawal ends what the number had agreed to before it, in whatever order the two become known.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from ccari.ports.keying import Digests
from ccari.store.database import Connection
from ccari.store.policies import Asked
from ccari.store.queries import SQL

#: Rows of a list of which each slice keeps every withdrawal of the controller's consents waiting, and a key press waits no two
#: seconds.
SLICE_ROWS = 500


async def withdraw(
    connection: Connection, controller: str, digests: Digests, purposes: Collection[str] | None, at: datetime | None
) -> int:  # fmt: skip
    """Withdraw a number's consents to ``purposes`` (None: all) ``at`` that moment, or now, in the transaction that ``connection``
    is in; gives how many. Before any bar is entered, as a key press does it: or the two could wait for one another.
    """
    await connection.execute(SQL["share_consents"], controller)
    wanted = None if purposes is None else sorted(purposes)
    done = await connection.execute(SQL["withdraw_consents"], controller, list(digests.all), wanted, at)
    return int(done.rpartition(" ")[2])


@asynccontextmanager
async def settling(
    connection: Connection, controller: str, first: bytes, last: bytes, asked: Asked, asks: Collection[tuple[str, str]] = ()
) -> AsyncIterator[None]:  # fmt: skip
    """A transaction that enters a slice of ``incoming``, between those digests; then what has been withdrawn by now ends.

    ``asked`` knows which consents campaigns have asked for in policies that were applied, and ``asks`` are more of them, each a
    campaign with a purpose.
    """
    async with connection.transaction():
        await connection.execute(SQL["lock_consents"], controller)
        yield
        # a bar does not say which consent it took back, and its campaign may be gone, or ask for another by now
        pairs: Sequence[tuple[str, str]] = sorted(await asked.by(connection, controller) | set(asks))
        await connection.execute(
            SQL["settle_consents"], first, last, controller, [each for each, _ in pairs], [to for _, to in pairs]
        )  # fmt: skip
