"""Webhooks of the centre's own: what happens is told to them as it happens, for as long as it takes, and no number in full."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

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
#: How often it is said which webhooks there are, looked whose day has come, and what was delivered is forgotten.
TERMS_SECONDS = 60.0
#: A webhook that no process of the fleet has had in its settings for so long is there no more.
GONE_AFTER = timedelta(minutes=10)
#: For so long it stays on record that something was delivered.
KEPT = timedelta(days=30)
#: To one webhook in a row, then it is given a pause.
_ROUND = 100
#: Messages that a webhook refuses in a row of tries: others may be to its liking, or none.
_REFUSALS = 20

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Target:
    """Where an endpoint is. ``secret`` reads what its messages are signed with; raises ConfigError."""

    endpoint: Endpoint
    url: str
    secret: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Sent:
    """How one try went; ``fault`` is empty where it was taken, ``refused``: another message may be taken all the same."""

    delivery: Delivery
    status: int | None
    fault: str
    given_up: bool = False
    refused: bool = False


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
        #: of each webhook that did not take what it was told last: why
        self._faults: dict[str, str] = {}

    async def run(self) -> None:
        """Tell until cancelled, each webhook at its own pace. What fails is logged, and tried again: no call depends on it."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._keep(partial(self._mind, began), TERMS_SECONDS))
            for each in self._targets:
                loops.create_task(self._keep(partial(self.tell, each), LOOK_SECONDS))

    async def _keep(self, work: Callable[[], Awaitable[object]], seconds: float) -> None:
        stalled = ""
        while True:
            pause_seconds = LOOK_SECONDS
            try:
                await work()
                pause_seconds, stalled = seconds, ""
                self._meter.done(Work.WEBHOOKS)
            except CcariError as error:
                self._meter.failed(Work.WEBHOOKS)
                if str(error) != stalled:
                    stalled = str(error)
                    _log.warning("webhooks_stalled", reason=stalled)
            except Exception:  # noqa: BLE001 - logged
                self._meter.failed(Work.WEBHOOKS)
                _log.exception("webhooks_failed")
            await asyncio.sleep(pause_seconds)

    async def _mind(self, began: float) -> None:
        await self.know()
        await self.look_at_terms()
        await self.give_up_late()
        # after a night in which nobody ran, the others of the fleet have to be given the time to come
        if asyncio.get_running_loop().time() - began >= GONE_AFTER.total_seconds():
            await self.drop_gone()

    async def know(self) -> None:
        """Have the database write down what these endpoints are to be told, from now on, and nothing else. Raises StoreError."""
        for name, count in (await self._queue.know([each.endpoint for each in self._targets])).items():
            _log.warning("webhook_narrowed", webhook=name, messages=count)

    async def look_at_terms(self) -> None:
        """Have it told whose day has come, or comes soon. Raises StoreError."""
        await self._book.reload()
        await self._queue.look_at_terms(clock(self._book.policy), SOON_DAYS)
        await self._queue.forget(KEPT)

    async def give_up_late(self) -> None:
        """Have given up what is too old, of webhooks that take nothing. Raises StoreError.

        Of what comes faster than it can be tried, some is never tried: it must not wait for ever. But where a webhook
        takes what it is told, what waited while no service ran is told, however old.
        """
        for name, fault in list(self._faults.items()):
            if count := await self._queue.give_up_late(name, fault, PATIENCE):
                _log.warning("webhook_given_up", webhook=name, messages=count, reason=fault)

    async def drop_gone(self) -> None:
        """Have nothing more written down for webhooks that are in nobody's settings any more. Raises StoreError."""
        for name, count in (await self._queue.drop_unseen(GONE_AFTER)).items():
            _log.warning("webhook_dropped", webhook=name, messages=count)

    async def tell(self, target: Target) -> list[Sent]:
        """Tell one webhook what is due, until it is at fault, or refuses one message after another.

        Raises
        ------
        StoreError
            If the queue cannot be read, or what was done not be written down: it is then done again.
        """
        went: list[Sent] = []
        while len(went) < _ROUND and sum(each.refused for each in went) < _REFUSALS:
            delivery = await self._queue.claim(target.endpoint, LEASE)
            if delivery is None:
                break
            sent = await self._try(target, delivery)
            went.append(sent)
            if not sent.fault:
                self._faults.pop(target.endpoint.name, None)
                continue
            self._faults[target.endpoint.name] = sent.fault
            if not sent.refused:
                # what comes after it would most likely fail too, and is due still
                break
        return went

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
    told = {"type": delivery.event.value, "timestamp": delivery.at, "data": dict(delivery.data)}
    return orjson.dumps(told, default=str, option=orjson.OPT_UTC_Z)
