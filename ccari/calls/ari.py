"""The requests that ccari makes to Asterisk, as typed calls over asyncari's Swagger operations."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import quote

from asyncari.client import Client

from ccari.calls.identity import DRIVEN_BY
from ccari.calls.modules import MODULES, lacking
from ccari.calls.operations import prepared
from ccari.calls.transport import (
    BESIDE_SECONDS,
    REQUEST_SECONDS,
    Credentials,
    Refused,
    Transport,
)
from ccari.errors import AsteriskError, UnsuitableError
from ccari.gating.variables import OUTCOME, REASON, at_once
from ccari.policy.call import Outcome
from ccari.policy.campaign import Campaign

#: Asterisk's error text for a missing channel.
_NO_CHANNEL = "Channel not found"
#: What to look at when Asterisk has nobody to send an INVITE to; it says "Internal Server Error" itself.
_NO_CONTACT = "is the phone registered, or the trunk up? asterisk -rx 'pjsip show contacts'"
#: The technology whose phones ask for transfers, by REFER.
PJSIP = "PJSIP"
#: Selects who handles a channel's REFERs: Asterisk itself, or the ARI application that holds the channel.
TRANSFERS = "PJSIP_TRANSFER_HANDLING()"
_OF_SIP_SESSION = "CHANNEL(pjsip,call-id)"

#: How long to wait before looking again for a module that a campaign lacks. Somebody may have loaded it, but
#: every call asks.
MODULES_AGAIN_SECONDS = 5.0

#: How long Asterisk may take to finish writing a recording that was told to stop.
RECORDED_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.05

#: Asterisk sends these only: any other event would be formatted, sent, parsed and dropped. The filter must
#: name replies too.
EVENTS = (
    "RESTResponse", "ApplicationReplaced", "StasisStart", "StasisEnd", "ChannelStateChange", "ChannelDestroyed",
    "ChannelDtmfReceived", "ChannelHold", "ChannelUnhold", "ChannelTransfer", "ChannelLeftBridge", "Dial", "PlaybackStarted", "PlaybackFinished", "RecordingStarted", "RecordingFinished",
    "RecordingFailed",
)  # fmt: skip


#: What a snoop channel hears of a channel: what it sends (``in``), what it is sent (``out``), or both.
Spy = Literal["both", "in", "out"]


class _Client(Client):  # type: ignore[misc]
    """asyncari's client without its event pump, which stalls on one slow listener and dies of a duplicate event."""

    async def __aenter__(self) -> Self:
        await self._init()
        return self

    async def __aexit__(self, *_: object) -> None:
        # asyncari would close the transport, which this client does not own, and fail if that took a second
        pass


class Ari:
    """The operations of one connection. Each raises :class:`~ccari.calls.transport.Refused` or ``LinkLost``."""

    def __init__(self, api: Any, transport: Transport, credentials: Credentials) -> None:
        self._api = api
        self._transport = transport
        self._app = credentials.app
        self._user = credentials.username
        self._base = f"{credentials.url.rstrip('/')}/ari"
        self._running: frozenset[str] = frozenset()
        self._looked_at = -math.inf

    async def check_modules(self) -> None:
        """Raise UnsuitableError naming the modules that every call needs and that are not running."""
        await self._look_for_modules()
        missing = [name for name in MODULES if name not in self._running]
        if missing:
            raise UnsuitableError(f"Asterisk lacks {', '.join(missing)}: load them in modules.conf")

    async def lacking(self, campaign: Campaign, *, inbound: bool = False) -> Mapping[str, Sequence[str]]:
        """The modules that the campaign (or only its ``inbound`` calls) needs and that are not running, by
        the policy key that needs them.

        If some were missing, asks Asterisk again, but at most once in :data:`MODULES_AGAIN_SECONDS` for all
        callers together.
        """
        found = lacking(campaign, self._running, inbound=inbound)
        due = self._looked_at + MODULES_AGAIN_SECONDS
        if not found or asyncio.get_running_loop().time() < due:
            return found
        await self._look_for_modules()
        return lacking(campaign, self._running, inbound=inbound)

    async def _look_for_modules(self) -> None:
        self._looked_at = asyncio.get_running_loop().time()
        listed = (await self._api.asterisk.listModules()).json()
        self._running = frozenset(each["name"] for each in listed if each["status"] == "Running")

    async def ping(self) -> None:
        """Check that Asterisk answers and still accepts the user."""
        await self._api.asterisk.ping()

    async def filter_events(self) -> None:
        """Have Asterisk send the events named in :data:`EVENTS`, and no others."""
        # asyncari would wrap the body in its parameter's name, which Asterisk silently ignores here
        wanted = {"allowed": [{"type": name} for name in EVENTS]}
        url = f"{self._base}/applications/{self._app}/eventFilter"
        try:
            await self._transport.request("PUT", url, data=json.dumps(wanted))
        except Refused as refusal:
            if refusal.status != HTTPStatus.FORBIDDEN:
                raise
            raise UnsuitableError(
                f"Asterisk does not let the ARI user {self._user} write: remove read_only in ari.conf"
            ) from None

    async def say_who_drives(self, database: str) -> None:
        """Leave word for a service with another database (:func:`~ccari.calls.identity.refuse_strangers`)."""
        await self._api.asterisk.setGlobalVar(variable=DRIVEN_BY, value=f"{self._app} {database}")

    async def create_channel(
        self,
        channel_id: str,
        endpoint: str,
        *,
        args: str,
        originator: str | None,
        variables: Mapping[str, str],
    ) -> None:
        """Create a channel that waits, undialled, in our application. Asterisk refuses if the application is not active."""
        whose = {} if originator is None else {"originator": originator}
        try:
            await self._api.channels.create(
                endpoint=endpoint, app=self._app, appArgs=args, channelId=channel_id, variables=dict(variables),
                **whose,
            )  # fmt: skip
        except Refused as refusal:
            if refusal.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            raise Refused(refusal.status, "create a channel", _NO_CONTACT) from None

    async def dial(self, channel_id: str, *, seconds: int) -> None:
        """Send the INVITE. ``caller`` is left out: it would show the callee the agent's own number."""
        await self._api.channels.dial(channelId=channel_id, timeout=seconds)

    async def ring(self, channel_id: str) -> None:
        await self._api.channels.ring(channelId=channel_id)

    async def stop_ringing(self, channel_id: str) -> None:
        await self._api.channels.ringStop(channelId=channel_id)

    async def send_key(self, channel_id: str, key: str) -> None:
        """Send a key to a channel, as if the other party had pressed it."""
        await self._api.channels.sendDTMF(channelId=channel_id, dtmf=key)

    async def answer(self, channel_id: str) -> None:
        await self._api.channels.answer(channelId=channel_id)

    async def hang_up(self, channel_id: str) -> bool:
        """Hang the channel up; False if there was no such channel."""
        with _unless_gone():
            await self._api.channels.hangup(channelId=channel_id)
            return True
        return False

    async def play(self, channel_id: str, playback_id: str, media: str) -> None:
        await self._api.channels.playWithId(channelId=channel_id, playbackId=playback_id, media=media)

    async def media_encryption(self, endpoint: str) -> str:
        """How a PJSIP endpoint's media is encrypted, as in ``pjsip.conf``: ``no``, ``sdes`` or ``dtls``."""
        settings = await self._api.asterisk.getObject(
            configClass="res_pjsip", objectType="endpoint", id=endpoint
        )
        return next(
            (str(each["value"]) for each in settings.json() if each["attribute"] == "media_encryption"), ""
        )

    async def start_silence(self, channel_id: str) -> None:
        """Send silence to a channel until :meth:`stop_silence`."""
        await self._api.channels.startSilence(channelId=channel_id)

    async def stop_silence(self, channel_id: str) -> None:
        with _unless_gone():
            await self._api.channels.stopSilence(channelId=channel_id)

    async def packets_sent(self, channel_id: str) -> int:
        """How many RTP packets were sent to a channel; 0 if it has no RTP."""
        try:
            return int((await self._api.channels.rtpstatistics(channelId=channel_id)).json()["txcount"])
        except Refused as refusal:
            # a missing channel is a 404 too
            if refusal.status != HTTPStatus.NOT_FOUND or _NO_CHANNEL in str(refusal):
                raise
            return 0

    async def stop_playback(self, playback_id: str) -> None:
        with _unless_gone():
            await self._api.playbacks.stop(playbackId=playback_id)

    async def take_transfers(self, channel_id: str) -> None:
        """Have a PJSIP channel's REFERs reported to us. Otherwise Asterisk follows them, past every gate."""
        await self.set_variable(channel_id, TRANSFERS, "ari-only")

    async def answer_transfer(self, channel_id: str, *, made: bool) -> None:
        """Tell a phone that sent a REFER whether the transfer was made.

        Asterisk (22.10.1, ``res_pjsip_refer``) reports a REFER before it has finished handling it, and crashes if it is
        answered in between. So we first read a variable of the SIP session: the thread that handles the REFER also serves
        that read, after it has finished. A 500 means that the session, and so the REFER, is gone.
        """
        with _unless_gone(HTTPStatus.INTERNAL_SERVER_ERROR):
            await self._api.channels.getChannelVar(channelId=channel_id, variable=_OF_SIP_SESSION)
            await self._api.channels.transfer_progress(
                channelId=channel_id, states="channel_answered" if made else "channel_declined"
            )

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        await self._api.channels.setChannelVar(channelId=channel_id, variable=name, value=value)

    async def set_unless_gone(self, channel_id: str, name: str, value: str) -> None:
        """As :meth:`set_variable`; nothing happens if the channel is gone, has left the application (409) or is leaving it (400)."""
        with _unless_gone(HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST):
            await self.set_variable(channel_id, name, value)

    async def set_variables(
        self, channel_id: str, values: Mapping[str, str], *, beside: bool = False
    ) -> None:
        """Set several variables, in one request if every value is a single word. ``beside``: a prompt may be playing to the
        channel, so Asterisk may answer late; use connections of their own, so that no other request waits.
        """
        for name, value in _in_few(values):
            if beside:
                await self._set_beside(channel_id, name, value, REQUEST_SECONDS)
            else:
                await self.set_variable(channel_id, name, value)

    async def _set_beside(self, channel_id: str, name: str, value: str, seconds: float) -> None:
        url = f"{self._base}/channels/{quote(channel_id, safe='')}/variable"
        await self._transport.post_beside(url, {"variable": name, "value": value}, seconds)

    async def variable(self, channel_id: str, name: str) -> str:
        """The value of a variable or function; empty if there is none."""
        with _unless_gone():
            found = await self._api.channels.getChannelVar(channelId=channel_id, variable=name)
            return str(found.json()["value"])
        return ""

    async def continue_in_dialplan(self, channel_id: str, context: str | None = None) -> None:
        """Send a channel back to where it left the dialplan, or to the beginning of ``context``."""
        where = {} if context is None else {"context": context, "extension": "s", "priority": 1}
        await self._api.channels.continueInDialplan(channelId=channel_id, **where)

    async def turn_away(self, channel_id: str, reason: str) -> None:
        """Give a channel back to the dialplan with the outcome ``unavailable``, or without an outcome if it cannot be set."""
        with contextlib.suppress(AsteriskError):
            await self.set_variables(channel_id, _unavailable(reason))
        await self.continue_in_dialplan(channel_id)

    async def give_back(self, channel_id: str, reason: str) -> None:
        """Give back a channel of an earlier run. Like :meth:`turn_away`, but keeps the outcome of a talk that took place.

        A prompt may still be playing to the channel, and Asterisk sets no variable before the prompt ends.
        The variables are set over connections of their own, so that no other request waits.
        """
        with contextlib.suppress(AsteriskError):
            # reading does not wait for the prompt. If nobody talked to a caller, the dialplan may still
            # connect them without a notice
            talked = await self.variable(channel_id, OUTCOME) == Outcome.BRIDGED.value
            for name, value in () if talked else _in_few(_unavailable(reason)):
                await self._set_beside(channel_id, name, value, BESIDE_SECONDS)
        await self.continue_in_dialplan(channel_id)

    async def snoop(self, channel_id: str, snoop_id: str, spy: Spy) -> None:
        await self._api.channels.snoopChannelWithId(
            channelId=channel_id, snoopId=snoop_id, spy=spy, app=self._app, appArgs="snoop"
        )

    async def record(self, channel_id: str, name: str) -> None:
        await self._api.channels.record(channelId=channel_id, name=name, format="wav", ifExists="fail")

    async def stop_recording(self, name: str, *, keep: bool) -> bool:
        """Stop a live recording, and keep or discard it; False if there was none. Asterisk reports its end, also if it ended by itself
        this very moment: then it answers 409, until it has forgotten the recording.
        """
        recordings = self._api.recordings
        try:
            await (recordings.stop if keep else recordings.cancel)(recordingName=name)
        except Refused as refusal:
            if refusal.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise
            return refusal.status == HTTPStatus.CONFLICT
        return True

    async def recorded(self, name: str) -> bool:
        """Wait until the live recording has ended, so that its file is whole. False if there is no file.

        Polls, because nothing reports the end of a recording that was started over another connection. Raises
        AsteriskError if it is still running after :data:`RECORDED_SECONDS`.
        """
        try:
            async with asyncio.timeout(RECORDED_SECONDS):
                while await self.is_recording(name):  # noqa: ASYNC110
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
        except TimeoutError:
            raise AsteriskError("a recording does not end") from None
        with _unless_gone():
            await self._api.recordings.getStored(recordingName=name)
            return True
        return False

    async def is_recording(self, name: str) -> bool:
        """Whether such a recording is live."""
        with _unless_gone():
            await self._api.recordings.getLive(recordingName=name)
            return True
        return False

    async def create_bridge(self, bridge_id: str) -> None:
        # dtmf_events: a native bridge would hide the callee's keys
        await self._api.bridges.createWithId(bridgeId=bridge_id, type="mixing,dtmf_events")

    async def add_to_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        await self._api.bridges.addChannel(
            bridgeId=bridge_id, channel=list(channel_ids), inhibitConnectedLineUpdates="true"
        )

    async def take_from_bridge(self, bridge_id: str, channel_id: str, *, beside: bool = False) -> None:
        """Take a channel out of a bridge. ``beside``: as in :meth:`set_variables`; the request may take as
        long as a prompt.
        """
        # resource_bridges.c answers 400 or 422 if the channel has hung up, or is about to
        with _unless_gone(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            if beside:
                url = f"{self._base}/bridges/{quote(bridge_id, safe='')}/removeChannel"
                await self._transport.post_beside(url, {"channel": channel_id}, BESIDE_SECONDS)
            else:
                await self._api.bridges.removeChannel(bridgeId=bridge_id, channel=[channel_id])

    async def destroy_bridge(self, bridge_id: str) -> None:
        with _unless_gone():
            await self._api.bridges.destroy(bridgeId=bridge_id)

    async def own_channels(self) -> list[str]:
        """The channels in our application."""
        found = (await self._api.applications.get(applicationName=self._app)).json()
        return list(found["channel_ids"])

    async def bridges(self) -> dict[str, frozenset[str]]:
        """Every bridge, with the channels in it."""
        return {each["id"]: frozenset(each["channels"]) for each in (await self._api.bridges.list()).json()}


def _in_few(values: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """The variables to set, in one request if possible."""
    several = at_once(values)
    return values.items() if several is None else [several]


def _unavailable(reason: str) -> dict[str, str]:
    return {OUTCOME: Outcome.UNAVAILABLE.value, REASON: reason}


@contextlib.contextmanager
def _unless_gone(*also: HTTPStatus) -> Iterator[None]:
    """Ignore the answer that something is gone: 404, and the statuses ``also``, which mean it for some requests."""
    try:
        yield
    except Refused as refusal:
        if refusal.status not in {HTTPStatus.NOT_FOUND, *also}:
            raise


@contextlib.asynccontextmanager
async def open_ari(transport: Transport, credentials: Credentials) -> AsyncIterator[Ari]:
    """The operations of asyncari over ``transport``, as the Asterisk at its other end describes them."""
    async with _Client(None, f"{credentials.url.rstrip('/')}/", credentials.app, transport) as client:
        yield Ari(prepared(client.swagger.resources, transport), transport, credentials)
