"""The centre's own webhooks: each event is sent to them as it happens, and again until it is accepted. Numbers are masked."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import orjson
import structlog

from ccari.errors import ConfigError
from ccari.forward.courier import LEASE, LONGEST_PAUSE, LOOK_SECONDS, PATIENCE, pause
from ccari.forward.webhook import NotTakenError, Webhook
from ccari.office.dossiers import clock
from ccari.office.rounds import again_and_again
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.policies import PolicyBook
from ccari.ports.webhooks import Delivery, DeliveryQueue, Endpoint

#: How often this node registers its webhooks, looks for requests that fall due, and removes old deliveries.
TERMS_SECONDS = 60.0
#: A webhook is dropped if no node of the fleet has had it in its settings for this long.
GONE_AFTER = timedelta(minutes=10)
#: How long a delivery stays on record.
KEPT = timedelta(days=30)
#: How many messages one webhook is sent in a row before a pause.
_ROUND = 100
#: How many messages a webhook may refuse in one round: it may accept others, or none at all.
_REFUSALS = 20

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint and its address. ``secret`` reads the secret that signs its messages; it raises ConfigError."""

    endpoint: Endpoint
    url: str
    secret: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of one attempt. ``fault``: "" if the message was accepted. ``refused``: the webhook refused this message, and may accept
    others.
    """

    delivery: Delivery
    status: int | None
    fault: str
    given_up: bool = False
    refused: bool = False


class Notifier:
    """Sends messages to the webhooks in the settings. Several may run on one database: each message is claimed by one."""

    def __init__(
        self, queue: DeliveryQueue, book: PolicyBook, targets: Sequence[Target], webhook: Webhook,
        chance: Callable[[], float] = random.random, meter: Meter = UNMETERED,
    ) -> None:  # fmt: skip
        self._meter = meter
        self._queue = queue
        self._book = book
        self._targets = targets
        self._webhook = webhook
        self._chance = chance
        #: Why each failing webhook did not accept its last message.
        self._faults: dict[str, str] = {}
        #: The webhooks that have accepted a message since they were last looked after.
        self._accepting: set[str] = set()

    async def run(self) -> None:
        """Send messages until cancelled, to each webhook at its own pace. Failures are logged and retried: no call depends on this."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._repeat(partial(self._look_after_queue, began), TERMS_SECONDS))
            for target in self._targets:
                loops.create_task(self._repeat(partial(self.tell, target), LOOK_SECONDS))

    async def _repeat(self, work: Callable[[], Awaitable[object]], seconds: float) -> None:
        await again_and_again(
            work, seconds, Work.WEBHOOKS, self._meter, again_seconds=LOOK_SECONDS,
            stalled=lambda error: _log.warning("webhooks_stalled", reason=str(error)),
            failed=lambda: _log.exception("webhooks_failed"),
        )  # fmt: skip

    async def _look_after_queue(self, began: float) -> None:
        await self.know()
        await self.look_at_terms()
        await self.give_up_late()
        # if the whole fleet was down, the other nodes need time to start before their webhooks can count as gone
        if asyncio.get_running_loop().time() - began >= GONE_AFTER.total_seconds():
            await self.drop_gone()

    async def know(self) -> None:
        """Make the database queue messages for these endpoints from now on. Raises StoreError."""
        for name, count in (await self._queue.know([target.endpoint for target in self._targets])).items():
            _log.warning("webhook_narrowed", webhook=name, messages=count)

    async def look_at_terms(self) -> None:
        """Queue messages about requests that are overdue or due soon, and remove old deliveries. Raises StoreError."""
        await self._book.reload()
        await self._queue.look_at_terms(clock(self._book.policy))
        await self._queue.forget(KEPT)

    async def give_up_late(self) -> None:
        """Give up messages that are too old, for webhooks that currently accept nothing. Raises StoreError.

        If messages come faster than they can be tried, some are never tried: they must not wait for ever. But a webhook that accepts its
        messages gets those that waited while no service ran, however old they are.
        """
        accepting, self._accepting = self._accepting, set()
        for name, fault in list(self._faults.items()):
            if name in accepting:
                # it refuses some messages
                continue
            if count := await self._queue.give_up_late(name, fault, PATIENCE):
                _log.warning("webhook_given_up", webhook=name, messages=count, reason=fault)

    async def drop_gone(self) -> None:
        """Drop webhooks that no node has in its settings any more. Raises StoreError."""
        for name, count in (await self._queue.drop_unseen(GONE_AFTER)).items():
            _log.warning("webhook_dropped", webhook=name, messages=count)

    async def tell(self, target: Target) -> list[Sent]:
        """One round: send one webhook what is due, until it fails or has refused too many messages. Returns the result of each attempt.

        Raises
        ------
        StoreError
            If the queue cannot be read, or a delivery cannot be recorded: the message is then sent again.
        """
        tries: list[Sent] = []
        while len(tries) < _ROUND and sum(sent.refused for sent in tries) < _REFUSALS:
            delivery = await self._queue.claim(target.endpoint, LEASE)
            if delivery is None:
                break
            sent = await self._try(target, delivery)
            tries.append(sent)
            if not sent.fault:
                self._faults.pop(target.endpoint.name, None)
                self._accepting.add(target.endpoint.name)
                continue
            self._faults[target.endpoint.name] = sent.fault
            if not sent.refused:
                # the next ones would most likely fail too; they stay due
                break
        return tries

    async def _try(self, target: Target, delivery: Delivery) -> Sent:
        again = pause(delivery.tries, self._chance())
        try:
            status = await self._webhook.post(
                target.url, target.secret(), str(delivery.message), body(delivery)
            )
        except NotTakenError as error:
            again = max(again, min(error.retry_after, LONGEST_PAUSE))
            return await self._failed(delivery, str(error), error.status, again, refused=error.of_the_message)
        except ConfigError as error:
            return await self._failed(delivery, str(error), None, again)
        await self._queue.delivered(delivery)
        _log.info(
            "webhook_delivered", webhook=delivery.endpoint, told=delivery.event.value, delivery=delivery.id,
            tries=delivery.tries, status=status,
        )  # fmt: skip
        return Sent(delivery, status, "")

    async def _failed(
        self, delivery: Delivery, fault: str, status: int | None, again: timedelta, *, refused: bool = False
    ) -> Sent:
        given_up = await self._queue.failed(delivery, fault, again, PATIENCE)
        _log.warning(
            "webhook_not_delivered", webhook=delivery.endpoint, told=delivery.event.value, delivery=delivery.id,
            tries=delivery.tries, status=status, reason=fault, given_up=given_up,
        )  # fmt: skip
        return Sent(delivery, status, fault, given_up, refused)


def body(delivery: Delivery) -> bytes:
    """The message, as Standard Webhooks 1.0.0 recommends it: ``type``, ``timestamp`` and ``data``."""
    fields = {"type": delivery.event.value, "timestamp": delivery.at, "data": dict(delivery.data)}
    return orjson.dumps(fields, default=str, option=orjson.OPT_UTC_Z)
