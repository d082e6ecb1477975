"""The courier: takes what is due from the queue, tells the controller, and writes down how that went."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import starmap
from pathlib import Path

import structlog

from ccari.errors import CcariError, ConfigError, ForwardError
from ccari.forward.folder import drop
from ccari.forward.secret import WebhookSecrets
from ccari.forward.webhook import NotTakenError, Webhook
from ccari.policy.parties import Forwarding
from ccari.ports.forwarding import Forward, ForwardQueue, Way
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.policies import PolicyBook

#: How soon a change is noticed; "at once" for an answer that may take a month.
LOOK_SECONDS = 2.0
#: Longer than a try can take, so that nobody else begins another; after a crash the change waits for it.
LEASE = timedelta(seconds=90)
FOLDER_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=6)
PATIENCE = timedelta(days=3)
#: More often than this it is the longest anyway.
_DOUBLED = 16
#: Of one controller in a row, then the policy and the others are looked at again.
_ROUND = 50
#: Controllers that are told at the same time.
_LANES = 4

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """How one try went; ``status`` is the webhook's, if it answered. ``fault`` is empty where all is delivered."""

    reference: str
    seq: int
    controller: str
    tries: int
    ways: tuple[Way, ...]
    status: int | None = None
    fault: str = ""
    given_up: bool = False


def pause(tries: int, chance: float) -> timedelta:
    """How long to wait after the last of ``tries``: doubled each time, less up to a half by ``chance`` (0 to 1).

    The jitter keeps what failed together from coming back together.
    """
    longest = min(FIRST_PAUSE * (1 << min(tries, _DOUBLED)), LONGEST_PAUSE)
    return longest * (1 - chance / 2)


class Courier:
    def __init__(
        self, queue: ForwardQueue, book: PolicyBook, secrets: WebhookSecrets, webhook: Webhook,
        chance: Callable[[], float] = random.random, meter: Meter = UNMETERED,
    ) -> None:  # fmt: skip
        self._meter = meter
        self._queue = queue
        self._book = book
        self._secrets = secrets
        self._webhook = webhook
        self._chance = chance

    async def run(self) -> None:
        """Work the queue until cancelled. What fails is logged, and tried again: no call depends on it."""
        stalled = ""
        while True:
            try:
                await self.deliver()
                stalled = ""
                self._meter.done(Work.FORWARDING)
            except CcariError as error:
                self._meter.failed(Work.FORWARDING)
                if str(error) != stalled:
                    stalled = str(error)
                    _log.warning("forwarding_stalled", reason=stalled)
            except Exception:  # noqa: BLE001 - logged
                self._meter.failed(Work.FORWARDING)
                _log.exception("forwarding_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def deliver(self) -> list[Told]:
        """Tell each controller what is due, until one does not take it; gives how each try went.

        Raises
        ------
        StoreError
            If the queue cannot be read, or what was done not be written down: it is then done again.
        """
        due, revision = await self._queue.outlook()
        changed = revision != self._book.revision
        if changed:
            await self._book.reload()
        policy = self._book.policy
        if policy is None or not (due or changed):
            return []
        told_to = {each.id: each.forward for each in policy.controllers if each.forward is not None}
        await self._queue.address(told_to)
        lanes = asyncio.Semaphore(_LANES)

        async def lane(controller: str, forwarding: Forwarding) -> list[Told]:
            async with lanes:
                return [told async for told in self._tell(controller, forwarding)]

        went = await asyncio.gather(*starmap(lane, told_to.items()), return_exceptions=True)
        for each in went:
            if isinstance(each, BaseException):
                raise each
        return [told for each in went if not isinstance(each, BaseException) for told in each]

    async def _tell(self, controller: str, forwarding: Forwarding) -> AsyncIterator[Told]:
        for _ in range(_ROUND):
            forward = await self._queue.claim(controller, LEASE)
            if forward is None:
                return
            told = await self._try(forward, forwarding)
            yield told
            if told.fault:
                # what comes after it would most likely fail too, and is due still
                return

    async def _try(self, forward: Forward, forwarding: Forwarding) -> Told:
        ways: list[Way] = []
        faults: list[str] = []
        status, again = None, pause(forward.tries, self._chance())
        if forwarding.url is not None and Way.WEBHOOK not in forward.done:
            try:
                secret = self._secrets.read(forward.controller)
                status = await self._webhook.send(str(forwarding.url), secret, forward)
                ways.append(Way.WEBHOOK)
            except NotTakenError as error:
                status, again = error.status, max(again, min(error.retry_after, LONGEST_PAUSE))
                faults.append(f"webhook: {error}")
            except ConfigError as error:
                faults.append(f"webhook: {error}")
        if forwarding.folder is not None and Way.FOLDER not in forward.done:
            try:
                async with asyncio.timeout(FOLDER_SECONDS):
                    await asyncio.to_thread(drop, Path(forwarding.folder), forward)
                ways.append(Way.FOLDER)
            except ForwardError as error:
                faults.append(f"folder: {error}")
            except TimeoutError:
                faults.append(
                    f"folder: {forwarding.folder} did not take the file within {FOLDER_SECONDS:g} s"
                )
        return await self._settle(forward, tuple(ways), status, "; ".join(faults), again)

    async def _settle(
        self, forward: Forward, ways: tuple[Way, ...], status: int | None, fault: str, again: timedelta
    ) -> Told:
        known = {"reference": forward.reference, "sequence": forward.seq, "controller": forward.controller,
                 "tries": forward.tries, "status": status}  # fmt: skip
        given_up = False
        if fault:
            given_up = await self._queue.failed(forward, ways, fault, again, PATIENCE)
            _log.warning("request_not_forwarded", **known, reason=fault, given_up=given_up)
        else:
            await self._queue.delivered(forward, ways)
            _log.info("request_forwarded", **known)
        return Told(
            forward.reference, forward.seq, forward.controller, forward.tries, ways, status, fault, given_up
        )
