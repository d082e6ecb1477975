"""Makes a right exercised in a call durable, with the journal entries that led to it."""

from ccari.errors import CcariError
from ccari.gating.journal import Journal
from ccari.ports.calls import CallStore, OpenedCall
from ccari.ports.metering import Registered
from ccari.ports.requests import Exercise


async def register(store: CallStore, journal: Journal, call: OpenedCall, exercise: Exercise) -> str | None:
    """Register the right. Gives the request's reference, or None if the right is kept on this node until the database is back.

    If the call has no row yet, one is written.

    Raises
    ------
    StoreError
        If the right is not durable: then it must not be confirmed.
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
        if not journal.is_open:
            journal.know(call.asserted)
        journal.opened()
        journal.written(entries)
    # otherwise the entries stay here too, beside the copy kept with the right; the second write skips those already written
    return reference
