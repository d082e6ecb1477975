"""Webhooks of the centre's own: what happens is told to them as it happens, for as long as it takes, and no number in full."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson
import structlog

from ccari.errors import CcariError, ConfigError
from ccari.forward.courier import LEASE, LONGEST_PAUSE, LOOK_SECONDS, PATIENCE, pause
from ccari.forward.webhook import NotTakenError, Webhook
from ccari.gating.dossiers import clock
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.policies import PolicyBook
from ccari.ports.webhooks import Delivery, DeliveryQueue, Endpoint

#: A request is told of as due soon so many days before its last one, as lists show it in another colour.
SOON_DAYS = 7
#: How often it is looked whose day has come, and what was delivered is forgotten.
TERMS_SECONDS = 60.0
#: For so long it stays on record that something was delivered.
KEPT = timedelta(days=30)
#: Of one webhook in a row, then the others are looked at again.
_ROUND = 100

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Target:
    """Where an endpoint is. ``secret`` reads what its messages are signed with; raises ConfigError."""

    endpoint: Endpoint
    url: str
    secret: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Sent:
    """How one try went; ``fault`` is empty where it was taken."""

    delivery: Delivery
    status: int | None
    fault: str
    given_up: bool = False


class Notifier:
    """Several may run on one database: each message is claimed by one."""

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

    async def run(self) -> None:
        """Tell until cancelled. What fails is logged, and tried again: no call depends on it."""
        known, looked, stalled, loop = False, 0.0, "", asyncio.get_running_loop()
        while True:
            try:
                if not known:
                    await self.know()
                    known = True
                if not self._targets:
                    return
                await self.deliver()
                if loop.time() - looked >= TERMS_SECONDS or not looked:
                    await self.look_at_terms()
                    looked = loop.time()
                stalled = ""
                self._meter.done(Work.WEBHOOKS)
            except CcariError as error:
                self._meter.failed(Work.WEBHOOKS)
                if str(error) != stalled:
                    stalled = str(error)
                    _log.warning("webhooks_stalled", reason=stalled)
            except Exception:  # noqa: BLE001 - logged
                self._meter.failed(Work.WEBHOOKS)
                _log.exception("webhooks_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def know(self) -> None:
        """Have the database write down what these endpoints are to be told, from now on. Raises StoreError."""
        await self._queue.know([each.endpoint for each in self._targets])

    async def look_at_terms(self) -> None:
        """Have it told whose day has come, or comes soon. Raises StoreError."""
        await self._book.reload()
        await self._queue.look_at_terms(clock(self._book.policy), SOON_DAYS)
        await self._queue.forget(KEPT)

    async def deliver(self) -> list[Sent]:
        """Tell each endpoint what is due, until one does not take it; gives how each try went.

        Raises
        ------
        StoreError
            If the queue cannot be read, or what was done not be written down: it is then done again.
        """
        went = await asyncio.gather(*(self._all_of(each) for each in self._targets), return_exceptions=True)
        for each in went:
            if isinstance(each, BaseException):
                raise each
        return [sent for each in went if not isinstance(each, BaseException) for sent in each]

    async def _all_of(self, target: Target) -> list[Sent]:
        return [sent async for sent in self._tell(target)]

    async def _tell(self, target: Target) -> AsyncIterator[Sent]:
        for _ in range(_ROUND):
            delivery = await self._queue.claim(target.endpoint.name, LEASE)
            if delivery is None:
                return
            sent = await self._try(target, delivery)
            yield sent
            if sent.fault:
                # what comes after it would most likely fail too, and is due still
                return

    async def _try(self, target: Target, delivery: Delivery) -> Sent:
        again = pause(delivery.tries, self._chance())
        try:
            status = await self._webhook.post(
                target.url, target.secret(), str(delivery.message), body(delivery)
            )
        except NotTakenError as error:
            again = max(again, min(error.retry_after, LONGEST_PAUSE))
            return await self._failed(delivery, str(error), error.status, again)
        except ConfigError as error:
            return await self._failed(delivery, str(error), None, again)
        await self._queue.delivered(delivery)
        _log.info(
            "webhook_delivered", webhook=delivery.endpoint, told=delivery.event.value, delivery=delivery.id,
            tries=delivery.tries, status=status,
        )  # fmt: skip
        return Sent(delivery, status, "")

    async def _failed(self, delivery: Delivery, fault: str, status: int | None, again: timedelta) -> Sent:
        given_up = await self._queue.failed(delivery, fault, again, PATIENCE)
        _log.warning(
            "webhook_not_delivered", webhook=delivery.endpoint, told=delivery.event.value, delivery=delivery.id,
            tries=delivery.tries, status=status, reason=fault, given_up=given_up,
        )  # fmt: skip
        return Sent(delivery, status, fault, given_up)


def body(delivery: Delivery) -> bytes:
    """The message, as Standard Webhooks 1.0.0 recommends it: ``type``, ``timestamp`` and ``data``."""
    told = {"type": delivery.event.value, "timestamp": delivery.at, "data": dict(delivery.data)}
    return orjson.dumps(told, default=str, option=orjson.OPT_UTC_Z)
