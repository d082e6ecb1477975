"""Storage limitation, Article 5(1)(e): data past their limit are deleted, or no longer tell whose they were."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from ccari.errors import CcariError, ExpiryError
from ccari.office.deletion_clock import Now
from ccari.office.rounds import again_and_again
from ccari.policy.declaration import Policy
from ccari.policy.limits import GRACE, Limit, sparing, standing
from ccari.policy.retention import Limited
from ccari.ports.limits import Limits, PastLimit
from ccari.ports.metering import UNMETERED, Meter, Work

#: Pause between rounds. Limits are in days, and each round looks again at everything kept beyond them.
ROUND_SECONDS = 3600.0
#: On whose behalf data expire if no person starts it.
_WHO = "housekeeping"

_log = structlog.get_logger()

Progress = Callable[[int], None]


@dataclass
class Expired:
    """The data past one limit: how many are ``gone``, how many are ``kept``, and how many of those for each reason."""

    gone: int = 0
    kept: int = 0
    held_by: Counter[str] = field(default_factory=Counter)


class Policies(Protocol):
    async def since(self, ago: timedelta) -> Sequence[Policy]:
        """Every policy in force at any time since ``ago`` before now, newest first; empty if none was in
        force at that moment. Raises StoreError.
        """
        ...


class LimitKeeper:
    """Expires what is past its limit, while calls are under way. ``reach``: extends open requests to newer secrets, so that
    they keep everything they should from expiring; gives the controllers whose requests could not be extended, each with
    the reason. ``now``: gives the time by which limits have passed; None: nothing expires.
    """

    def __init__(
        self, limits: Limits, policies: Policies, reach: Callable[[], Awaitable[Mapping[str, str]]], now: Now,
        meter: Meter = UNMETERED,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._policies = policies
        self._reach = reach
        self._now = now
        self._meter = meter

    async def run(self) -> None:
        """Run a round every :data:`ROUND_SECONDS` until cancelled. A failure is logged, and the next round tries again."""
        await again_and_again(
            self.round, ROUND_SECONDS, Work.EXPIRY, self._meter,
            stalled=_log_stalled, failed=lambda: _log.exception("expiry_failed"),
        )  # fmt: skip

    async def round(self) -> dict[Limit, Expired]:
        """Expire what is past a limit that has stood for :data:`ccari.policy.limits.GRACE`; nothing if it is
        another node's turn.

        Raises
        ------
        ConfigError, StoreError
            If no secret can be read, or the database fails. The rest is done the next time.
        ExpiryError
            If that holds only for some controllers, or for the record of accesses. Data of the other controllers have expired, with the accesses
            to them.
        """
        done: dict[Limit, Expired] = {}
        # even if it is another node's turn: that node may have fewer secrets
        unreached = await self._reach()
        failed = dict(unreached)
        async with self._limits.turn() as mine:
            # no expiry by a doubtful clock: the holds that keep data may have an end too, which a fast clock would pass
            if mine and (now := self._now()) is not None:
                for limit in sparing(standing(await self._policies.since(GRACE)), unreached):
                    try:
                        done[limit] = await expire(self._limits, limit, now, _WHO)
                    except CcariError as error:
                        failed[limit.controller] = str(error)
        if failed:
            raise ExpiryError(failed)
        return done


async def past(
    limits: Limits, limit: Limit, now: datetime, progress: Progress = lambda _looked_at: None
) -> Expired:
    """What :func:`expire` would do. Raises StoreError."""
    expired = Expired()
    await _add_up(limits.past(limit, now), expired, progress)
    return expired


async def expire(
    limits: Limits, limit: Limit, now: datetime, who: str, progress: Progress = lambda _looked_at: None
) -> Expired:
    """Expire everything past one limit; ``who`` is recorded as having done it. ``progress`` is told how many
    were looked at. Raises StoreError: the rest is done the next time.
    """
    expired = Expired()
    try:
        await _add_up(limits.expire(limit, now, who), expired, progress)
    finally:
        # also if it is interrupted
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
