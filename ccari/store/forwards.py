"""The queue of changes of rights requests to be forwarded to controllers."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from ccari.policy.rights import RequestState
from ccari.ports.forwarding import Forward, ForwardWay
from ccari.store import journals
from ccari.store.database import Database
from ccari.store.queries import SQL


class Forwards:
    """:class:`ccari.ports.forwarding.ForwardQueue` on PostgreSQL.

    Every change is queued, whatever the policy says, since the policy may change before the row is sent. Rows of controllers that the
    policy does not forward to are marked as not needed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due_and_revision(self) -> tuple[bool, int | None]:
        (row,) = await self._database.rows(SQL["forwards_outlook"])
        return row["due"], row["revision"]

    async def address(self, controllers: Iterable[str]) -> None:
        forwarded_to = list(controllers)
        async with self._database.transaction() as connection:
            await connection.execute(SQL["forwards_not_needed"], forwarded_to)
            await connection.execute(SQL["forwards_needed_after_all"], forwarded_to)

    async def claim(self, controller: str, lease: timedelta) -> Forward | None:
        claimed = await self._database.rows(SQL["claim_forward"], controller, lease)
        if not claimed:
            return None
        row = claimed[0]
        done = frozenset(way for way in ForwardWay if row.pop(way))
        return Forward(done=done, **row)

    async def delivered(self, forward: Forward, ways: Iterable[ForwardWay]) -> None:
        await self._database.execute(SQL["forward_delivered"], *_this_try(forward), list(ways))

    async def failed(
        self, forward: Forward, ways: Iterable[ForwardWay], fault: str, again: timedelta, patience: timedelta
    ) -> bool:
        return bool(
            await self._database.value(
                SQL["forward_failed"], *_this_try(forward), list(ways), fault, again, patience
            )
        )

    async def hasten(self, controller: str, by: timedelta) -> None:
        async with self._database.outside_pool() as connection:
            await connection.execute(SQL["hasten_forwards"], controller, by)

    async def of(self, reference: str, controllers: Iterable[str]) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["forwards_of_request"], reference, list(controllers))

    async def retry(self, reference: str) -> list[int]:
        """Queue again, as if never tried, those changes of a request that were given up or that wait for minutes or hours. Returns their
        sequence numbers.
        """
        return sorted(row["seq"] for row in await self._database.rows(SQL["retry_forwards"], reference))

    async def retry_all(self, controller: str) -> int:
        """Like :meth:`retry`, for all requests of a controller, as after an outage. Returns how many. It leaves given up what has lost the
        number of a closed request: the controller could not tell whose it is.
        """
        return len(
            await self._database.rows(SQL["retry_forwards_to"], controller, _closed(), outside_pool=True)
        )

    async def told(self, reference: str, who: str, how: str) -> list[int]:
        """Settle the given-up changes of a request: someone has told the controller in another way, which the request's journal now
        records. Returns their sequence numbers; empty if nothing was given up.
        """
        async with self._database.transaction() as connection:
            request = await connection.fetchrow(SQL["lock_request"], reference)
            settled = await connection.fetch(SQL["told_otherwise"], reference)
            if request is not None and settled:
                told = journals.RequestEntry(
                    request["state"], request["level"], request["due"], who, f"its controller was told in another way: {how}"
                )  # fmt: skip
                await journals.append_to_request(connection, reference, told)
        return sorted(row["seq"] for row in settled)

    async def without_number(self, reference: str) -> list[int]:
        """The sequence numbers of given-up changes of a closed request whose telephone number is erased. They cannot be sent again: the
        controller could not tell whose they are.
        """
        return [
            row["seq"]
            for row in await self._database.rows(SQL["forwards_without_number"], reference, _closed())
        ]

    async def list(self, controllers: Iterable[str], limit: int) -> list[dict[str, Any]]:
        """The queue: given-up changes first, then waiting ones, then delivered ones."""
        # it sorts the whole history of the queue
        return await self._database.rows(SQL["list_forwards"], list(controllers), limit, outside_pool=True)


def _this_try(forward: Forward) -> tuple[str, int, int]:
    return forward.reference, forward.seq, forward.tries


def _closed() -> list[RequestState]:
    return [state for state in RequestState if not state.is_open]
