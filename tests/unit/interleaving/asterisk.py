# ruff: noqa: N802, N803 - the names are ARI's
"""An Asterisk in memory, as far as calls know one, and the people on its telephones. That it does what Asterisk does,
``contract.py`` and those who import it check:

- what it reports of one channel keeps its order; what it reports of two channels, and its answers, may overtake one another;
- requests on the WebSocket are served one after the other;
- what is asked of a channel is done in turn: while a prompt plays to it, it is put into no bridge, taken out of none, and gets no variable;
  a channel that ends does at once all that is left, except for playing;
- of a channel that the dialplan handed over, and of one that listens, nothing more is reported once it has left the application; of one
  that was made for the application, everything is, until it is gone;
- a stop of a recording that has not begun is ignored; the end of a channel ends what records it;
- without a connection nothing is reported, no channel stays that is made, and ``Stasis()`` fails.
"""

import asyncio
import contextvars
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import accumulate
from typing import Any, cast

import aiohttp
import orjson

from ccari.calls.events import call_of
from ccari.calls.modules import ANSWERING_MACHINE, MODULES, TRANSFER
from ccari.calls.transport import LinkLost, Refused, Transport
from tests.unit.interleaving.loop import SimulatedLoop
from tests.unit.interleaving.plan import Fault, Place, Plan

#: Longer than ccari waits for an answer.
STANDSTILL_SECONDS = 6.0
#: How long a prompt is.
PROMPT_SECONDS = 2.0
#: Until the heartbeat notices a silent connection.
SILENT_SECONDS = 15.0
#: The context of the dialplan that keeps a channel.
STAYS = "stays"
#: How long a key is held down.
KEY_MS = 100
_LIMIT = "TIMEOUT(absolute)"
#: Of a PJSIP channel that has a session.
_OF_SIP_SESSION = "CHANNEL(pjsip,call-id)"
#: What Asterisk never refuses for want of something: it only may not find what the request is about.
_NEVER_REFUSED = frozenset(
    {"channels/hangup", "bridges/destroy", "bridges/list", "applications/get", "asterisk/listModules", "asterisk/ping", "playbacks/stop",
     "recordings/stop", "recordings/cancel"}
)  # fmt: skip


class RefusedHere(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, why: str = "refused") -> None:
        super().__init__(why)
        self.status = status


@dataclass(eq=False)
class Playing:
    """``lengths``: of each of its ``prompts``, in seconds."""

    id: str
    prompts: list[str]
    lengths: list[float]
    began_at: float | None = None
    timer: asyncio.TimerHandle | None = None
    missed: bool = False
    #: Stopped before it began.
    is_stopped: bool = False

    @property
    def seconds(self) -> float:
        return sum(self.lengths)


@dataclass(eq=False)
class Taping:
    """A recording. ``began_at``: None until it runs; ``ended_at``: None while it runs. ``was_to_stop``: it was told
    to, even before it began. ``is_forgotten``: it ended a moment ago, and is no longer live.
    """

    name: str
    channel: str
    began_at: float | None = None
    ended_at: float | None = None
    kept: bool = True
    was_to_stop: bool = False
    is_forgotten: bool = False


@dataclass(eq=False)
class Channel:
    """``is_ours``: it was made for our application, which hears of it until it is gone. ``queue``: what is asked of it, in turn."""

    id: str
    made_as: str
    state: str = "Down"
    is_ours: bool = False
    in_app: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    bridge: str | None = None
    spies_on: str | None = None
    queue: deque[Playing | Callable[[], None]] = field(default_factory=deque)
    limit: asyncio.TimerHandle | None = None
    on_hold: bool = False
    dialled: bool = False
    #: It goes back to the dialplan, which hangs up soon, or keeps it.
    leaves: bool = False
    stays: bool = False
    refers_to: str = ""
    #: Prompts that were heard from beginning to end.
    heard: set[str] = field(default_factory=set)

    @property
    def is_followed(self) -> bool:
        """Whether our application hears of it."""
        return self.in_app or self.is_ours

    @property
    def playing(self) -> Playing | None:
        newest = self.queue[0] if self.queue else None
        return newest if isinstance(newest, Playing) else None

    @property
    def playbacks(self) -> list[Playing]:
        return [each for each in self.queue if isinstance(each, Playing)]

    @property
    def told(self) -> dict[str, Any]:
        return {"id": self.id, "name": f"{self.made_as}-00000001", "state": self.state,
                "caller": {"name": "", "number": self.variables.get("CALLERID(num)", "")}}  # fmt: skip


class Socket:
    """One WebSocket, as :class:`ccari.calls.transport.Transport` sees it."""

    def __init__(self, serve: Callable[["Socket", dict[str, Any]], Awaitable[None]]) -> None:
        self.closed = False
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._told: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        self._serve = serve
        self.serving = _apart(self._requests())

    async def _requests(self) -> None:
        while True:
            await self._serve(self, await self.sent.get())

    async def receive(self) -> aiohttp.WSMessage:
        return await self._told.get()

    async def send_frame(self, data: bytes, _: aiohttp.WSMsgType) -> None:
        if self.closed:
            raise ConnectionResetError
        self.sent.put_nowait(orjson.loads(data))

    def tell(self, message: dict[str, Any]) -> None:
        if not self.closed:
            text = orjson.dumps(message).decode()
            self._told.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None))

    def end(self) -> None:
        self.closed = True
        self._told.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None))

    async def close(self) -> None:
        self.end()


class Line(Transport):
    """The real transport on a simulated WebSocket; what it sends beside it goes to the same Asterisk."""

    def __init__(self, socket: Socket, asterisk: "Asterisk") -> None:
        super().__init__(cast("Any", socket), cast("Any", None), {})
        self._asterisk = asterisk

    async def post_beside(self, url: str, params: Any, seconds: float) -> None:
        if self._is_over():
            raise LinkLost("the connection to Asterisk was lost")
        thing, does = url.split("/")[-2:]
        of_channel = does == "variable"
        name = "channels/setChannelVar" if of_channel else f"bridges/{does}"
        whose = {"channelId" if of_channel else "bridgeId": thing}
        served = _apart(self._asterisk.answer(name, {**whose, **params}))
        try:
            async with asyncio.timeout(seconds):
                status, body = await asyncio.shield(served)
        except TimeoutError:
            raise LinkLost("Asterisk gave no answer") from None
        if status >= HTTPStatus.BAD_REQUEST:
            raise Refused(status, name, body)


class Operations:
    """ARI's operations by the names of Swagger: ``channels.playWithId``."""

    def __init__(self, line: Transport) -> None:
        self._line = line

    def __getattr__(self, resource: str) -> Any:
        return _Resource(self._line, resource)


class _Resource:
    def __init__(self, line: Transport, resource: str) -> None:
        self._line = line
        self._resource = resource

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[Any]]:
        url = f"/ari/{self._resource}/{operation}"
        return lambda **given: self._line.request("POST", url, data=json.dumps(given))


class Asterisk:
    """``happened``: called with each thing that people may react to, such as ``playing identity``. ``jitter``: None has everything take
    the same time.
    """

    def __init__(
        self, loop: SimulatedLoop, plan: Plan, note: Callable[..., None], happened: Callable[[str], None],
        jitter: random.Random | None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._plan = plan
        self.note = note
        self.happened = happened
        self._jitter = jitter
        self.socket: Socket | None = None
        #: Its next answer is one that nobody could foresee.
        self.confused = False
        #: Those that serve requests.
        self._tasks: list[asyncio.Task[Any]] = []
        self.channels: dict[str, Channel] = {}
        self.past: dict[str, Channel] = {}
        self.bridges: dict[str, list[str]] = {}
        self.tapings: dict[str, Taping] = {}
        self.dials: Counter[str] = Counter()
        #: Of prompts that are not :data:`PROMPT_SECONDS` long.
        self.lengths: dict[str, float] = {}
        self._heard_until: dict[str, float] = {}
        self._handles: list[asyncio.TimerHandle] = []
        #: Looks at what is about to happen: ``dial``, ``record``, ``together`` and ``play``, each with its channel and more; and
        #: ``stock``, without any.
        self.watch: Callable[..., None] = lambda *_: None

    # the connection

    def connect(self) -> Line:
        self.lose()
        self.socket = Socket(self._request)
        self._tasks.append(self.socket.serving)
        return Line(self.socket, self)

    def lose(self, *, unnoticed: bool = False) -> None:
        """Cut the connection. ``unnoticed``: the service learns of it only by its heartbeat."""
        socket, self.socket = self.socket, None
        if socket is None:
            return
        self.note("connection lost", "silently" if unnoticed else "")
        if unnoticed:
            self._later(SILENT_SECONDS, socket.end)
        else:
            socket.end()

    async def close(self) -> None:
        for each in self._handles:
            each.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _request(self, socket: Socket, asked: dict[str, Any]) -> None:
        name = asked["uri"]
        given = orjson.loads(asked.get("message_body") or "{}")
        fault = self._plan.at(Place.REQUEST)
        self.note("request", name, _about(given), fault or "")
        if name == "bridges/list":
            self.watch("stock")
        await asyncio.sleep(self._lag())
        if socket is not self.socket:
            # what was on its way when the connection was lost has not arrived
            return
        if fault is Fault.CUT_BEFORE:
            self.lose()
            return
        if fault is Fault.REFUSED and name not in _NEVER_REFUSED:
            self._tell("", socket, _reply(asked, 500, ""))
            return
        if fault is Fault.DONE_LATE:
            await asyncio.sleep(STANDSTILL_SECONDS)
        status, body = await self.answer(name, given)
        if fault is Fault.CUT_AFTER:
            self.lose()
            return
        if fault is Fault.UNANSWERED:
            await asyncio.sleep(STANDSTILL_SECONDS)
        reply = _reply(asked, status, body)
        if self.confused:
            self.confused = False
            del reply["status_code"]
        self._tell("", socket, reply, partial(socket.tell, reply) if fault is Fault.TWICE else lambda: None)

    async def answer(self, name: str, given: dict[str, Any]) -> tuple[int, str]:
        resource, _, operation = name.partition("/")
        does = getattr(self, f"_{resource}_{operation}", None)
        if does is None:
            return 200, "{}"
        try:
            body = does(**given)
            if asyncio.iscoroutine(body):
                body = await body
        except RefusedHere as refusal:
            self.note("refused", name, refusal.status, str(refusal))
            return refusal.status, str(refusal)
        return 200, orjson.dumps({} if body is None else body).decode()

    def _tell(
        self,
        source: str,
        socket: Socket | None,
        message: dict[str, Any],
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        """Send in a moment; what comes of one source keeps its order."""
        if socket is None:
            return
        # a little later than the last: the loop keeps no order among timers of the same moment
        at = max(self._loop.time() + self._lag(), self._heard_until.get(source, 0.0) + 1e-6)
        self._heard_until[source] = at

        def arrive() -> None:
            if socket is self.socket and not socket.closed:
                arrived()
                socket.tell(message)

        self._handles.append(self._loop.call_at(at, arrive))

    def report(
        self,
        channel: Channel | None,
        kind: str,
        source: str = "",
        arrived: Callable[[], None] = lambda: None,
        **more: Any,
    ) -> None:
        told = {"type": kind, "timestamp": self._loop.moment().isoformat(timespec="milliseconds"), **more}
        if channel is not None:
            told["channel"] = channel.told
            source = channel.id
        self.note("event", kind, source, *(str(each) for each in more.values() if isinstance(each, str)))
        self._tell(source, self.socket, told, arrived)

    def _lag(self) -> float:
        return 0.001 if self._jitter is None else self._jitter.choice((0.0001, 0.001, 0.004, 0.02, 0.2))

    def _later(self, seconds: float, what: Callable[..., object], *given: Any) -> asyncio.TimerHandle:
        handle = self._loop.call_later(seconds, what, *given)
        self._handles.append(handle)
        return handle

    # what people do

    def dial_in(
        self, channel_id: str, args: list[str], variables: dict[str, str], state: str = "Ring"
    ) -> None:
        """Somebody dials in, and the dialplan hands the channel over."""
        channel = self.channels[channel_id] = Channel(channel_id, "PJSIP/anna", state, variables=variables)
        if self.socket is None:
            self._later(0.1, self.hang_up, channel)
            return
        self._enter(channel, args)

    def _enter(self, channel: Channel, args: list[str]) -> None:
        channel.in_app = True
        self.report(channel, "StasisStart", args=args)

    def press(self, channel: Channel, key: str, arrived: Callable[[], None] = lambda: None) -> None:
        """``arrived``: called when the service hears it, if it does."""
        if channel.id in self.channels and channel.state == "Up" and channel.is_followed:
            self.report(channel, "ChannelDtmfReceived", arrived=arrived, digit=key, duration_ms=KEY_MS)

    def hold(self, channel: Channel) -> None:
        if channel.id in self.channels and channel.state == "Up":
            channel.on_hold = not channel.on_hold
            for each in channel.playbacks:
                each.missed = True
            if channel.is_followed:
                self.report(channel, "ChannelHold" if channel.on_hold else "ChannelUnhold")

    def refer(self, channel: Channel, to: str) -> None:
        if channel.id in self.channels and channel.in_app:
            self._tell_of_refer(channel, to)

    def _tell_of_refer(self, channel: Channel, to: str, **state: Any) -> None:
        channel.refers_to = to
        self.report(
            None, "ChannelTransfer", channel.id, refer_to={"requested_destination": {"destination": to}},
            referred_by={"source_channel": channel.told}, **state,
        )  # fmt: skip

    def up(self, channel: Channel) -> None:
        if channel.id in self.channels and channel.state != "Up":
            channel.state = "Up"
            self.report(channel, "ChannelStateChange")
            if channel.dialled:
                self._tell_of_dial(channel, "ANSWER")
            self.happened(f"answered {_who(channel.id)}")

    def hang_up(self, channel: Channel, cause: int = 16) -> None:
        """The channel ends, with all that depends on it."""
        if self.channels.pop(channel.id, None) is None:
            return
        self.past[channel.id] = channel
        if channel.limit is not None:
            channel.limit.cancel()
        if channel.playing is not None:
            self._played(channel, channel.playing, "failed")
        while channel.queue:
            if callable(what := channel.queue.popleft()):
                what()
        self._leave_bridge(channel)
        for spy in [each for each in self.channels.values() if each.spies_on == channel.id]:
            self.hang_up(spy)
        for taping in self.tapings.values():
            if taping.channel == channel.id and taping.ended_at is None:
                self._end(taping, kept=True)
        if channel.in_app:
            channel.in_app = False
            self.report(channel, "StasisEnd")
        if channel.is_ours:
            self.report(channel, "ChannelDestroyed", cause=cause)
        self.happened(f"gone {_who(channel.id)}")

    # channels

    def _channel(self, channel_id: str, *, in_app: bool = True) -> Channel:
        channel = self.channels.get(channel_id)
        if channel is None:
            raise RefusedHere(404, '{"message": "Channel not found"}')
        if in_app and not channel.in_app:
            raise RefusedHere(409)
        return channel

    def _channels_get(self, *, channelId: str) -> dict[str, Any]:
        return self._channel(channelId, in_app=False).told

    def _channels_create(
        self, *, channelId: str, endpoint: str, appArgs: str, variables: dict[str, str], **_: Any
    ) -> None:
        if channelId in self.channels:
            raise RefusedHere(409)
        channel = self.channels[channelId] = Channel(channelId, endpoint, is_ours=True, variables=variables)
        self._limit(channel, variables[_LIMIT])
        self._enter_soon(channel, appArgs)

    def _enter_soon(self, channel: Channel, args: str) -> None:
        def enter() -> None:
            if channel.id in self.channels:
                if self.socket is None:
                    self.hang_up(channel)
                else:
                    self._enter(channel, [args])

        self._later(self._lag(), enter)

    def _limit(self, channel: Channel, seconds: str) -> None:
        if channel.limit is not None:
            channel.limit.cancel()
        channel.limit = self._later(float(seconds), self._expire, channel)

    def _expire(self, channel: Channel) -> None:
        self.hang_up(channel, 16 if channel.dialled else 21)

    def _channels_dial(self, *, channelId: str, timeout: int) -> None:
        channel = self._channel(channelId)
        if channel.dialled:
            raise RefusedHere(409)
        channel.dialled = True
        self.dials[channelId] += 1
        self.watch("dial", channel)
        self._tell_of_dial(channel, "")
        self._later(0.05, self.ring, channel)
        self._later(float(timeout), self._give_up, channel)

    def _tell_of_dial(self, channel: Channel, status: str) -> None:
        # in any order: one thread dials, another hears what comes of it
        self.report(None, "Dial", f"{channel.id} {status}", dialstatus=status, forward="", peer=channel.told)

    def ring(self, channel: Channel) -> None:
        """The telephone that was dialled rings."""
        if channel.id in self.channels and channel.state == "Down":
            channel.state = "Ringing"
            self.report(channel, "ChannelStateChange")
            self._tell_of_dial(channel, "RINGING")
            self.happened(f"rung {_who(channel.id)}")

    def _give_up(self, channel: Channel) -> None:
        if channel.state != "Up":
            self.hang_up(channel, 19)

    def _channels_answer(self, *, channelId: str) -> None:
        self.up(self._channel(channelId))

    def _channels_hangup(self, *, channelId: str) -> None:
        self.hang_up(self._channel(channelId, in_app=False))

    def _channels_playWithId(self, *, channelId: str, playbackId: str, media: str) -> None:
        channel = self._channel(channelId)
        if channel.state not in {"Up", "Ring"}:
            raise RefusedHere(412)
        prompts = [each.removeprefix("sound:") for each in media.split(",")]
        playing = Playing(playbackId, prompts, [self.lengths.get(each, PROMPT_SECONDS) for each in prompts])
        self.watch("play", channel, playing.prompts)
        channel.queue.append(playing)
        if len(channel.queue) == 1:
            self._go_on(channel)

    def _go_on(self, channel: Channel) -> None:
        """Do what is asked of the channel, up to the next that takes time."""
        while channel.queue:
            what = channel.queue[0]
            if not isinstance(what, Playing):
                channel.queue.popleft()
                what()
            elif what.is_stopped:
                channel.queue.popleft()
                self._tell_of_playing(channel, what, "PlaybackFinished", "done")
            else:
                self._play(channel, what)
                return
        if channel.leaves:
            self._leave(channel)

    def _in_turn(self, channel: Channel, act: Callable[[], None]) -> asyncio.Future[None]:
        """Have the channel do it after what was asked of it before."""
        done = self._loop.create_future()

        def do() -> None:
            act()
            done.set_result(None)

        channel.queue.append(do)
        if len(channel.queue) == 1:
            self._go_on(channel)
        return done

    def _play(self, channel: Channel, playing: Playing) -> None:
        playing.began_at, playing.missed = self._loop.time(), channel.on_hold
        self._tell_of_playing(channel, playing, "PlaybackStarted", "playing")
        for until in accumulate(playing.lengths[:-1]):
            self._later(until, self._play_on, channel, playing)
        self.happened(f"playing {playing.prompts[0]}")
        playing.timer = self._later(playing.seconds, self._played, channel, playing, "done")

    def _play_on(self, channel: Channel, playing: Playing) -> None:
        """The next of several files."""
        if channel.playing is playing:
            self._tell_of_playing(channel, playing, "PlaybackStarted", "playing")

    def _tell_of_playing(self, channel: Channel, playing: Playing, kind: str, state: str) -> None:
        told = {"id": playing.id, "state": state, "target_uri": f"channel:{channel.id}"}
        self.report(None, kind, channel.id, playback=told)

    def _played(self, channel: Channel, playing: Playing, state: str) -> None:
        if playing is not channel.playing or playing.began_at is None:
            return
        channel.queue.popleft()
        if playing.timer is not None:
            playing.timer.cancel()
        whole = self._loop.time() - playing.began_at >= playing.seconds - 0.01
        if whole and not playing.missed:
            channel.heard.update(playing.prompts)
        self._tell_of_playing(channel, playing, "PlaybackFinished", state)
        if channel.id not in self.channels:
            return
        if whole:
            self.happened(f"played {playing.prompts[0]}")
        self._go_on(channel)

    def _playbacks_stop(self, *, playbackId: str) -> None:
        for channel in self.channels.values():
            for each in channel.playbacks:
                if each.id == playbackId:
                    each.is_stopped = True
                    self._played(channel, each, "done")
                    return
        raise RefusedHere(404)

    def _channels_getChannelVar(self, *, channelId: str, variable: str) -> dict[str, str]:
        channel = self._channel(channelId, in_app=False)
        known = {_OF_SIP_SESSION: channel.id} | channel.variables
        if variable not in known:
            raise RefusedHere(404)
        return {"value": known[variable]}

    async def _channels_setChannelVar(self, *, variable: str, value: str, channelId: str) -> None:
        channel = self._channel(channelId)

        def set_it() -> None:
            channel.variables[variable] = value
            if variable == _LIMIT and channel.id in self.channels:
                self._limit(channel, value)

        await self._in_turn(channel, set_it)

    def _channels_transfer_progress(self, *, channelId: str, states: str) -> None:
        channel = self._channel(channelId)
        self._tell_of_refer(channel, channel.refers_to, state=states)
        self.happened(states)

    def _channels_continueInDialplan(self, *, channelId: str, context: str = "", **_: Any) -> None:
        channel = self._channel(channelId)
        channel.leaves, channel.stays = True, context == STAYS
        if not channel.queue:
            self._leave(channel)

    def _leave(self, channel: Channel) -> None:
        channel.in_app = channel.leaves = False
        self._leave_bridge(channel)
        self.report(channel, "StasisEnd")
        if not channel.stays:
            self._later(0.2, self.hang_up, channel)

    # recordings

    def _channels_snoopChannelWithId(self, *, channelId: str, snoopId: str, **_: Any) -> None:
        self._channel(channelId, in_app=False)
        if snoopId in self.channels:
            raise RefusedHere(500)
        snoop = self.channels[snoopId] = Channel(snoopId, "Snoop/1", "Up", spies_on=channelId)
        self._enter_soon(snoop, "snoop")

    def _channels_record(self, *, channelId: str, name: str, **_: Any) -> None:
        channel = self._channel(channelId)
        if name in self.tapings:
            raise RefusedHere(409)
        taping = self.tapings[name] = Taping(name, channelId)
        until = 0.02 if self._jitter is None else self._lag()
        self._later(until, self._in_turn, channel, partial(self._begin, channel, taping))

    def _begin(self, channel: Channel, taping: Taping) -> None:
        if taping.ended_at is not None:
            return
        taping.began_at = self._loop.time()
        self.watch("record", channel, taping.name)
        self.report(None, "RecordingStarted", channel.id, recording=self._told_of(taping))

    def _told_of(self, taping: Taping) -> dict[str, Any]:
        return {"name": taping.name, "target_uri": f"channel:{taping.channel}"}

    def _end(self, taping: Taping, *, kept: bool) -> None:
        taping.ended_at, taping.kept = self._loop.time(), kept and taping.began_at is not None
        self._later(2 * self._lag(), setattr, taping, "is_forgotten", True)
        self.report(None, "RecordingFinished", taping.channel, recording=self._told_of(taping))

    def _recordings_stop(self, *, recordingName: str) -> None:
        self._stop(recordingName, kept=True)

    def _recordings_cancel(self, *, recordingName: str) -> None:
        self._stop(recordingName, kept=False)

    def _stop(self, name: str, *, kept: bool) -> None:
        taping = self._live(name)
        if taping.ended_at is not None or (taping.began_at is None and taping.was_to_stop):
            raise RefusedHere(409)
        taping.was_to_stop = True
        if taping.began_at is not None:
            self._end(taping, kept=kept)

    def _live(self, name: str) -> Taping:
        taping = self.tapings.get(name)
        if taping is None or taping.is_forgotten:
            raise RefusedHere(404)
        return taping

    def _recordings_getLive(self, *, recordingName: str) -> None:
        self._live(recordingName)

    def _recordings_getStored(self, *, recordingName: str) -> None:
        taping = self.tapings.get(recordingName)
        if taping is None or taping.began_at is None or not taping.kept:
            raise RefusedHere(404)

    def has_file(self, name: str) -> bool:
        """Whether there is a whole file."""
        taping = self.tapings.get(name)
        return taping is not None and taping.ended_at is not None and taping.kept

    # bridges

    def _bridges_createWithId(self, *, bridgeId: str, **_: Any) -> None:
        if bridgeId in self.bridges:
            raise RefusedHere(409)
        self.bridges[bridgeId] = []

    async def _bridges_addChannel(self, *, bridgeId: str, channel: list[str] | str, **_: Any) -> None:
        self._bridge(bridgeId)
        found = [self._to_bridge(each) for each in ([channel] if isinstance(channel, str) else channel)]
        for each in found:
            await self._in_turn(each, partial(self._join, bridgeId, each))

    def _to_bridge(self, channel_id: str) -> Channel:
        channel = self.channels.get(channel_id)
        if channel is None:
            raise RefusedHere(400)
        if not channel.in_app:
            raise RefusedHere(422)
        return channel

    def _join(self, bridge_id: str, channel: Channel) -> None:
        self._leave_bridge(channel)
        members = self.bridges.get(bridge_id)
        if members is None:
            return
        channel.bridge = bridge_id
        members.append(channel.id)
        if channel.id in self.channels and len(members) > 1:
            self.watch("together", *(self.channels[each] for each in members))
            self.happened("together")

    def _bridge(self, bridge_id: str) -> list[str]:
        if bridge_id not in self.bridges:
            raise RefusedHere(404)
        return self.bridges[bridge_id]

    async def _bridges_removeChannel(self, *, bridgeId: str, channel: list[str] | str) -> None:
        self._bridge(bridgeId)
        for each in [channel] if isinstance(channel, str) else channel:
            found = self._to_bridge(each)
            if found.bridge != bridgeId:
                raise RefusedHere(422)
            await self._in_turn(found, partial(self._leave_bridge, found))

    def _leave_bridge(self, channel: Channel) -> None:
        bridge, channel.bridge = channel.bridge, None
        if bridge is None:
            return
        if bridge in self.bridges:
            self.bridges[bridge].remove(channel.id)
        self.report(channel, "ChannelLeftBridge", bridge={"id": bridge})

    def _bridges_destroy(self, *, bridgeId: str) -> None:
        members = [self.channels[each] for each in self._bridge(bridgeId)]
        del self.bridges[bridgeId]
        for each in members:
            self._in_turn(each, partial(self._leave_bridge, each))

    def _bridges_list(self) -> list[dict[str, Any]]:
        return [{"id": name, "channels": list(members)} for name, members in self.bridges.items()]

    # the rest

    def _applications_get(self, **_: Any) -> dict[str, Any]:
        return {"channel_ids": [each.id for each in self.channels.values() if each.is_followed]}

    def _channels_rtpstatistics(self, *, channelId: str) -> dict[str, int]:
        if self._channel(channelId, in_app=False).state == "Down":
            raise RefusedHere(404, '{"message": "RTP info not found"}')
        return {"txcount": 1}

    def _asterisk_listModules(self) -> list[dict[str, str]]:
        return [{"name": each, "status": "Running"} for each in (*MODULES, *TRANSFER, *ANSWERING_MACHINE)]

    def _asterisk_getObject(self, **_: Any) -> list[dict[str, str]]:
        return [{"attribute": "media_encryption", "value": "no"}]

    @property
    def left(self) -> list[str]:
        """What calls have made in it, and what is still in our application."""
        return [
            *(f"channel {each.id}" for each in self.channels.values() if each.in_app or call_of(each.id)),
            *(f"bridge {each}" for each in self.bridges if call_of(each)),
            *(f"recording {each.name}" for each in self.tapings.values() if each.ended_at is None),
        ]


def _apart(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that belongs to Asterisk, and to no service."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


def _reply(asked: dict[str, Any], status: int, body: str) -> dict[str, Any]:
    return {
        "type": "RESTResponse",
        "request_id": asked["request_id"],
        "status_code": status,
        "message_body": body,
    }


def _about(given: dict[str, Any]) -> str:
    """What a request is about, in a line of the trace."""
    return " ".join(str(value) for value in given.values() if isinstance(value, (str, list)))


def _who(channel_id: str) -> str:
    """Whose channel it is: the end of its name, or ``home``."""
    return channel_id.rpartition("-")[2] if call_of(channel_id) else "home"
