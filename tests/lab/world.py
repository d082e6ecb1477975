"""Everyone around the pbx: trunk provider, callees and agents."""

import asyncio
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp

from tests.lab import audio, callees, wire
from tests.lab.asterisk import Asterisk
from tests.lab.calls import AgentCall
from tests.lab.errors import LabError
from tests.lab.waiting import until

APP = "lab"
REQUEST_SECONDS = 30.0
ORIGINATE_SECONDS = 120
"""How long an agent's phone waits for the pbx to answer."""

HEARD_SECONDS = 15.0
SUBROUTINE_SECONDS = 5.0
"""How long a callee may take until it is back at its number."""

MODULES = "load = app_bridgewait.so\nload = res_tonedetect.so"
"""What only phones need: to put a call on hold, and to press a key once they hear something."""

EVENTS = ("ChannelStateChange", "ChannelDestroyed")


class World(Asterisk):
    """The instance that plays everybody else; agents' phones have their own loopback address."""

    name = "world"
    templates: ClassVar[tuple[str, ...]] = ("common", "world")
    sip_addresses = ("127.0.0.1", "127.0.0.2")

    def __init__(self, root: Path, directory: Path) -> None:
        super().__init__(root, directory)
        self.pbx_sip_port = 0
        self.heard = self.home / "heard"
        self.calls: dict[str, AgentCall] = {}
        self._pcaps: list[Path] = []
        self._pcaps_read = 0
        self._rolling = asyncio.Lock()
        self._messages: list[str] = []
        #: The channels of callees who were told to press keys, by number.
        self._pressed: dict[str, str] = {}
        self._session: aiohttp.ClientSession | None = None
        self._reader: asyncio.Task[None] | None = None

    def settings(self) -> Mapping[str, object]:
        """Add the pbx's address and where packets are logged."""
        settings = super().settings()
        return {
            **settings,
            "release_modules": f"{settings['release_modules']}\n{MODULES}",
            "pbx_sip_port": self.pbx_sip_port,
            "cues": "-".join(map(str, callees.CUES.values())),
            "pcap": self._new_pcap(),
        }

    async def start(self) -> None:
        """Start, and listen for the events of agents' calls."""
        await self._deafen()
        self.heard.mkdir(parents=True, exist_ok=True)
        await super().start()
        try:
            await self._listen()
        except BaseException:
            await self.stop(at_once=True)
            raise

    async def stop(self, *, at_once: bool = False) -> None:
        """Stop; calls that are still open are lost."""
        await self._deafen()
        await super().stop(at_once=at_once)

    async def dial(
        self,
        number: str,
        *,
        campaign: str | None = None,
        agent: str = "talks",
        context: str | None = None,
        caller: str = "101",
        pbx: Asterisk | None = None,
    ) -> AgentCall:
        """An agent's phone dials a number; returns as soon as it dials.

        Parameters
        ----------
        number
            As the agent dials it, ``+48600…``; any text is allowed, also one that is no number.
        campaign
            The pbx's ``CCARI_CAMPAIGN``; ``renewals`` by default.
        agent
            What the phone does once answered: ``talks``, ``silent``, ``drops-SECONDS``, ``presses-KEY-SECONDS`` (and
            ``-KEY-SECONDS`` once more, and ``-SECONDS`` until it hangs up), ``refers-WHOM-SECONDS`` (a blind transfer by
            REFER; a colleague's hyphens are dots there; ``-SECONDS`` until it hangs up if it still has the call),
            ``types-WHOM-SECONDS-KEYS-SECONDS`` (which presses keys before), ``late-AFTER-THEN`` (rings first, and hangs up THEN), ``holds-AFTER-FOR-THEN`` (silent until it takes the
            call back, all in seconds).
        context
            The context of the pbx that the call enters, ``ccari-outbound`` by default; ``lab-dial`` dials without ccari.
        caller
            The agent's own number.
        pbx
            The PBX that the phone belongs to; the lab's own by default.
        """
        call = AgentCall(str(uuid.uuid4()), number, datetime.now(UTC))
        port = self.pbx_sip_port if pbx is None else pbx.sip_port
        headers = {"X-Lab-Call": call.id, "X-Campaign": campaign, "X-Lab-Context": context}
        body = {
            # Escaped, so that a number with / @ or ; in it reaches the pbx as dialled.
            "endpoint": f"PJSIP/pbx/sip:{quote(number, safe='+')}@127.0.0.1:{port}",
            "context": "agents",
            "extension": agent,
            "priority": 1,
            "callerId": f"Agent {caller} <{caller}>",
            "timeout": ORIGINATE_SECONDS,
            "variables": {"LAB_CALL": call.id, **_sent(headers)},
        }
        return await self._placed(call, body)

    async def call_in(
        self,
        callee: str,
        campaign: str,
        *,
        destination: str = "",
        withheld: bool = False,
        asserted: bool = False,
        greeted: bool = False,
    ) -> AgentCall:
        """A callee calls the centre and, once answered, does what their number encodes; returns as soon as they call.

        Parameters
        ----------
        callee
            The caller, ``+48600…``, which is also the number shown unless ``withheld``.
        campaign
            The campaign that they dial.
        destination
            The pbx's ``CCARI_DESTINATION``.
        asserted
            The provider tells the pbx the number that is ``withheld`` (RFC 3325).
        greeted
            The pbx answers by itself, and passes the call to ccari two seconds later.
        """
        call = AgentCall(str(uuid.uuid4()), campaign, datetime.now(UTC))
        digits = callee.removeprefix("+")
        headers = {
            "X-Lab-Call": call.id,
            "X-Lab-Destination": destination,
            "X-Lab-Greeted": "yes" if greeted else None,
            "P-Asserted-Identity": f"<sip:{callee}@127.0.0.1>" if asserted else None,
            "Privacy": "id" if asserted else None,
        }
        body = {
            "endpoint": f"PJSIP/provider/sip:{campaign}@127.0.0.1:{self.pbx_sip_port}",
            "context": "callees",
            "extension": digits,
            "priority": 1,
            "callerId": "Anonymous <anonymous>" if withheld else callee,
            "timeout": ORIGINATE_SECONDS,
            "variables": {"LAB_NUMBER": digits, **_sent(headers)},
        }
        return await self._placed(call, body)

    async def _placed(self, call: AgentCall, body: Mapping[str, object]) -> AgentCall:
        # registered before its first event arrives
        self.calls[call.id] = call
        try:
            call.channel = (await self._request("POST", f"channels/{call.id}", body))["name"]
        except BaseException:
            del self.calls[call.id]
            raise
        return call

    async def hang_up(self, call: AgentCall) -> None:
        """The agent hangs up; does nothing if the call is over."""
        await self._request("DELETE", f"channels/{call.id}", none_is_fine=True)

    async def take_over(self, call: AgentCall) -> None:
        """Another phone takes over an agent's call, by an INVITE that names it (Replaces, RFC 3891); returns before it is answered."""
        dialog = ("call-id", "remote_tag", "local_tag")
        asked = [f"channels/{call.id}/variable?variable=CHANNEL(pjsip,{each})" for each in dialog]
        name, theirs, ours = [(await self._request("GET", each))["value"] for each in asked]
        body = {
            "endpoint": f"PJSIP/pbx/sip:102@127.0.0.1:{self.pbx_sip_port}",
            "context": "agents",
            "extension": "talks",
            "priority": 1,
            "variables": {
                "LAB_CALL": str(uuid.uuid4()),
                "PJSIP_HEADER(add,Replaces)": f"{name};to-tag={theirs};from-tag={ours}",
            },
        }
        await self._request("POST", "channels", body)

    async def press(self, call: AgentCall, keys: str) -> None:
        """The agent presses keys, one after the other; returns before the first is sent."""
        await self._press(call.channel, "agent-presses", keys)

    async def callee_presses(self, number: str, keys: str) -> None:
        """The callee at a number presses keys, as :meth:`press`."""
        talking = await self._callee(number)
        await self._press(talking, "callee-presses", keys)
        self._pressed[number] = talking

    async def callee_hangs_up(self, number: str) -> None:
        """The callee at a number hangs up; returns before they have."""
        answer = await self.cli(f"channel request hangup {await self._callee(number)}")
        if "Requested Hangup" not in answer:
            raise LabError(f"the callee does not hang up: {answer.strip()}")

    async def _callee(self, number: str) -> str:
        """The channel of the callee at a number, once it is at the number."""
        # a channel that pressed keys before is at the keys' extension, no longer at its number
        before = self._pressed.get(number)
        talking: list[str] = []

        async def found() -> bool:
            channels = (await self.cli("core show channels concise")).splitlines()
            fields = [each.split("!") for each in channels]
            talking[:] = [each[0] for each in fields if number.removeprefix("+") in each or each[0] == before]
            return bool(talking)

        with suppress(TimeoutError):
            # whoever has just answered, or is pressing a key, is in a subroutine, whose extension is s
            await until(found, within=SUBROUTINE_SECONDS)
        if len(talking) != 1:
            raise LabError(f"{len(talking)} callees are on the line at that number")
        return talking[0]

    async def _press(self, channel: str, context: str, keys: str) -> None:
        # ARI sends DTMF only on channels of an application, and a phone is in the dialplan.
        answer = await self.cli(f"channel redirect {channel} {context},{keys},1")
        if "successfully redirected" not in answer:
            raise LabError(f"{channel} takes no keys: {answer.strip()}")

    async def invites(self, number: str) -> int:
        """How many INVITEs for a number reached world, counted on the wire, without retransmissions."""
        return wire.invites(await self._received(), number.removeprefix("+"))

    async def invite(self, number: str) -> str:
        """The last INVITE for a number that reached world, whole."""
        wanted = re.compile(rf"INVITE sips?:\+?{re.escape(number.removeprefix('+'))}[@;> ]")
        found = [message for message in await self._received() if wanted.match(message)]
        if not found:
            raise LabError("no INVITE for that number reached world")
        return found[-1]

    async def status(self, number: str) -> int:
        """The SIP status, from the wire, that refused the last call from a phone or the provider to a number."""
        refused = re.compile(
            rf"SIP/2\.0 ([3-6]\d\d) .*^To:[^\r\n]*sips?:{re.escape(number)}[@;>].*^CSeq: \d+ INVITE",
            re.MULTILINE | re.DOTALL | re.IGNORECASE,
        )
        found = [each for message in await self._received() if (each := refused.match(message))]
        if not found:
            raise LabError("no call to that number was refused")
        return int(found[-1][1])

    async def holds(self, number: str) -> int:
        """How often the pbx confirmed on the wire that a phone had put a call to or from a number on hold."""
        agreed = re.compile(
            rf"SIP/2\.0 200 .*^(?:From|To):[^\r\n]*sips?:\+?{re.escape(number.removeprefix('+'))}[@;>].*^a=recvonly\r?$",
            re.MULTILINE | re.DOTALL | re.IGNORECASE,
        )
        return len({message for message in await self._received() if agreed.match(message)})

    async def _received(self) -> list[str]:
        """All SIP messages received; each packet log is read once, when it is complete."""
        async with self._rolling:
            if self.running:
                # Asterisk flushes a packet log only when it is told to begin another.
                await self.cli(f"pjsip set logger pcap {self._new_pcap()}")
            whole = self._pcaps[:-1] if self.running else self._pcaps
            for pcap in whole[self._pcaps_read :]:
                self._messages += wire.received(pcap, self.sip_port)
            self._pcaps_read = len(whole)
        return self._messages

    async def heard_by(self, number: str, nth: int = -1) -> Path:
        """What a callee heard in their last answered call, or their nth, from the answer to the end: 16-bit mono."""
        return await self._whole(f"{number.removeprefix('+')}-*.wav", nth)

    async def heard_by_called(self, agent: str) -> Path:
        """What a called agent heard last, from the answer to the end."""
        return await self._whole(f"called-{agent}-*.wav", -1)

    async def heard_by_agent(self, call: AgentCall) -> Path:
        """What the agent heard from the answer to the end."""
        return await self._whole(f"agent-{call.id}.wav", 0)

    async def _whole(self, pattern: str, nth: int) -> Path:
        """Wait until recordings are closed, which is when a file gets its length."""

        def files() -> list[Path]:
            return sorted(self.heard.glob(pattern), key=lambda file: file.stem.rpartition("-")[2])

        try:
            await until(lambda: bool(files()) and all(map(audio.is_whole, files())), within=HEARD_SECONDS)
        except TimeoutError:
            what = "is not closed, is the call over?" if files() else "was not begun, was the call answered?"
            raise LabError(f"the recording {pattern} {what} ({HEARD_SECONDS} s)") from None
        return files()[nth]

    def _new_pcap(self) -> Path:
        self._pcaps.append(self.home / f"sip-{len(self._pcaps) + 1}.pcap")
        return self._pcaps[-1]

    async def _listen(self) -> None:
        self._session = aiohttp.ClientSession(
            headers=self.ari_headers,
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            # Asterisk closes idle connections, and aiohttp would not send the request to place a call again
            connector=aiohttp.TCPConnector(force_close=True),
        )
        # Channels placed into the dialplan belong to no application: only a subscription to all events reports them.
        socket = await self._session.ws_connect(
            f"{self.ari_url}/ari/events", params={"app": APP, "subscribeAll": "true"}
        )
        await self._request(
            "PUT", f"applications/{APP}/eventFilter", {"allowed": [{"type": event} for event in EVENTS]}
        )
        self._reader = asyncio.create_task(self._read(socket), name="lab world events")

    async def _deafen(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        if self._session is not None:
            await self._session.close()
        self._reader = self._session = None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                self._note(message.json())
        finally:
            await socket.close()
            for call in self.calls.values():
                if call.ended_at is None:
                    call.lose("world went away")

    def _note(self, event: dict[str, Any]) -> None:
        call = self.calls.get(event["channel"]["id"])
        if call is None:
            return
        at = datetime.fromisoformat(event["timestamp"])
        match event["type"], event["channel"]["state"]:
            case "ChannelDestroyed", _:
                call.end(at, int(event["cause"]))
            case "ChannelStateChange", "Ringing":
                call.ring(at)
            case "ChannelStateChange", "Up":
                call.answer(at)

    async def _request(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, none_is_fine: bool = False
    ) -> Any:
        if self._session is None:
            raise LabError("world is not running")
        async with self._session.request(method, f"{self.ari_url}/ari/{path}", json=body) as response:
            if response.status >= 400 and not (none_is_fine and response.status == 404):
                raise LabError(f"world refused {method} {path}: {response.status} {await response.text()}")
            return await response.json() if response.status == 200 else None


def _sent(headers: Mapping[str, str | None]) -> dict[str, str]:
    """The channel variables that make a channel send these SIP headers."""
    return {f"PJSIP_HEADER(add,{name})": value for name, value in headers.items() if value}
