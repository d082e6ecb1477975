"""The courier takes due changes from the queue, notifies the controller, and records the result."""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import starmap
from pathlib import Path

import structlog

from ccari.errors import CcariError, ConfigError, ForwardError
from ccari.forward.folder import Folders
from ccari.forward.secret import WebhookSecrets
from ccari.forward.webhook import NotTakenError, Webhook
from ccari.policy.parties import Forwarding
from ccari.ports.forwarding import Forward, ForwardQueue, ForwardWay
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.policies import PolicyBook

#: How soon a change is noticed: soon enough for a request that may be answered within a month.
LOOK_SECONDS = 2.0
#: Longer than one attempt can take, so that no other process starts one meanwhile. After a crash, the change waits until the lease ends.
LEASE = timedelta(seconds=90)
#: How long the controller's folder may take for one file.
FOLDER_SECONDS = 30.0
#: Between attempts: see :func:`pause`. What would wait for an hour longer was tried by a fast clock, and is due (forwards.sql, webhooks.sql).
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=6)
#: How long a message is tried, counting from its first attempt. Then it is given up.
PATIENCE = timedelta(days=3)
#: How many times a pause is doubled at most; by then it is the longest anyway.
_DOUBLED = 16
#: How many changes one controller is sent in a row, and for how long. Then the lane goes to another controller, and the policy is read
#: again.
_ROUND = 50
_ROUND_SECONDS = 5.0
#: How many messages may be refused in one round: others may be accepted, or none at all.
_REFUSALS = 5
#: A controller that has taken nothing for so long was away. By then pauses are minutes, and soon hours: once it is back, all that waits
#: for it is due.
AWAY_SECONDS = 600.0
#: How long after that all that waits is not made due again: a server that breaks at hundreds of messages, and takes the others, seems away
#: while those are tried.
_DUE_AGAIN_SECONDS = 3600.0
#: How long a controller whose webhook asks to be left alone (Retry-After) gets no other message either, at most: it may be back sooner.
LEFT_ALONE_SECONDS = 600.0
#: How many controllers are served in parallel.
_LANES = 4

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """The result of one attempt. ``status``: the webhook's, if it answered. ``fault``: "" if everything was delivered. ``refused``: only
    this message is at fault, and others may be delivered.
    """

    reference: str
    seq: int
    controller: str
    tries: int
    ways: tuple[ForwardWay, ...]
    status: int | None = None
    fault: str = ""
    given_up: bool = False
    refused: bool = False


def pause(tries: int, chance: float) -> timedelta:
    """How long to wait after that many ``tries``: twice as long each time, less up to a half by ``chance`` (0 to 1).

    The jitter keeps messages that failed together from being retried together.
    """
    longest = min(FIRST_PAUSE * (1 << min(tries, _DOUBLED)), LONGEST_PAUSE)
    return longest * (1 - chance / 2)


class Courier:
    """Notifies controllers of changes of their requests. Several may run on one database: each change is claimed by one."""

    def __init__(
        self, queue: ForwardQueue, book: PolicyBook, secrets: WebhookSecrets, webhook: Webhook,
        chance: Callable[[], float] = random.random, meter: Meter = UNMETERED,
    ) -> None:  # fmt: skip
        self._meter = meter
        self._queue = queue
        self._book = book
        self._secrets = secrets
        self._webhook = webhook
        self._folders = Folders()
        self._chance = chance
        self._lanes = asyncio.Semaphore(_LANES)
        #: The last logged failure, to log each failure only once.
        self._stalled = ""
        #: Since when each controller that is away has taken nothing, by the loop's clock.
        self._away: dict[str, float] = {}
        #: When all that waited for each controller was last made due, by the same clock.
        self._all_due: dict[str, float] = {}
        #: Until when each controller that asked for it is left alone, by the same clock.
        self._left_alone: dict[str, float] = {}
        #: The policy revision that last told the queue which controllers to forward to.
        self._addressed_by: int | None = None

    async def run(self) -> None:
        """Work the queue until cancelled. Failures are logged and retried: no call depends on this.

        Controllers do not wait for one another's rounds, only for a free lane.
        """
        busy: set[str] = set()

        async def lane(controller: str, forwarding: Forwarding) -> None:
            with self._failures_logged():
                await self._tell(controller, forwarding)
            busy.discard(controller)

        async with asyncio.TaskGroup() as lanes:
            while True:
                with self._failures_logged():
                    for controller, forwarding in (await self._addressed()).items():
                        if controller not in busy:
                            busy.add(controller)
                            lanes.create_task(lane(controller, forwarding))
                await asyncio.sleep(LOOK_SECONDS)

    @contextlib.contextmanager
    def _failures_logged(self) -> Iterator[None]:
        try:
            yield
            self._stalled = ""
            self._meter.done(Work.FORWARDING)
        except CcariError as error:
            self._meter.failed(Work.FORWARDING)
            if str(error) != self._stalled:
                self._stalled = str(error)
                _log.warning("forwarding_stalled", reason=self._stalled)
        except Exception:  # noqa: BLE001 - logged
            self._meter.failed(Work.FORWARDING)
            _log.exception("forwarding_failed")

    async def deliver(self) -> list[Told]:
        """Send each controller what is due, until something is not delivered. Returns the result of each attempt.

        Raises
        ------
        StoreError
            If the queue cannot be read, or a delivery cannot be recorded: it is then delivered again.
        """
        controllers = await self._addressed()
        rounds = await asyncio.gather(*starmap(self._tell, controllers.items()), return_exceptions=True)
        for result in rounds:
            if isinstance(result, BaseException):
                raise result
        return [told for result in rounds if not isinstance(result, BaseException) for told in result]

    async def _addressed(self) -> Mapping[str, Forwarding]:
        """The controllers to forward to, by the policy in force; none if nothing is due."""
        due, newest = await self._queue.due_and_revision()
        if newest != self._book.revision:
            await self._book.reload()
        # read together: other tasks reload the book too
        policy, revision = self._book.policy, self._book.revision
        if policy is None or not (due or self._addressed_by != revision):
            return {}
        controllers = {each.id: each.forward for each in policy.controllers if each.forward is not None}
        await self._queue.address(controllers)
        # only after success: after a failure it must be repeated
        self._addressed_by = revision
        return controllers

    async def _tell(self, controller: str, forwarding: Forwarding) -> list[Told]:
        """One round: send a controller what is due, until it is away, has refused too many messages, or the round is over."""
        tries: list[Told] = []
        now = asyncio.get_running_loop().time
        if now() < self._left_alone.get(controller, 0.0):
            return tries
        async with self._lanes:
            ends = now() + _ROUND_SECONDS
            while len(tries) < _ROUND and sum(each.refused for each in tries) < _REFUSALS and now() < ends:
                forward = await self._queue.claim(controller, LEASE)
                if forward is None:
                    break
                tries.append(told := await self._try(forward, forwarding))
                if told.refused:
                    continue
                if told.fault:
                    # the next ones would most likely fail too; they stay due
                    self._away.setdefault(controller, now())
                    break
                if self._is_back(controller, now()):
                    await self._queue.hasten(controller, LONGEST_PAUSE)
                    self._all_due[controller] = now()
                self._away.pop(controller, None)
        return tries

    def _is_back(self, controller: str, now: float) -> bool:
        """Whether a controller that has just taken a message was away."""
        was_away = now - self._away.get(controller, now) > AWAY_SECONDS
        return was_away and now - self._all_due.get(controller, -math.inf) > _DUE_AGAIN_SECONDS

    async def _try(self, forward: Forward, forwarding: Forwarding) -> Told:
        ways: list[ForwardWay] = []
        faults: dict[ForwardWay, CcariError] = {}
        status, again = None, pause(forward.tries, self._chance())
        if forwarding.url is not None and ForwardWay.WEBHOOK not in forward.done:
            try:
                secret = self._secrets.read(forward.controller)
                status = await self._webhook.send(str(forwarding.url), secret, forward)
                ways.append(ForwardWay.WEBHOOK)
            except NotTakenError as error:
                status, again = error.status, max(again, min(error.retry_after, LONGEST_PAUSE))
                faults[ForwardWay.WEBHOOK] = error
                if not error.of_the_message:
                    alone = min(error.retry_after.total_seconds(), LEFT_ALONE_SECONDS)
                    self._left_alone[forward.controller] = asyncio.get_running_loop().time() + alone
            except ConfigError as error:
                faults[ForwardWay.WEBHOOK] = error
        if forwarding.folder is not None and ForwardWay.FOLDER not in forward.done:
            try:
                async with asyncio.timeout(FOLDER_SECONDS):
                    await self._folders.drop(Path(forwarding.folder), forward)
                ways.append(ForwardWay.FOLDER)
            except ForwardError as error:
                faults[ForwardWay.FOLDER] = error
            except TimeoutError:
                faults[ForwardWay.FOLDER] = ForwardError(
                    f"{forwarding.folder} did not take the file within {FOLDER_SECONDS:g} s"
                )
        return await self._settle(forward, tuple(ways), status, faults, again)

    async def _settle(
        self,
        forward: Forward,
        ways: tuple[ForwardWay, ...],
        status: int | None,
        faults: Mapping[ForwardWay, CcariError],
        again: timedelta,
    ) -> Told:
        fault = "; ".join(f"{way}: {error}" for way, error in faults.items())
        fields = {"reference": forward.reference, "sequence": forward.seq, "controller": forward.controller,
                  "tries": forward.tries, "status": status}  # fmt: skip
        given_up = False
        if fault:
            given_up = await self._queue.failed(forward, ways, fault, again, PATIENCE)
            _log.warning("request_not_forwarded", **fields, reason=fault, given_up=given_up)
        else:
            await self._queue.delivered(forward, ways)
            _log.info("request_forwarded", **fields)
        return Told(
            forward.reference, forward.seq, forward.controller, forward.tries, ways, status, fault, given_up,
            refused=bool(faults) and all(isinstance(each, ForwardError) and each.of_the_message for each in faults.values()),
        )  # fmt: skip
