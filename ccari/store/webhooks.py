"""The outbox of webhooks: the database writes each message in the same transaction as the change that it reports."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from ccari.policy.numbers import mask
from ccari.policy.rights import Level
from ccari.ports.requests import OVERDUE, SOON_DAYS, Clock
from ccari.ports.webhooks import Delivery, Endpoint, Told
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL


class Webhooks:
    """:class:`ccari.ports.webhooks.DeliveryQueue` and ``DeliveryLog`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def know(self, endpoints: Sequence[Endpoint]) -> Mapping[str, int]:
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_webhooks"])
            for each in endpoints:
                await connection.execute(
                    SQL["know_webhook"], each.name, list(each.events), _controllers(each)
                )
        if not endpoints:
            return {}
        names = [each.name for each in endpoints]
        # finding a few rows may mean reading millions
        async with self._database.outside_pool() as connection:
            await _batches(connection, "deliveries_of_a_fast_clock", names)
            given_up = await _batches(connection, "give_up_narrowed", names)
        return Counter(row["endpoint"] for row in given_up)

    async def drop_unseen(self, for_so_long: timedelta) -> Mapping[str, int]:
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_webhooks"])
            gone = await connection.fetch(SQL["drop_webhooks"], for_so_long)
        # from now on no messages are written for them, however long it takes to give up the waiting ones
        given_up = {row["name"]: 0 for row in gone}
        for row in await self._database.rows(SQL["webhooks_of_nobody"]):
            name = row["endpoint"]
            while count := await self._give_up(name):
                given_up[name] = given_up.get(name, 0) + count
        return given_up

    async def look_at_terms(self, clock: Clock) -> None:
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["turn_to_look_at_terms"]):
                return
            for event, days, over in (
                (Told.REQUEST_DUE_SOON, SOON_DAYS, False), (Told.REQUEST_OVERDUE, OVERDUE, True),
            ):  # fmt: skip
                await connection.execute(SQL["tell_of_terms"], *clock.days, event, days, over)

    async def claim(self, endpoint: Endpoint, lease: timedelta) -> Delivery | None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                SQL["claim_delivery"], endpoint.name, lease, list(endpoint.events), _controllers(endpoint)
            )
            if row is None:
                return None
            event = Told(row["event"])
            data = await _data(connection, event, row["subject"])
        return Delivery(row["id"], row["message"], row["endpoint"], event, row["at"], row["tries"], data)

    async def delivered(self, delivery: Delivery) -> None:
        await self._database.execute(SQL["delivery_made"], delivery.id, delivery.tries)

    async def failed(self, delivery: Delivery, fault: str, again: timedelta, patience: timedelta) -> bool:
        return bool(
            await self._database.value(
                SQL["delivery_failed"], delivery.id, delivery.tries, fault, again, patience
            )
        )

    async def give_up_late(self, endpoint: str, fault: str, patience: timedelta) -> int:
        return len(await self._database.rows(SQL["give_up_late_deliveries"], endpoint, fault, patience))

    async def forget(self, older_than: timedelta) -> None:
        while await self._database.rows(SQL["forget_deliveries"], older_than):
            pass

    async def page(
        self, limit: int, *, state: str | None = None, endpoint: str | None = None,
        controllers: Iterable[str] | None = None, after: int | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        whose = None if controllers is None else list(controllers)
        # finding a rare state may mean reading millions of rows
        return await self._database.rows(
            SQL["list_deliveries"], state, endpoint, whose, limit, after, outside_pool=True
        )

    async def retry(
        self,
        delivery: int | None = None,
        *,
        endpoint: str | None = None,
        controllers: Iterable[str] | None = None,
    ) -> list[int]:
        whose = None if controllers is None else list(controllers)
        return _ids(await self._batches("retry_deliveries", delivery, endpoint, whose))

    async def discard(self, delivery: int | None = None, *, endpoint: str | None = None) -> list[int]:
        """Mark given-up messages, one or all, as settled. Returns their ids. If it fails midway, messages already marked stay so."""
        return _ids(await self._batches("discard_deliveries", delivery, endpoint))

    async def _give_up(self, name: str) -> int:
        """Give up a batch of messages for a webhook, if no webhook of that name exists. Returns how many."""
        async with self._database.transaction() as connection:
            # no node can register the webhook meanwhile
            await connection.execute(SQL["lock_webhooks"])
            return len(await connection.fetch(SQL["give_up_webhook"], name))

    async def _batches(self, query: str, *arguments: Any) -> list[Mapping[str, Any]]:
        """Like :func:`_batches`."""
        # finding a few rows may mean reading millions
        async with self._database.outside_pool() as connection:
            return await _batches(connection, query, *arguments)


async def _batches(connection: Connection, query: str, *arguments: Any) -> list[Mapping[str, Any]]:
    """Repeat a query that changes a limited number of rows until it changes none. Returns all rows that it returned."""
    changed: list[Mapping[str, Any]] = []
    while rows := await connection.fetch(SQL[query], *arguments):
        changed += map(dict, rows)
    return changed


def _ids(rows: Iterable[Mapping[str, Any]]) -> list[int]:
    return sorted(row["id"] for row in rows)


def _controllers(endpoint: Endpoint) -> list[str] | None:
    return None if endpoint.controllers is None else list(endpoint.controllers)


async def _data(connection: Connection, event: Told, subject: str) -> Mapping[str, Any]:
    """The message's data on its ``subject``, as of now: numbers masked, levels by name."""
    match event:
        case Told.CALL_ENDED:
            row = await connection.fetchrow(SQL["call_told"], UUID(subject))
        case Told.RECORDING_STORED:
            row = await connection.fetchrow(SQL["recording_told"], UUID(subject))
        case _:
            row = await connection.fetchrow(SQL["request_told"], subject)
    data = dict(row or {})
    if "level" in data:
        data |= {
            "level": Level(data["level"]).name,
            "number": mask(data["number"]) if data["number"] else None,
        }
    return data
