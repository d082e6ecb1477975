"""Storage limitation, Article 5(1)(e): what is kept of people goes when its time is over, or tells no longer whose it was."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from ccari.errors import CcariError
from ccari.gating.rounds import again_and_again
from ccari.policy.declaration import Policy
from ccari.policy.erasure import proof_kept
from ccari.policy.retention import Limited
from ccari.ports.limits import Limit, Limits, PastLimit
from ccari.ports.metering import UNMETERED, Meter, Work

#: From the end of one round to the next: the limits are days, and what is kept beyond them is looked at each time.
ROUND_SECONDS = 3600.0
#: A limit that was laid down by mistake can be taken back for so long: what is gone is gone for good.
GRACE = timedelta(days=1)

_log = structlog.get_logger()

Progress = Callable[[int], None]


def _untold(_looked_at: int) -> None:
    pass


async def _nowhere() -> None:
    pass


@dataclass
class Expired:
    """Of what is past one limit, how much went, and how much is ``kept``, by what."""

    gone: int = 0
    kept: int = 0
    held_by: Counter[str] = field(default_factory=Counter)


class Policies(Protocol):
    async def since(self, ago: timedelta) -> Sequence[Policy]:
        """Each that was in force at some time since then, the newest first; none if there was none then. Raises StoreError."""
        ...


class LimitKeeper:
    """Has things expire, beside the calls that are under way. ``who``: as what is kept of who did it; ``reach``: has open requests
    reach all that they keep from expiring.
    """

    def __init__(
        self, limits: Limits, policies: Policies, who: str = "housekeeping", meter: Meter = UNMETERED,
        reach: Callable[[], Awaitable[None]] = _nowhere,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._policies = policies
        self._who = who
        self._meter = meter
        self._reach = reach

    async def run(self) -> None:
        """A round every :data:`ROUND_SECONDS` until cancelled. What fails is logged, and tried again: no call depends on it."""
        await again_and_again(
            self.round, ROUND_SECONDS, Work.EXPIRY, self._meter,
            stalled=lambda reason: _log.warning("expiry_stalled", reason=reason), failed=lambda: _log.exception("expiry_failed"),
        )  # fmt: skip

    async def round(self) -> dict[Limit, Expired]:
        """Have expire what is past the limits that stand for :data:`GRACE`, unless another of the fleet is at it; by limit.

        Raises
        ------
        ConfigError, StoreError
            If a secret cannot be read, or the database fails. What is left is done the next time.
        """
        done: dict[Limit, Expired] = {}
        failed: CcariError | None = None
        # also where it is another's turn: that one may have fewer secrets
        await self._reach()
        async with self._limits.turn() as mine:
            if not mine:
                return done
            now = datetime.now(UTC)
            for limit in standing(await self._policies.since(GRACE)):
                try:
                    done[limit] = await self.expire(limit, now)
                except CcariError as error:
                    # what is past the other limits goes though this does not
                    failed = error
        if failed is not None:
            raise failed
        return done

    async def past(self, limit: Limit, now: datetime, progress: Progress = _untold) -> Expired:
        """What :meth:`expire` would do. Raises StoreError."""
        found = Expired()
        await _count(self._limits.past(limit, now), found, progress)
        return found

    async def expire(self, limit: Limit, now: datetime, progress: Progress = _untold) -> Expired:
        """All that is past one limit; ``progress`` is told of how many were looked at. Raises StoreError as :meth:`round`."""
        found = Expired()
        try:
            await _count(self._limits.expire(limit, now, self._who), found, progress)
        finally:
            # also of a round that is broken off
            if found.gone:
                _tell(limit, found)
        return found


def _tell(limit: Limit, found: Expired) -> None:
    match limit.limited:
        case Limited.CALLS:
            _log.info(
                "calls_expired", controller=limit.controller, expired=found.gone, held=found.kept, calls_days=limit.days
            )  # fmt: skip
        case Limited.REQUESTS:
            _log.info(
                "requests_expired", controller=limit.controller, expired=found.gone, held=found.kept, requests_days=limit.days
            )  # fmt: skip
        case Limited.CONTACTS:
            _log.info(
                "contacts_expired", controller=limit.controller, expired=found.gone, held=found.kept, contacts_days=limit.days
            )  # fmt: skip
        case Limited.CONSENTS:
            _log.info(
                "consents_expired", controller=limit.controller, expired=found.gone, held=found.kept, consents_days=limit.days
            )  # fmt: skip


async def _count(batches: AsyncGenerator[PastLimit, None], found: Expired, progress: Progress) -> None:
    async with aclosing(batches):
        async for each in batches:
            found.gone += each.goes
            found.kept += each.kept
            found.held_by.update(each.held_by)
            progress(found.gone + found.kept)


def standing(policies: Sequence[Policy]) -> list[Limit]:
    """The limits that all of the policies have, the newest first; of each controller and kind the longest."""
    return [
        Limit(
            limited,
            controller.id,
            longest,
            forwarded=controller.forward is not None,
            proof=proof_kept(controller.country),
            sourced=any(
                each.data_source is not None
                for policy in policies
                for each in policy.campaigns
                if each.controller == controller.id
            ),
        )
        for limited in Limited
        for controller in (policies[0].controllers if policies else ())
        if (longest := _longest(policies, controller.id, limited)) is not None
    ]


def _longest(policies: Sequence[Policy], controller_id: str, limited: Limited) -> int | None:
    """None if one of the policies has no such limit, or no such controller."""
    found = []
    for policy in policies:
        controller = policy.controller(controller_id)
        days = controller.days(limited) if controller else None
        if days is None:
            return None
        found.append(days)
    return max(found)
