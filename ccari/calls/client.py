"""What ccari asks of Asterisk, in typed calls over asyncari's Swagger operations."""

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
from asyncari.client import Client

from ccari.calls.modules import MODULES, lacking
from ccari.calls.operations import prepared
from ccari.calls.transport import (
    BESIDE_SECONDS,
    CONNECT_SECONDS,
    REQUEST_SECONDS,
    Credentials,
    Refused,
    Transport,
    explained,
)
from ccari.errors import AsteriskError, UnsuitableError
from ccari.gating.variables import OUTCOME, REASON, at_once
from ccari.peers import whole
from ccari.policy.call import Outcome
from ccari.policy.campaign import Campaign

#: GHSA-wcvv-g26m-wx5c let a read-only ARI user write over the WebSocket before this one.
OLDEST_ASTERISK = (22, 10, 1)

#: How Asterisk says that a channel is not there.
_NO_CHANNEL = "Channel not found"
#: The technology whose phones ask for transfers, by REFER.
PJSIP = "PJSIP"
#: Who follows a channel's REFERs: Asterisk itself, or whoever holds the channel by ARI.
TRANSFERS = "PJSIP_TRANSFER_HANDLING()"
_OF_SIP_SESSION = "CHANNEL(pjsip,call-id)"

#: From one look for a module that a campaign lacks to the next: somebody may have loaded it, and each call asks.
MODULES_AGAIN_SECONDS = 5.0

#: Of what Asterisk tells of itself, some hundred bytes.
_MOST_INFO_BYTES = 64 * 1024
#: For a recording that was told to stop to be written to its end.
RECORDED_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.05

#: Every other event would be formatted, sent, parsed and thrown away. The filter also eats replies unless it names them.
EVENTS = (
    "RESTResponse", "ApplicationReplaced", "StasisStart", "StasisEnd", "ChannelStateChange", "ChannelDestroyed",
    "ChannelDtmfReceived", "ChannelHold", "ChannelUnhold", "ChannelTransfer", "ChannelLeftBridge", "Dial", "PlaybackStarted", "PlaybackFinished", "RecordingStarted", "RecordingFinished",
    "RecordingFailed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """Which Asterisk this is: ``name`` stays the same over its restarts, ``run`` changes with each of them."""

    version: str
    name: str
    run: str


#: What of a channel a snoop channel hears: what comes from it, what it is sent, or both.
Spy = Literal["both", "in", "out"]


class _Client(Client):  # type: ignore[misc]
    """asyncari's client without its event pump, which stalls on one slow listener and dies of a duplicate event."""

    async def __aenter__(self) -> Self:
        await self._init()
        return self

    async def __aexit__(self, *_: object) -> None:
        # asyncari's own closes the transport, which is not this client's, and fails if that takes a second
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
        """Raise UnsuitableError with the modules that every call needs and that do not run."""
        await self._look_for_modules()
        missing = [name for name in MODULES if name not in self._running]
        if missing:
            raise UnsuitableError(f"Asterisk lacks {', '.join(missing)}: load them in modules.conf")

    async def lacking(self, campaign: Campaign, *, inbound: bool = False) -> Mapping[str, Sequence[str]]:
        """The modules that the campaign, or its ``inbound`` calls, need and that do not run: by the key of the policy that has
        them needed.

        Asterisk is asked anew where some did not run, once in :data:`MODULES_AGAIN_SECONDS` whoever asks.
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
        """Ask for nothing: whether Asterisk answers, and still lets the user in."""
        await self._api.asterisk.ping()

    async def filter_events(self) -> None:
        """Have Asterisk send what :data:`EVENTS` names and nothing else."""
        # asyncari wraps a body in its parameter's name, which Asterisk would ignore here without a word
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

    async def create_channel(
        self,
        channel_id: str,
        endpoint: str,
        *,
        args: str,
        originator: str | None,
        variables: Mapping[str, str],
    ) -> None:
        """Make a channel that waits in our application, undialled. It fails closed if the application is not active."""
        whose = {} if originator is None else {"originator": originator}
        await self._api.channels.create(
            endpoint=endpoint, app=self._app, appArgs=args, channelId=channel_id, variables=dict(variables),
            **whose,
        )  # fmt: skip

    async def dial(self, channel_id: str, *, seconds: int) -> None:
        """Send the INVITE. No ``caller`` is named: the callee would be shown the agent's own number."""
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
        """True if there was such a channel."""
        with _unless_gone():
            await self._api.channels.hangup(channelId=channel_id)
            return True
        return False

    async def play(self, channel_id: str, playback_id: str, media: str) -> None:
        await self._api.channels.playWithId(channelId=channel_id, playbackId=playback_id, media=media)

    async def media_encryption(self, endpoint: str) -> str:
        """How the sound of a PJSIP endpoint is encrypted, as in ``pjsip.conf``: ``no``, ``sdes`` or ``dtls``."""
        settings = await self._api.asterisk.getObject(
            configClass="res_pjsip", objectType="endpoint", id=endpoint
        )
        return next(
            (str(each["value"]) for each in settings.json() if each["attribute"] == "media_encryption"), ""
        )

    async def start_silence(self, channel_id: str) -> None:
        """Have Asterisk send silence to a channel, until it is stopped."""
        await self._api.channels.startSilence(channelId=channel_id)

    async def stop_silence(self, channel_id: str) -> None:
        with _unless_gone():
            await self._api.channels.stopSilence(channelId=channel_id)

    async def packets_sent(self, channel_id: str) -> int:
        """How many packets of sound were sent to a channel, which may have no RTP: 0."""
        try:
            return int((await self._api.channels.rtpstatistics(channelId=channel_id)).json()["txcount"])
        except Refused as refusal:
            # so it is said of a channel that is not there, too
            if refusal.status != HTTPStatus.NOT_FOUND or _NO_CHANNEL in str(refusal):
                raise
            return 0

    async def stop_playback(self, playback_id: str) -> None:
        with _unless_gone():
            await self._api.playbacks.stop(playbackId=playback_id)

    async def take_transfers(self, channel_id: str) -> None:
        """Have a PJSIP channel's REFERs reported: else Asterisk follows them, past every gate."""
        await self.set_variable(channel_id, TRANSFERS, "ari-only")

    async def answer_transfer(self, channel_id: str, *, made: bool) -> None:
        """Let a phone that has sent a REFER know what became of it.

        Asterisk (22.10.1, ``res_pjsip_refer``) tells of a REFER before it is through with it, and dies of an answer
        that comes in between. So a variable of the SIP session is read first: the thread that handles the REFER
        reads it, and does so only when it is through. 500 says that there is no such session, and so no REFER.
        """
        with _unless_gone(HTTPStatus.INTERNAL_SERVER_ERROR):
            await self._api.channels.getChannelVar(channelId=channel_id, variable=_OF_SIP_SESSION)
            await self._api.channels.transfer_progress(
                channelId=channel_id, states="channel_answered" if made else "channel_declined"
            )

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        await self._api.channels.setChannelVar(channelId=channel_id, variable=name, value=value)

    async def set_variables(
        self, channel_id: str, values: Mapping[str, str], *, beside: bool = False
    ) -> None:
        """Several in one request, or one by one where a value is more than a word. ``beside``: something may be playing to the channel,
        so that Asterisk may answer late, and no other request is to wait for that.
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
        """The value of a variable or function; empty where there is none."""
        with _unless_gone():
            found = await self._api.channels.getChannelVar(channelId=channel_id, variable=name)
            return str(found.json()["value"])
        return ""

    async def continue_in_dialplan(self, channel_id: str, context: str | None = None) -> None:
        """Where it left the dialplan, or at the beginning of ``context``."""
        where = {} if context is None else {"context": context, "extension": "s", "priority": 1}
        await self._api.channels.continueInDialplan(channelId=channel_id, **where)

    async def turn_away(self, channel_id: str, reason: str) -> None:
        """Give a channel back to the dialplan with the outcome ``unavailable``; without an outcome, if that cannot be set."""
        with contextlib.suppress(AsteriskError):
            await self.set_variables(channel_id, _unavailable(reason))
        await self.continue_in_dialplan(channel_id)

    async def give_back(self, channel_id: str, reason: str) -> None:
        """As :meth:`turn_away`, for a channel of an earlier run; but after a talk its outcome is left as it is.

        A prompt may still be playing to the channel: Asterisk then sets no variable before its end. So that no other request
        waits for that, they are set over connections of their own.
        """
        with contextlib.suppress(AsteriskError):
            # if nobody has talked to a caller, the dialplan may connect them to somebody without a notice; reading does not wait
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
        """Stop and keep, or stop and discard, a live recording; True if there was one."""
        with _unless_gone():
            recordings = self._api.recordings
            await (recordings.stop if keep else recordings.cancel)(recordingName=name)
            return True
        return False

    async def recorded(self, name: str) -> bool:
        """Wait until the live recording is no more: then its file is whole. True if there is one.

        Nothing reports the end of one that was begun over another connection, so it is asked for. Raises
        AsteriskError if it goes on for :data:`RECORDED_SECONDS`.
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
        """Whether there is such a live recording."""
        with _unless_gone():
            await self._api.recordings.getLive(recordingName=name)
            return True
        return False

    async def create_bridge(self, bridge_id: str) -> None:
        # dtmf_events: native bridging would hide the callee's keys
        await self._api.bridges.createWithId(bridgeId=bridge_id, type="mixing,dtmf_events")

    async def add_to_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        await self._api.bridges.addChannel(
            bridgeId=bridge_id, channel=list(channel_ids), inhibitConnectedLineUpdates="true"
        )

    async def take_from_bridge(self, bridge_id: str, channel_id: str, *, beside: bool = False) -> None:
        """``beside`` as of :meth:`set_variables`; it takes as long as a prompt then."""
        # of one that has hung up, or is about to, resource_bridges.c says so in words of its own
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
        """The channels that are in our application."""
        found = (await self._api.applications.get(applicationName=self._app)).json()
        return list(found["channel_ids"])

    async def bridges(self) -> dict[str, frozenset[str]]:
        """Every bridge with the channels that are in it."""
        return {each["id"]: frozenset(each["channels"]) for each in (await self._api.bridges.list()).json()}


def _in_few(values: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """The variables to set, in one request if that can be."""
    several = at_once(values)
    return values.items() if several is None else [several]


def _unavailable(reason: str) -> dict[str, str]:
    return {OUTCOME: Outcome.UNAVAILABLE.value, REASON: reason}


@contextlib.contextmanager
def _unless_gone(*also: HTTPStatus) -> Iterator[None]:
    """Ignore the answer that the thing is not there: 404, and the statuses ``also``, which mean it for some requests."""
    try:
        yield
    except Refused as refusal:
        if refusal.status not in {HTTPStatus.NOT_FOUND, *also}:
            raise


@contextlib.asynccontextmanager
async def operations(transport: Transport, credentials: Credentials) -> AsyncIterator[Ari]:
    """The operations of asyncari over ``transport``, described by the Asterisk at its other end."""
    async with _Client(None, f"{credentials.url.rstrip('/')}/", credentials.app, transport) as client:
        yield Ari(prepared(client.swagger.resources, transport), transport, credentials)


async def identify(session: aiohttp.ClientSession, credentials: Credentials) -> Identity:
    """Ask which Asterisk this is, before taking its application over.

    Raises
    ------
    AsteriskError
        If it cannot be asked, or is older than :data:`OLDEST_ASTERISK`.
    """
    url = f"{credentials.url.rstrip('/')}/ari/asterisk/info"
    with explained(credentials):
        # closed after the answer: Asterisk counts idle connections against its session limit
        headers = {**credentials.headers, "Connection": "close"}
        async with (
            asyncio.timeout(CONNECT_SECONDS),
            session.get(url, headers=headers, raise_for_status=True) as reply,
        ):
            answer = await whole(reply, _MOST_INFO_BYTES)
    try:
        info = orjson.loads(answer or b"")
        version, entity = str(info["system"]["version"]), str(info["system"]["entity_id"])
        started = str(info["status"]["startup_time"])
    except (ValueError, KeyError, TypeError):
        raise AsteriskError(
            f"{credentials.url} is no ARI: its answer makes no sense: check [asterisk] url"
        ) from None
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if found < OLDEST_ASTERISK:
        needed = ".".join(map(str, OLDEST_ASTERISK))
        raise UnsuitableError(f"Asterisk {version} is too old: ccari needs {needed} or newer for ARI")
    # the entity is a MAC address, which several Asterisks of one machine share
    return Identity(version, f"{entity}@{urlsplit(credentials.url).netloc}", f"{entity}/{started}")
