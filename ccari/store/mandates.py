"""Mandates: the rights requests on which data are disclosed or erased."""

from ccari.errors import NoRequestError, RequestError
from ccari.policy import mandate as law
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.subjects import Mandate
from ccari.store import journals
from ccari.store.database import Connection
from ccari.store.queries import SQL


async def read(connection: Connection, reference: str) -> Mandate:
    """The request as a mandate. Raises NoRequestError if it does not exist, and RequestError if it no longer identifies the person."""
    row = await connection.fetchrow(SQL["mandate"], reference)
    if row is None:
        raise NoRequestError(reference)
    if not row["digests"]:
        raise RequestError(f"{reference} no longer shows whose it was (requests_days): enter a new request")
    return Mandate(
        row["reference"], row["controller"], Right(row["right"]), RequestState(row["state"]), Level(row["level"]),
        row["language"], tuple(map(bytes, row["digests"])), row["begun"],
    )  # fmt: skip


async def lock(connection: Connection, mandate: Mandate) -> None:
    """Keep the request as it is until ``connection``'s transaction ends.

    Raises RequestError if its state or the identity's level has changed since it was read: a colleague may have refused it, or entered that
    the person has withdrawn it.
    """
    row = await connection.fetchrow(SQL["lock_mandate"], mandate.reference)
    if row is None or (row["state"], row["level"]) != (mandate.state, mandate.level):
        raise RequestError(f"{mandate.reference} was changed meanwhile: try again")


async def note(connection: Connection, mandate: Mandate, who: str, words: str) -> None:
    """Append ``words`` to the request's journal, in ``connection``'s transaction, and queue the change for its controller.

    Raises RequestError if the request's state has changed meanwhile.
    """
    row = await connection.fetchrow(SQL["lock_mandate"], mandate.reference)
    if row is None or row["state"] != mandate.state:
        raise RequestError(f"{mandate.reference} was changed meanwhile: try again")
    to = law.after(mandate.state)
    await connection.execute(SQL["move_request"], mandate.reference, to)
    acted_on = journals.RequestEntry(to, row["level"], row["due"], who, words)
    seq = await journals.append_to_request(connection, mandate.reference, acted_on)
    await connection.execute(SQL["queue_forward"], mandate.reference, seq, row["number"])
