"""Storage limitation, Article 5(1)(e): data that are past their limit are deleted, or no longer tell whose they were."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from ccari.errors import CcariError, ExpiryError
from ccari.gating.rounds import again_and_again
from ccari.policy.declaration import Policy
from ccari.policy.erasure import proof_kept
from ccari.policy.retention import OF_CONTROLLERS, Limited
from ccari.ports.limits import Limit, Limits, PastLimit
from ccari.ports.metering import UNMETERED, Meter, Work

#: From the end of one round to the next: limits are in days, and each round looks again at all that is kept beyond them.
ROUND_SECONDS = 3600.0
#: How long a limit has to stand before it counts, so that one that was declared by mistake can be taken back: what has expired is
#: gone for good.
GRACE = timedelta(days=1)

_log = structlog.get_logger()

Progress = Callable[[int], None]


def _ignore_progress(_looked_at: int) -> None:
    pass


async def _extend_nothing() -> Mapping[str, str]:
    return {}


@dataclass
class Expired:
    """Of the things past one limit: how many are ``gone``, how many are ``kept``, and how many of those each thing keeps."""

    gone: int = 0
    kept: int = 0
    held_by: Counter[str] = field(default_factory=Counter)


class Policies(Protocol):
    async def since(self, ago: timedelta) -> Sequence[Policy]:
        """Every policy that was in force at some time since ``ago`` before now, the newest first; empty if none was in force at
        that moment. Raises StoreError.
        """
        ...


class LimitKeeper:
    """Expires what is past its limit, while calls are under way. ``who``: is recorded as having done it; ``reach``: extends open
    requests to newer secrets, so that they keep all that they should from expiring, and gives the controllers whose requests could
    not be extended, each with the reason.
    """

    def __init__(
        self, limits: Limits, policies: Policies, who: str = "housekeeping", meter: Meter = UNMETERED,
        reach: Callable[[], Awaitable[Mapping[str, str]]] = _extend_nothing,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._policies = policies
        self._who = who
        self._meter = meter
        self._reach = reach

    async def run(self) -> None:
        """A round every :data:`ROUND_SECONDS` until cancelled. A failure is logged, and the next round tries again."""
        await again_and_again(
            self.round, ROUND_SECONDS, Work.EXPIRY, self._meter,
            stalled=_log_stalled, failed=lambda: _log.exception("expiry_failed"),
        )  # fmt: skip

    async def round(self) -> dict[Limit, Expired]:
        """Expire what is past the limits that have stood for :data:`GRACE`; nothing if it is the turn of another node.

        Raises
        ------
        ConfigError, StoreError
            If no secret can be read, or the database fails. What is left is done the next time.
        ExpiryError
            If that is so for some controllers only, or for the record of accesses. What belongs to the others has expired, their
            accesses too.
        """
        done: dict[Limit, Expired] = {}
        # even if it is another node's turn, as that one may have fewer secrets
        unreached = await self._reach()
        failed = dict(unreached)
        async with self._limits.turn() as mine:
            limits = standing(await self._policies.since(GRACE)) if mine else ()
            now = datetime.now(UTC)
            for limit in limits:
                if limit.controller in unreached:
                    continue
                try:
                    done[limit] = await self.expire(sparing(limit, unreached), now)
                except CcariError as error:
                    failed[limit.controller] = str(error)
        if failed:
            raise ExpiryError(failed)
        return done

    async def past(self, limit: Limit, now: datetime, progress: Progress = _ignore_progress) -> Expired:
        """What :meth:`expire` would do. Raises StoreError."""
        expired = Expired()
        await _add_up(self._limits.past(limit, now), expired, progress)
        return expired

    async def expire(self, limit: Limit, now: datetime, progress: Progress = _ignore_progress) -> Expired:
        """Expire all that is past one limit. ``progress`` is given how many were looked at. Raises StoreError as :meth:`round`."""
        expired = Expired()
        try:
            await _add_up(self._limits.expire(limit, now, self._who), expired, progress)
        finally:
            # also if it is broken off
            if expired.gone:
                _log_expired(limit, expired)
        return expired


def _log_stalled(error: CcariError) -> None:
    if isinstance(error, ExpiryError):
        for controller, reason in error.reasons.items():
            whose = {"controller": controller} if controller else {}
            _log.warning("expiry_stalled", **whose, reason=reason)
    else:
        _log.warning("expiry_stalled", reason=str(error))


def _log_expired(limit: Limit, expired: Expired) -> None:
    limited = limit.limited
    whose = {"controller": limit.controller} if limit.controller else {}
    fields = {**whose, "expired": expired.gone, "held": expired.kept, limited.setting: limit.days}
    match limited:
        case Limited.CALLS:
            _log.info("calls_expired", **fields)
        case Limited.REQUESTS:
            _log.info("requests_expired", **fields)
        case Limited.CONTACTS:
            _log.info("contacts_expired", **fields)
        case Limited.CONSENTS:
            _log.info("consents_expired", **fields)
        case Limited.ACCESSES:
            _log.info("accesses_expired", **fields)


async def _add_up(batches: AsyncGenerator[PastLimit, None], expired: Expired, progress: Progress) -> None:
    async with aclosing(batches):
        async for each in batches:
            expired.gone += each.goes
            expired.kept += each.kept
            expired.held_by.update(each.held_by)
            progress(expired.gone + expired.kept)


def sparing(limit: Limit, unreached: Iterable[str]) -> Limit:
    """The limit, but sparing what open requests of the ``unreached`` controllers may need: those could not be extended. Only the
    record of accesses is one for all controllers; what belongs to one controller is not needed by another's requests.
    """
    return limit if limit.controller else replace(limit, unreached=frozenset(unreached))


def standing(policies: Sequence[Policy]) -> list[Limit]:
    """The limits that all of the ``policies`` (the newest first) have; for each kind, and each controller, the longest one."""
    of_all = [Limit(Limited.ACCESSES, "", max(each.accesses_days for each in policies))] if policies else []
    return [*_of_controllers(policies), *of_all]


def _of_controllers(policies: Sequence[Policy]) -> list[Limit]:
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
        for limited in OF_CONTROLLERS
        for controller in (policies[0].controllers if policies else ())
        if (longest := _longest(policies, controller.id, limited)) is not None
    ]


def _longest(policies: Sequence[Policy], controller_id: str, limited: Limited) -> int | None:
    """None if one of the policies has no such limit, or no such controller."""
    each_days = []
    for policy in policies:
        controller = policy.controller(controller_id)
        days = controller.days(limited) if controller else None
        if days is None:
            return None
        each_days.append(days)
    return max(each_days)
