"""Whether what is played to a channel leaves Asterisk: where the two ends agree on keys by themselves, nothing is sent before."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from ccari.calls.client import PJSIP, Ari
from ccari.calls.transport import Refused
from ccari.errors import AsteriskError

#: How long what Asterisk has said of an endpoint is good: an administrator may set it otherwise at any time.
_GOOD_SECONDS = 2.0
#: For Asterisk to say so.
LOOK_SECONDS = 1.0
#: For the two ends to agree on keys, and before that in browsers on a way (ICE): what is lost of it comes again after 1, 3 and 7 s (RFC 6347).
OPENING_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 0.05


class Closed(AsteriskError):  # noqa: N818 - a state, told as such
    """Nothing that is sent to a channel leaves Asterisk, so nobody hears it."""


class Endpoints:
    """The PJSIP endpoints of one Asterisk, as they are set just now."""

    def __init__(self, ari: Ari) -> None:
        self._ari = ari
        #: Of each endpoint that there is, whether its keys are agreed upon, and until when that is good.
        self._known: dict[str, tuple[bool, float]] = {}

    async def agrees_on_keys(self, name: str) -> bool:
        """Whether the two ends agree on keys by themselves (DTLS). Keys that the SDP has (SDES) are there at once. True, too, if Asterisk
        does not say.
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
    """Of the channels of one call."""

    def __init__(self, ari: Ari, endpoints: Endpoints, is_ending: Callable[[], bool]) -> None:
        self._ari = ari
        self._endpoints = endpoints
        #: Whether nobody is to be connected any more.
        self._is_ending = is_ending
        #: By channel, whether there is something to wait for; and whether it was worth it.
        self._waits: dict[str, bool] = {}
        self._sends: dict[str, bool] = {}

    async def look(self, channel: str, made_as: str) -> None:
        """See whether there will be anything to wait for. Whoever is to hear a notice as soon as they answer is looked at before. ``made_as``:
        the dial string of the channel, or its technology and endpoint, such as ``PJSIP/trunk``.
        """
        technology, _, resource = made_as.partition("/")
        # of others Asterisk does not tell
        self._waits[channel] = technology == PJSIP and await self._endpoints.agrees_on_keys(
            resource.partition("/")[0].rpartition("@")[2]
        )

    async def await_opening(self, channel: str, made_as: str) -> None:
        """Return once the channel, which is answered, sends what it is given. Returns at once if it is gone. ``made_as`` as of :meth:`look`,
        which is done now if it was not before.

        Asterisk (22.10.1, ``__rtp_sendto`` in res_rtp_asterisk.c) drops what it is to send before the DTLS handshake is over, and reports a
        playback as one that was heard. It counts only what it has sent.

        Raises
        ------
        Closed
            If it does not within :data:`OPENING_SECONDS`, or before the call ends.
        AsteriskError
            As :class:`Ari` does.
        """
        if channel not in self._waits:
            await self.look(channel, made_as)
        if self._waits[channel] and channel not in self._sends:
            self._sends[channel] = await self._comes_to_send(channel)
        if not self._sends.get(channel, True):
            raise Closed("nothing that is sent leaves Asterisk: the two ends have agreed on no keys (DTLS)")

    async def _comes_to_send(self, channel: str) -> bool:
        """Whether it does in time. Silence is played meanwhile, for there is nothing to count as long as nothing is to be sent."""
        try:
            await self._ari.start_silence(channel)
            try:
                async with asyncio.timeout(OPENING_SECONDS):
                    while not await self._ari.packets_sent(channel):
                        if self._is_ending():
                            raise Closed("nothing that is sent had left Asterisk when the call ended")
                        await asyncio.sleep(_ASK_AGAIN_SECONDS)
            except TimeoutError:
                return False
            finally:
                await self._ari.stop_silence(channel)
        except Refused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
        return True
