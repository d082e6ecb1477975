"""Waits until a channel's media leaves Asterisk: with DTLS, Asterisk sends nothing before the keys are agreed."""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from ccari.calls.ari import PJSIP, Ari
from ccari.calls.transport import Refused
from ccari.errors import AsteriskError

#: How long an endpoint's setting is cached; an administrator may change it at any time.
_GOOD_SECONDS = 2.0
#: How long Asterisk may take to answer.
LOOK_SECONDS = 1.0
#: How long ICE and the DTLS handshake may take. A lost handshake message is sent again after 1, 3 and 7 s (RFC 6347).
OPENING_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 0.05


class NoMedia(AsteriskError):  # noqa: N818 - a state, told as such
    """No media leaves Asterisk on this channel, so nobody hears it."""


class Endpoints:
    """The current settings of one Asterisk's PJSIP endpoints."""

    def __init__(self, ari: Ari) -> None:
        self._ari = ari
        #: By endpoint: whether it uses DTLS, and until when that is cached.
        self._known: dict[str, tuple[bool, float]] = {}

    async def agrees_on_keys(self, name: str) -> bool:
        """Whether the endpoint uses DTLS, which agrees on keys over the media path; SDES keys are there at
        once, in the SDP. True if Asterisk does not say.
        """
        now = asyncio.get_running_loop().time()
        agrees, good_until = self._known.get(name, (True, now))
        if now < good_until:
            return agrees
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                agrees = await self._ari.media_encryption(name) == "dtls"
        except (Refused, TimeoutError):
            return True
        self._known[name] = agrees, now + _GOOD_SECONDS
        return agrees


class Openings:
    """Waits for the channels of one call to open."""

    def __init__(self, ari: Ari, endpoints: Endpoints, is_ending: Callable[[], bool]) -> None:
        self._ari = ari
        self._endpoints = endpoints
        #: Whether nobody may be connected any more.
        self._is_ending = is_ending
        #: By channel: whether it must wait for DTLS; and whether media has left since.
        self._waits: dict[str, bool] = {}
        self._sends: dict[str, bool] = {}

    async def look(self, channel: str, made_as: str) -> None:
        """Find out whether the channel will have to wait. Done before the answer, so that the notice can start at once.
        ``made_as``: the channel's dial string, or its technology and endpoint, such as ``PJSIP/trunk``.
        """
        technology, _, resource = made_as.partition("/")
        # Asterisk does not tell of other technologies
        self._waits[channel] = technology == PJSIP and await self._endpoints.agrees_on_keys(
            resource.partition("/")[0].rpartition("@")[2]
        )

    async def await_opening(self, channel: str, made_as: str) -> None:
        """Wait until media leaves Asterisk on the answered channel. Returns at once if the channel is gone.
        ``made_as``: as in :meth:`look`, which is done now if it was not before.

        Asterisk (22.10.1, ``__rtp_sendto`` in res_rtp_asterisk.c) drops what it sends before the DTLS
        handshake is over, yet reports the playback as done. Its packet counter counts only what has left.

        Raises
        ------
        NoMedia
            If nothing leaves within :data:`OPENING_SECONDS`, or before the call ends.
        AsteriskError
            As :class:`Ari` does.
        """
        if channel not in self._waits:
            await self.look(channel, made_as)
        if self._waits[channel] and channel not in self._sends:
            self._sends[channel] = await self._comes_to_send(channel)
        if not self._sends.get(channel, True):
            raise NoMedia("nothing that is sent leaves Asterisk: the two ends have agreed on no keys (DTLS)")

    async def _comes_to_send(self, channel: str) -> bool:
        """Whether media leaves in time. Plays silence meanwhile: without something to send, there would be no
        packets to count.
        """
        try:
            await self._ari.start_silence(channel)
            try:
                sends = await self._sends_in_time(channel)
            except AsteriskError:
                await self._ari.stop_silence(channel)
                raise
            # not after a cancellation: an Asterisk that does not answer would keep the call from ending
            await self._ari.stop_silence(channel)
        except Refused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            return True
        return sends

    async def _sends_in_time(self, channel: str) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPENING_SECONDS):
                while not await self._ari.packets_sent(channel):
                    if self._is_ending():
                        raise NoMedia("nothing that is sent had left Asterisk when the call ended")
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
                return True
        return False
