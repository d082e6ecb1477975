"""A right that was exercised in a call is made durable, with what led to it."""

from ccari.errors import CcariError
from ccari.gating.journal import Journal
from ccari.ports.calls import CallStore, OpenedCall
from ccari.ports.metering import Registered
from ccari.ports.requests import Exercise


async def register(store: CallStore, journal: Journal, call: OpenedCall, exercise: Exercise) -> str | None:
    """Its reference; None if it is kept on this node until the database is back. The call gets its row if it has none.

    Raises
    ------
    StoreError
        If it is not durable: then nobody may be told that it is.
    """
    entries = journal.pending()
    try:
        reference = await store.register_right(call, exercise, entries, opens=not journal.is_open)
    except CcariError:
        journal.meter.right(exercise.right, exercise.intake, Registered.FAILED)
        raise
    kept = Registered.KEPT if reference is None else Registered.REGISTERED
    journal.meter.right(exercise.right, exercise.intake, kept)
    if reference is not None:
        journal.opened()
        journal.written(entries)
    # else they are kept with it, and here too: whichever is written first, they are in the call's journal once
    return reference
