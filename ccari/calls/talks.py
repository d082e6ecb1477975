"""Talks that went on in Asterisk without a service: find them, with the terms they began under."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.order import Order
from ccari.errors import CcariError, ConfigError, SoundError
from ccari.gating.drafting import Drafter
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.gating.variables import NUMBER
from ccari.policy.call import Direction, resuming
from ccari.policy.call import events as on
from ccari.ports.calls import LeftTalk
from ccari.ports.metering import Way
from ccari.ports.recordings import Unfinished

_log = structlog.get_logger()

#: The caller's number, in an inbound call.
_CALLER = "CALLERID(num)"


@dataclass(slots=True)
class Talk:
    """A talk that is taken up. ``kept``: what ``policy.call.resuming.to_keep`` gave, and
    ``Actions.keep_talk`` added. ``running``: its recording, if still running. ``segments``: how many
    recordings there have been. ``registered``: its rights on record.
    """

    order: Order
    ids: Ids
    journal: Journal
    terms: Terms
    kept: Mapping[str, Any]
    segments: int
    running: Unfinished | None = None
    registered: tuple[on.RightOnRecord, ...] = ()

    @property
    def resumed(self) -> on.TalkResumed:
        running = self.running is not None
        return on.TalkResumed(self.ids.direction, self.terms.campaign, self.kept, running, self.registered)

    @property
    def channels(self) -> set[str]:
        """The talk's channels in Asterisk, which must stay. After a transfer the former agent's is none of them: the dialplan
        may have handed it over again, for another call.
        """
        return {self.ids.agent, self.ids.callee} | self._snoops

    @property
    def _snoops(self) -> set[str]:
        spies = () if self.running is None else ("both", "in", "out")
        return {self.ids.snoop(self.segments, spy) for spy in spies}

    @property
    def may_record_on(self) -> bool:
        """True if a running recording may go on: one was running when the talk was kept, and none has been found yet."""
        return self.running is None and resuming.is_recording(self.kept)


async def talks_to_take_up(desk: Desk, bridges: Mapping[str, frozenset[str]]) -> list[Talk]:
    """The talks that can be taken up: those whose two parties are still together in a bridge. Raises
    StoreError if the database cannot say.
    """
    found = []
    for left in await desk.store.left_talks(desk.asterisk):
        try:
            talk = await _take_up(desk, left, bridges)
        except (ConfigError, SoundError, KeyError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, CcariError) else "what was kept of it makes no sense"
            _log.error("talk_not_resumed", call_id=str(left.id), reason=reason)
            continue
        if talk is not None:
            found.append(talk)
    return found


async def _take_up(desk: Desk, left: LeftTalk, bridges: Mapping[str, frozenset[str]]) -> Talk | None:
    kept = left.kept
    if kept["version"] != resuming.VERSION:
        raise ConfigError("it was kept by another version of ccari, in another form")
    ids = Ids(left.id, Direction(left.direction), kept["home"], kept["agents"])
    if not {ids.agent, ids.callee} <= bridges.get(ids.bridge, frozenset()):
        return None
    policy = await desk.book.at(left.revision)
    if policy is None:
        raise ConfigError(f"there is no policy revision {left.revision}")
    number = None
    if kept["known"]:
        variable = _CALLER if ids.direction is Direction.INBOUND else NUMBER
        number = await desk.ari.variable(ids.callee, variable)
    order = Order(
        ids.direction, number, left.campaign, kept["agent"], channel=ids.home, made_as=kept["technology"]
    )
    journal = Journal(left.id, kept["agent"], desk.meter.call(Way.STASIS, left.direction))
    terms = await Drafter(order, desk, journal).resumed(policy, left)
    kept = {**kept, "known": terms.number is not None}
    if left.recordings > kept["segments"]:
        kept = {**resuming.outdated(kept)}
    return Talk(order, ids, journal, terms, kept, kept["segments"], registered=left.registered)
