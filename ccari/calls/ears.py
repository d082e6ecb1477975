"""What the reader of a connection does with the events: those that come before stock is taken wait until it is."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from ccari.calls.events import call_of, channel_of
from ccari.calls.switchboard import Switchboard

_log = structlog.get_logger()

#: The most that is kept between connecting and taking stock: new calls, and events of all calls.
MOST_EARLY_CALLS = 1000
MOST_EARLY_EVENTS = 20_000


class Ears:
    """Takes the reader's events. It keeps them until stock is taken, and then passes them on. It notices if another
    service takes over.

    ``silence``: called when nothing more may be sent over the connection. ``keys``: those that the last connection left.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        silence: Callable[[], None],
        keys: Sequence[tuple[dict[str, Any], datetime]] = (),
    ) -> None:
        self._switchboard = switchboard
        self._silence = silence
        #: Events that came before stock was taken, each with its arrival; None once stock is taken.
        self._early: list[tuple[dict[str, Any], datetime]] | None = list(keys)
        #: Channels whose StasisStart is kept.
        self._begun: set[str] = set()
        #: Channels whose events are dropped: there was no room for them (they are given back once stock is taken), or
        #: they were given back.
        self._unkept: set[str] = set()
        #: Channels that were given back.
        self._handed_back: set[str] = set()
        #: Channels of the last two sets that have left the application since.
        self._left: set[str] = set()
        #: Another service has taken over the application.
        self.replaced = asyncio.Event()
        #: An event was lost for want of room, so this connection must be given up.
        self.overrun = asyncio.Event()

    def take(self, event: dict[str, Any]) -> None:
        """Take one event. Called from the reader, so it returns at once."""
        if event.get("type") == "ApplicationReplaced":
            # Asterisk sends events only to the newest connection, but still obeys this one: send nothing more
            self._silence()
            self.replaced.set()
        elif self._early is None:
            self._switchboard.take(event)
        elif event.get("type") == "StasisStart":
            self._begin(event, self._early)
        elif (channel := channel_of(event)) not in self._unkept:
            # the event may belong to a talk that is taken up: Asterisk reports a key or a hang-up only once
            self._keep(event, self._early)
        elif event.get("type") in {"StasisEnd", "ChannelDestroyed"}:
            self._left.add(channel)

    @property
    def keys(self) -> Sequence[tuple[dict[str, Any], datetime]]:
        """The keys not passed on, each with its arrival, if the connection ends before stock is taken. Asterisk repeats no key
        over the next connection, which may take up the talk that it was pressed in.

        At most half of what is kept: otherwise a flood of keys would overrun each connection that follows.
        """
        keys = [each for each in self._early or () if each[0].get("type") == "ChannelDtmfReceived"]
        return keys[: MOST_EARLY_EVENTS // 2]

    def early_channels(self) -> set[str]:
        """The channels that entered over this connection, except those that there was no room for."""
        return self._begun | self._handed_back

    def hand_back(self) -> list[str]:
        """Forget the calls that have begun, and give their channels. Channels that ccari made for a talk are kept."""
        # a channel that left is removed only now: a listing that Asterisk sent before may still contain it
        self._unkept -= self._left
        self._handed_back -= self._left
        self._left.clear()
        called, early = {each for each in self._begun if call_of(each) is None}, self._early or []
        self._begun -= called
        self._unkept |= called
        self._handed_back |= called
        early[:] = [each for each in early if channel_of(each[0]) not in called]
        return sorted(called)

    def open(self) -> None:
        """Pass the kept events on, now that stock is taken; from now on pass each event on as it comes."""
        early, self._early = self._early or [], None
        for event, arrived in early:
            try:
                self._switchboard.take(event, arrived)
            except Exception:  # noqa: BLE001 - logged
                # as in the reader, one odd event must not end the other calls
                _log.exception("ari_event_failed")

    def _begin(self, event: dict[str, Any], early: list[tuple[dict[str, Any], datetime]]) -> None:
        channel = event["channel"]["id"]
        self._left.discard(channel)
        if len(self._begun) < MOST_EARLY_CALLS:
            self._begun.add(channel)
            self._unkept.discard(channel)
            self._keep(event, early)
            return
        if not self._unkept:
            _log.warning("early_calls_dropped", kept=MOST_EARLY_CALLS)
        self._unkept.add(channel)

    def _keep(self, event: dict[str, Any], early: list[tuple[dict[str, Any], datetime]]) -> None:
        if len(early) < MOST_EARLY_EVENTS:
            early.append((event, datetime.now(UTC)))
            return
        if not self.overrun.is_set():
            # the lost event may be a right: give the connection up, and take stock over the next one
            _log.error("early_events_lost", kept=MOST_EARLY_EVENTS)
            self._silence()
            self.overrun.set()
