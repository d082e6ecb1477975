"""What is held of each controller, and the deletion of a controller that has left (Art 28(3)(g)), in batches short enough for calls."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg

from ccari.errors import StillNeededError, StoreError
from ccari.policy import leaving
from ccari.policy.erasure import proof_kept
from ccari.policy.leaving import Amount, Goes, Keeps, Proofs
from ccari.ports.accesses import Looked
from ccari.store import accesses
from ccari.store.database import Connection, Database, in_transaction
from ccari.store.policies import countries, countries_of, in_force
from ccari.store.queries import SQL
from ccari.store.translating import translated

Progress = Callable[[int], None]

#: Rows deleted in one transaction. Until it ends, no hold can be placed, and no list of the controller's merged.
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Deletion:
    """Who began the deletion and when, how many rows of each kind it has deleted so far, and who finished it when (None: it was
    interrupted). ``drop_proof``: whether someone agreed to delete consents whose proof the law still requires.
    """

    begun_by: str
    begun_at: datetime
    drop_proof: bool
    deleted: Mapping[Goes, int]
    finished_by: str | None
    finished_at: datetime | None


@dataclass(slots=True)
class OfController:
    """What is held of one controller, and its last deletion. Kinds with no rows are left out. ``proofs``: consents whose proof the law
    still requires.
    """

    goes: dict[Goes, Amount] = field(default_factory=dict)
    keeps: dict[Keeps, Amount] = field(default_factory=dict)
    proofs: Proofs | None = None
    deletion: Deletion | None = None


class _NeededError(Exception):
    """Something must end first. The caller finds out what once it holds no lock: counting may take millions of rows."""


class Controllers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, OfController]:
        """Every controller that something is held of, or that was deleted. Takes seconds: it counts millions of rows. Policy revisions
        that cannot be read are skipped here; :meth:`delete` requires them. Raises StoreError, like each method here.
        """
        under = await countries(self._database)
        found: defaultdict[str, OfController] = defaultdict(OfController)
        async with self._database.snapshot(outside_pool=True) as connection:
            for row in await connection.fetch(SQL["controllers_goes"], None):
                found[row["controller"]].goes[Goes(row["kind"])] = _amount(row)
            for row in await connection.fetch(SQL["controllers_keep"], None):
                found[row["controller"]].keeps[Keeps(row["kind"])] = _amount(row)
            for row in await connection.fetch(SQL["controller_deletions"], None):
                found[row["controller"]].deletion = _deletion(row)
            for controller, of in found.items():
                of.proofs = await _proofs(connection, controller, proof_kept(under.get(controller, ())))
        return dict(found)

    async def deleted_but_held(self) -> list[str]:
        """Deleted controllers that something is held of again, such as the bar of a right that was registered later."""
        rows = await self._database.rows(SQL["deleted_but_held"], outside_pool=True)
        return [row["controller"] for row in rows]

    async def of(self, controller: str) -> OfController:
        """Like :meth:`all`, for one controller; empty if nothing is known of it."""
        async with self._database.snapshot(outside_pool=True) as connection:
            deletion = await connection.fetchrow(SQL["controller_deletions"], [controller])
            kept = proof_kept(await countries_of(connection, controller))
            return OfController(
                await _goes(connection, controller), await _keeps(connection, controller), await _proofs(connection, controller, kept),
                None if deletion is None else _deletion(deletion),
            )  # fmt: skip

    async def stays(self, controller: str) -> dict[str, int]:
        """What stays on record after a controller is deleted: expired ``calls`` and ``requests``, the tags of ``recordings``,
        ``erasures``, released ``holds``, and ``accesses`` that name it (accesses to a call or a recording do not).
        """
        rows = await self._database.rows(SQL["controllers_stay"], controller, outside_pool=True)
        return {row["kind"]: row["held"] for row in rows}

    async def delete(
        self, controller: str, who: str, progress: Progress = lambda _gone: None, *, drop_proof: bool = False
    ) -> Deletion:
        """Delete what :class:`ccari.policy.leaving.Goes` lists, and bar policies from declaring the controller's campaigns again. Running
        it again completes an interrupted deletion, and its counts include both. ``progress`` is called with the number of rows deleted;
        ``drop_proof``: also delete consents whose proof the law still requires.

        Raises
        ------
        StillNeededError
            If something has to be over first, or comes up meanwhile: what was deleted by then is gone.
        """
        async with self._database.outside_pool() as connection:
            with translated():
                kept = timedelta() if drop_proof else proof_kept(await countries_of(connection, controller))
                await _refuse_needed(connection, controller, kept)
                try:
                    await _begin(connection, controller, who, drop_proof=drop_proof)
                    await _empty(connection, controller, who, kept, progress)
                except _NeededError:
                    await _refuse_needed(connection, controller, kept)
                    raise StoreError("something was in the way that is over by now: run this again") from None
                (row,) = await connection.fetch(SQL["controller_deletions"], [controller])
        return _deletion(row)


async def _begin(connection: Connection, controller: str, who: str, *, drop_proof: bool) -> None:
    """Once committed, no policy with campaigns of the controller can be applied, and no list for it entered. The deletion is in the
    record of accesses before any row goes. Raises _NeededError.
    """
    async with in_transaction(connection):
        await connection.execute(SQL["lock_controller"], controller)
        # policies are applied one at a time: either this sees the campaigns, or the transaction that applies them sees this deletion
        await connection.execute(SQL["lock_policies"])
        await connection.execute(SQL["by_indexes"])
        if await _campaigns(connection, controller) or await connection.fetchval(
            SQL["anything_keeps"], controller
        ):
            raise _NeededError
        if not await connection.fetchval(SQL["begin_deletion"], controller, who, drop_proof):
            return
        looked = Looked.CONTROLLER_DELETION_BEGUN
        added = await accesses.add(connection, looked, _account(controller, who, drop_proof=drop_proof))
    accesses.log(looked, who, added)


async def _empty(
    connection: Connection, controller: str, who: str, kept: timedelta, progress: Progress
) -> None:
    """Delete until nothing is left: a round skips rows that others are changing. Raises _NeededError."""
    gone, before = 0, -1
    while await _anything_goes(connection, controller) or not await _end(connection, controller, who):
        if gone == before:
            raise StoreError("what is left is being changed by others: run this again")
        before = gone
        for kind in Goes:
            last = b""
            while batch := await _batch(connection, controller, kind, last, kept):
                count, last = batch
                gone += count
                progress(gone)


async def _anything_goes(connection: Connection, controller: str) -> bool:
    """Runs without the locks, to make :func:`_end` quick: index entries of deleted rows remain until a scan marks them dead."""
    async with in_transaction(connection):
        await connection.execute(SQL["by_indexes"])
        return bool(await connection.fetchval(SQL["anything_goes"], controller))


async def _batch(
    connection: Connection, controller: str, kind: Goes, last: bytes, kept: timedelta
) -> tuple[int, bytes] | None:
    """Delete some rows of one kind, from the digest ``last`` onwards. Returns how many, and the digest to go on from; None if there was
    nothing. Raises _NeededError.
    """
    async with in_transaction(connection):
        if not await _goes_on(connection, controller):
            return None
        # another node may have registered a right that was pressed while the database was away
        if await connection.fetchval(SQL["anything_keeps"], controller):
            raise _NeededError
        law = [kept or None] if kind is Goes.CONSENTS else []
        row = await connection.fetchrow(SQL[f"delete_{kind}"], controller, last, BATCH, *law)
        if not row or not row["gone"]:
            return None
        # none can be entered since the deletion began; what the law keeps could not be brought back, so it is looked at again
        if law and row["proof"]:
            raise _NeededError
        await connection.execute(SQL["count_deleted"], controller, kind, row["gone"])
    return row["gone"], bytes(row["last"])


async def _end(connection: Connection, controller: str, who: str) -> bool:
    """Record the deletion as finished in the record of accesses, which is sealed. False if something is left."""
    async with in_transaction(connection):
        if not await _goes_on(connection, controller):
            return True
        if await connection.fetchval(SQL["anything_goes"], controller):
            return False
        (ended,) = await connection.fetch(SQL["end_deletion"], controller, who)
        counts = {kind: str(count) for kind, count in json.loads(ended["deleted"]).items()}
        account = {
            **_account(controller, who, drop_proof=ended["drop_proof"]),
            **counts,
            "begun_by": ended["begun_by"],
        }
        added = await accesses.add(connection, Looked.CONTROLLER_DELETED, account)
    accesses.log(Looked.CONTROLLER_DELETED, who, added)
    return True


def _account(controller: str, who: str, *, drop_proof: bool) -> dict[str, str]:
    return {"controller": controller, "drop_proof": "yes" if drop_proof else "no", "who": who, "why": ""}


async def _goes_on(connection: Connection, controller: str) -> bool:
    """False if another process has already finished this deletion. Takes locks until the transaction ends: no hold can be placed, no list
    of the controller's merged, and no other process delete it. So count nothing in this transaction.
    """
    # the lock order of the expiry of contacts and consents
    await connection.execute(SQL["alone_to_delete"])
    await connection.execute(SQL["lock_consents"], controller)
    await connection.execute(SQL["lock_contacts"], controller)
    await connection.execute(SQL["by_indexes"])
    return bool(await connection.fetchval(SQL["lock_deletion"], controller))


async def _refuse_needed(connection: Connection, controller: str, kept: timedelta) -> None:
    """Raise StillNeededError with what must end first. It counts many rows, so call it without locks."""
    proofs = await _proofs(connection, controller, kept)
    if first := leaving.obstacles(
        await _campaigns(connection, controller), await _keeps(connection, controller), proofs
    ):
        raise StillNeededError(controller, first)


async def _campaigns(connection: Connection, controller: str) -> list[str]:
    policy = await in_force(connection)
    return [each.id for each in policy.campaigns_of(controller)] if policy else []


async def _proofs(connection: Connection, controller: str, kept: timedelta) -> Proofs | None:
    """``kept``: how long the law of any country that the controller's calls were ever under requires the proof."""
    row = await connection.fetchrow(SQL["controllers_proofs"], controller, kept) if kept else None
    return Proofs(row["held"], row["until"].astimezone()) if row is not None and row["held"] else None


async def _goes(connection: Connection, controller: str) -> dict[Goes, Amount]:
    return {
        Goes(row["kind"]): _amount(row) for row in await connection.fetch(SQL["controllers_goes"], controller)
    }


async def _keeps(connection: Connection, controller: str) -> dict[Keeps, Amount]:
    return {
        Keeps(row["kind"]): _amount(row)
        for row in await connection.fetch(SQL["controllers_keep"], controller)
    }


def _amount(row: asyncpg.Record) -> Amount:
    return Amount(row["held"], row["oldest"])


def _deletion(row: asyncpg.Record) -> Deletion:
    deleted = {Goes(kind): count for kind, count in json.loads(row["deleted"]).items()}
    return Deletion(
        row["begun_by"], row["begun_at"], row["drop_proof"], deleted, row["finished_by"], row["finished_at"]
    )
