"""Withdrawing consents, whichever way the withdrawal comes: by key, by letter, or as a bar.

The same rule holds for all: a withdrawal ends the consents that were given before it, in whatever order the two become known.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime

from ccari.ports.keying import Digests
from ccari.store.database import Connection
from ccari.store.entering import entering
from ccari.store.policies import DeclaredCampaigns
from ccari.store.queries import SQL, columns

#: Rows in a slice of a list of consents. Every withdrawal of the controller's consents waits for the slice under way, and a key
#: press waits less than two seconds.
SLICE_ROWS = 500


async def withdraw(
    connection: Connection, controller: str, digests: Digests, purposes: Collection[str] | None, at: datetime | None
) -> int:  # fmt: skip
    """Withdraw a number's consents to ``purposes`` (None: all), in the transaction that ``connection`` is in. Gives how many.

    ``at``: when it was received; None is now. Call it before any bar is entered, as a key press does: in another order the two
    could deadlock.
    """
    await connection.execute(SQL["share_consents"], controller)
    wanted = None if purposes is None else sorted(purposes)
    status = await connection.execute(SQL["withdraw_consents"], controller, list(digests.all), wanted, at)
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def settling(
    connection: Connection, controller: str, first: bytes, last: bytes, campaigns: DeclaredCampaigns, asks: Collection[tuple[str, str]] = ()
) -> AsyncIterator[None]:  # fmt: skip
    """A transaction for a slice of ``incoming``, from the ``first`` to the ``last`` digest. When the caller has entered the slice,
    the consents of its numbers that were withdrawn by then are ended.

    ``campaigns``: those of the applied policies, with what they have asked consent to; ``asks``: more of that, each a campaign with a purpose.
    """
    async with entering(connection, controller):
        await connection.execute(SQL["lock_consents"], controller)
        yield
        # a bar does not say to which purpose consent was withdrawn, and by now its campaign may be gone, or ask for another
        pairs = sorted(await campaigns.asked(connection, controller) | set(asks))
        await connection.execute(SQL["settle_consents"], first, last, controller, *columns(pairs))
