"""Withdrawing consents, however the withdrawal comes: by key, by letter, or as a bar.

One rule holds for all: a withdrawal ends the consents given before it, in whichever order the two become known.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime

from ccari.ports.keying import Digests
from ccari.store.database import Connection
from ccari.store.entering import entering
from ccari.store.policies import DeclaredCampaigns
from ccari.store.queries import SQL, columns

#: Rows per slice of a list of consents. Every withdrawal for the controller waits for the current slice, and a key press waits less than
#: two seconds.
SLICE_ROWS = 500


async def withdraw(
    connection: Connection, controller: str, digests: Digests, purposes: Collection[str] | None, at: datetime | None
) -> int:  # fmt: skip
    """Withdraw a number's consents to ``purposes`` (None: all), in ``connection``'s transaction. Returns how many.

    ``at``: when it was received; None: now. Call it before entering any bar, as a key press does: another order could deadlock.
    """
    await connection.execute(SQL["share_consents"], controller)
    wanted = None if purposes is None else sorted(purposes)
    status = await connection.execute(SQL["withdraw_consents"], controller, list(digests.all), wanted, at)
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def settling(
    connection: Connection, controller: str, first: bytes, last: bytes, campaigns: DeclaredCampaigns, asks: Collection[tuple[str, str]] = ()
) -> AsyncIterator[None]:  # fmt: skip
    """A transaction for a slice of ``incoming``, from the ``first`` to the ``last`` digest. After the caller has entered the slice, it
    ends the consents of its numbers that were already withdrawn.

    ``campaigns``: those of the applied policies, with the purposes that they asked for; ``asks``: additional (campaign, purpose) pairs.
    """
    async with entering(connection, controller):
        await connection.execute(SQL["lock_consents"], controller)
        yield
        # a bar does not name the purpose that was withdrawn, and its campaign may by now be gone or ask for another
        pairs = sorted(await campaigns.asked(connection, controller) | set(asks))
        await connection.execute(SQL["settle_consents"], first, last, controller, *columns(pairs))
