"""Whether what is played to a channel leaves Asterisk: an encrypted one sends nothing before the two ends have agreed on keys."""

import asyncio
from http import HTTPStatus

from ccari.calls.client import Ari
from ccari.calls.transport import Refused
from ccari.errors import AsteriskError

#: 1 if what is sent is encrypted.
_ENCRYPTED = "CHANNEL(rtp,secure)"
#: For Asterisk to say so.
LOOK_SECONDS = 1.0
#: For the two ends to agree on keys, and before that in browsers on a way (ICE): what is lost of it comes again after 1, 3 and 7 s (RFC 6347).
OPENING_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 0.05


class Closed(AsteriskError):  # noqa: N818 - a state, told as such
    """Nothing that is sent to a channel leaves Asterisk, so nobody hears it."""


class Openings:
    """Of the channels of one call."""

    def __init__(self, ari: Ari) -> None:
        self._ari = ari
        #: By channel, whether it sends.
        self._sends: dict[str, bool] = {}

    async def await_opening(self, channel: str) -> None:
        """Return once the PJSIP channel, which is answered, sends what it is given. Returns at once if it is gone.

        Asterisk (22.10.1, ``__rtp_sendto`` in res_rtp_asterisk.c) drops what it is to send before the DTLS handshake is over, and reports a
        playback as one that was heard. It counts only what it has sent.

        Raises
        ------
        Closed
            If it does not within :data:`OPENING_SECONDS`.
        AsteriskError
            As :class:`Ari` does.
        """
        if channel not in self._sends:
            plain = not await self._may_be_encrypted(channel)
            self._sends[channel] = plain or await self._comes_to_send(channel)
        if not self._sends[channel]:
            raise Closed(
                "nothing that is sent leaves Asterisk: it has agreed on no keys with the other end (DTLS), or lacks the module of its codec"
            )

    async def _may_be_encrypted(self, channel: str) -> bool:
        """False only if Asterisk says so."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._ari.variable(channel, _ENCRYPTED) != "0"
        except (Refused, TimeoutError):
            return True

    async def _comes_to_send(self, channel: str) -> bool:
        """Whether it does in time. Silence is played meanwhile, for there is nothing to count as long as nothing is to be sent."""
        try:
            await self._ari.start_silence(channel)
            try:
                async with asyncio.timeout(OPENING_SECONDS):
                    while not await self._ari.packets_sent(channel):  # noqa: ASYNC110 - nothing reports it
                        await asyncio.sleep(_ASK_AGAIN_SECONDS)
            except TimeoutError:
                return False
            finally:
                await self._ari.stop_silence(channel)
        except Refused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
        return True
