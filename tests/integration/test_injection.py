"""A dialplan, phone or caller puts something else where a name or a number belongs: ccari sends one INVITE as declared,
or none.
"""

import contextlib
import re
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from tests.integration.service import Service
from tests.lab import Lab, callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 30.0
CALLER_ID = "+48221234567"
LONG = "x" * 10_000
TRAVELS = "u" * 1000
NUMBER = "48600990077"
#: Values in place of a name: line ends, quotes, separators of headers, arguments and dial strings, and non-ASCII text.
HOSTILE = {
    "line ends": 'Anna" <sip:101@127.0.0.2>;tag=x\r\nX-Evil: 1\r\nX-Rest: "',
    "an encoded line end": "Anna%0d%0aX-Evil: 1",
    "quotes": 'Anna" <sip:+48600990076@evil>;x="',
    "another address": f"<sip:{NUMBER}@evil>, <sip:{NUMBER}@127.0.0.1>",
    "a dial string": f"PJSIP/{NUMBER}@trunk&PJSIP/+{NUMBER}@trunk",
    "arguments": f"anna,{NUMBER},offers",
    "an expression": "${SHELL(id)}$[1+1]${CHANNEL(name)}",
    "letters": "Анна 安娜 \u202e\u0000\x1b[2J",
    "a number": f"+{NUMBER}",
    "a path": "../../etc/passwd",
    "much": LONG,
}
#: Those that are not valid SIP in a display name, so Asterisk skips them.
NO_SIP = {"quotes"}
#: Arguments of Stasis(), and why no call comes of them.
ARGUMENTS = {
    "": {"bad_arguments"},
    ",,,,": {"bad_arguments"},
    f"outbound,{NUMBER}": {"bad_arguments"},
    f"outbound,{NUMBER},renewals,anna,more": {"bad_arguments"},
    f"outbound,{NUMBER}&PJSIP/{NUMBER},renewals": {"number_characters"},
    f"outbound,{NUMBER}@trunk,renewals": {"number_characters"},
    f"outbound,{NUMBER}/n,renewals": {"number_characters"},
    f"outbound,{NUMBER};x=1,renewals": {"number_characters"},
    f"outbound,{'4' * 10_000},renewals": {"number_characters", "number_invalid", "number_too_long"},
    f"outbound,{NUMBER}\r\nX-Evil: 1,renewals": {"number_characters"},
    "outbound,٤٨٦٠٠٩٩٠٠٧٧,renewals": {"number_characters"},
    f"outbound,+{NUMBER}\u200b,renewals": {"number_characters"},
    f"outbound,{NUMBER},renewals\r\n": {"unknown_campaign"},
    f"outbound,{NUMBER},{LONG}": {"unknown_campaign"},
    f"outbound,{NUMBER},../renewals": {"unknown_campaign"},
    f"outbound,{NUMBER},RENEWALS": {"unknown_campaign"},
    f"outbound,renewals,{NUMBER}": {"unknown_campaign"},
    f"inbound,{NUMBER}": {"unknown_campaign"},
    "inbound,renewals,PJSIP/anna&PJSIP/ben": {"bad_arguments"},
    f"inbound,renewals,{NUMBER}": {"bad_arguments"},
    "callee,MACHINE": {"bad_arguments"},
    f"nonsense,{NUMBER},renewals": {"bad_arguments"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ari(lab: Lab) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"{lab.pbx.ari_url}/ari/", headers=lab.pbx.ari_headers) as session:
        yield session


async def entered(ari: aiohttp.ClientSession, arguments: str) -> None:
    """A channel that enters the application with these arguments, as any dialplan may give them."""
    body = {
        "endpoint": "Local/s@lab-waiting/n", "app": "ccari", "appArgs": arguments, "channelId": str(uuid4()),
        "callerId": f'"{NUMBER}" <{NUMBER}>',
    }  # fmt: skip
    async with ari.post("channels", json=body) as reply:
        assert reply.status == 200, await reply.text()


async def test_invariant_1_an_argument_of_stasis_dials_or_ends_the_service(
    service: Service, lab: Lab, ari: aiohttp.ClientSession
) -> None:
    for arguments, reasons in ARGUMENTS.items():
        before = len(service.lines())
        await entered(ari, arguments)

        def told(before: int = before) -> list[dict[str, Any]]:
            return [each for each in service.lines()[before:] if each["event"] == "call_blocked"]

        await until(lambda: bool(told()), within=SECONDS)
        assert {each["reason"] for each in told()} <= reasons, arguments[:60]
    assert await lab.world.invites(NUMBER) == 0
    unheard_of(service)
    await lab.pbx.cli("channel request hangup all")


def unheard_of(service: Service) -> None:
    """Neither a number nor anything made from it is in the log, and nothing failed."""
    text = service.log.read_text("utf-8")
    assert NUMBER not in text
    assert "Traceback" not in text + service.errors.read_text()
    assert len(max(text.splitlines(), key=len)) < 5000
    assert not [each for each in service.lines() if each["level"] == "error"]


def headers_of(invite: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in invite.partition("\r\n\r\n")[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


#: The headers that Asterisk itself puts into an INVITE to a trunk.
USUAL = {
    "via", "from", "to", "contact", "call-id", "cseq", "allow", "supported", "max-forwards", "user-agent", "content-type",
    "content-length", "session-expires", "min-se", "p-asserted-identity",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "serial"), [(name, 40 + place) for place, name in enumerate(HOSTILE)], ids=list(HOSTILE)
)
async def test_a_display_name_of_a_phone_reaches_the_callee_or_adds_to_the_invite(
    service: Service, lab: Lab, name: str, serial: int
) -> None:
    callee, text = callees.hangs_up(1, serial), HOSTILE[name].replace(LONG, TRAVELS)
    phone = Phone("127.0.0.2", lab.pbx.sip_port)
    try:
        phone.invite(f"+{callee.digits}", text, {"X-Campaign": "renewals", "X-Lab-Call": str(serial)})
        await until(lambda: phone.is_answered("OPTIONS" if name in NO_SIP else "INVITE"), within=SECONDS)
        if name in NO_SIP:
            assert await lab.world.invites(callee.number) == 0
            return
        ended = await service.logged(
            lambda line: (
                line["event"] == "call_ended" and line["call_id"] in calls_to(service, callee.number)
            ),
            within=SECONDS,
        )
    finally:
        phone.hang_up()
    assert ended["outcome"] in {"callee_hangup", "bridged"}
    assert await lab.world.invites(callee.number) == 1
    invite = await lab.world.invite(callee.number)
    headers = headers_of(invite)
    assert set(headers) <= USUAL, set(headers) - USUAL
    assert re.search(re.escape(CALLER_ID.removeprefix("+")), headers["from"][0])
    for each in ("evil", "Evil", "Anna", "X-Campaign", "SHELL", NUMBER):
        assert each not in invite, each
    unheard_of(service)


def calls_to(service: Service, number: str) -> set[str]:
    masked = f"{number[:3]}•••••{number[-4:]}"
    return {line["call_id"] for line in service.lines() if line.get("number") == masked}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_caller_id_becomes_a_number_or_a_header(service: Service, lab: Lab, name: str) -> None:
    """Somebody calls in with any text as their caller ID: it is taken as no number, or as the number that it is."""
    before = len(service.lines())
    phone = Phone("127.0.0.1", lab.pbx.sip_port)
    try:
        text = HOSTILE[name].replace(LONG, TRAVELS)
        phone.invite(
            "renewals", text, {"X-Lab-Destination": "talks"}, user=quote(text.replace("\u0000", ""), safe="")
        )

        await until(lambda: phone.is_answered("OPTIONS" if name in NO_SIP else "INVITE"), within=SECONDS)
        if name not in NO_SIP:
            await service.logged(
                lambda line: line["event"] == "call_ended" and line in service.lines()[before:],
                within=SECONDS,
            )
    finally:
        phone.hang_up()
    unheard_of(service)
    assert await lab.world.invites(NUMBER) == 0
    for each in service.lines()[before:]:
        assert each.get("number") in {None, f"+48•••••{NUMBER[-4:]}"}, each


_ORDER = {"OPTIONS": 2, "BYE": 3}


class Phone:
    """A SIP client that sends one given INVITE, byte for byte, and ends the call that results."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._socket.setblocking(False)
        self._to = ("127.0.0.1", port)
        self._address = f"{address}:{self._socket.getsockname()[1]}"
        self._call, self._tag, self._branch = uuid4().hex, uuid4().hex[:8], f"z9hG4bK{uuid4().hex}"
        self._line = ""
        self._heard: list[tuple[str, int, str]] = []

    def invite(self, whom: str, name: str, headers: Mapping[str, str], user: str = "101") -> None:
        self._line = f"sip:{whom}@127.0.0.1:{self._to[1]}"
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {self._socket.getsockname()[1]} "
            "RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )
        more = "".join(f"{each}: {value}\r\n" for each, value in headers.items())
        self._send(
            "INVITE", f'"{name}" <sip:{user}@{self._address}>',
            f"{more}Contact: <sip:{self._address}>\r\nContent-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}",
        )  # fmt: skip
        self._send("OPTIONS", f"<sip:{user}@{self._address}>", "Content-Length: 0\r\n\r\n")

    def is_answered(self, method: str) -> bool:
        """Whether Asterisk has answered such a request; it answers OPTIONS after the call."""
        self._read()
        return any(each == method for each, _, _ in self._heard)

    def code(self, method: str) -> int | None:
        """The status code that answered such a request; None if there is none yet."""
        self._read()
        return next((code for each, code, _ in self._heard if each == method and code >= 200), None)

    def hang_up(self) -> None:
        self._read()
        taken = [(code, tag) for method, code, tag in self._heard if method == "INVITE" and 200 <= code < 300]
        for method in ("ACK", "BYE") if taken else ("CANCEL",):
            self._send(
                method, "<sip:101@127.0.0.2>", "Content-Length: 0\r\n\r\n", taken[0][1] if taken else ""
            )
        self._socket.close()

    def _read(self) -> None:
        """Read each answer: its request, status code and tag."""
        with contextlib.suppress(BlockingIOError):
            while text := self._socket.recv(65535).decode(errors="replace"):
                code, method = (
                    re.match(r"SIP/2\.0 (\d{3})", text),
                    re.search(r"^CSeq: \d+ (\w+)", text, re.MULTILINE),
                )
                tag = re.search(r"^To:.*;tag=([^;\s]+)", text, re.MULTILINE)
                if code and method:
                    self._heard.append((method[1], int(code[1]), tag[1] if tag else ""))

    def _send(self, method: str, source: str, rest: str, tag: str = "") -> None:
        to = f"<{self._line}>" + (f";tag={tag}" if tag else "")
        text = (
            f"{method} {self._line} SIP/2.0\r\nVia: SIP/2.0/UDP {self._address};rport;branch={self._branch}{method if method in _ORDER else ''}\r\n"
            f"Max-Forwards: 70\r\nFrom: {source};tag={self._tag}\r\nTo: {to}\r\nCall-ID: {self._call}{method if method == 'OPTIONS' else ''}\r\n"
            f"CSeq: {_ORDER.get(method, 1)} {method}\r\n{rest}"
        )
        self._socket.sendto(text.encode(errors="replace"), self._to)
