"""What is sent in each call, with the kernel's time-stamps: the callee's answer, and when a new source is heard.

One raw socket on the loopback device, with a filter in the kernel, receives world's answers to the pbx and, of the
pbx's RTP, the first packets of each source. Asterisk counts the timestamps of each source from zero, and sets the
marker bit on a new one within a call. So all ways are measured alike, with about ten packets a call.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.calls.sieve import (
    ALL_IP,
    ARRIVING,
    IF_AT_LEAST,
    IF_EQUAL,
    IF_SET,
    LOAD_BYTE_AT,
    LOAD_HALF_AT,
    LOAD_WORD_AT,
    LONGEST,
    Step,
    attach,
)

_TIMESTAMP_NS = 35
_RECEIVE_BUFFER_FORCE = 33
_BUFFER_BYTES = 8 << 20
_IP, _UDP = 20, 8
_TIMESPEC = struct.Struct("qq")

#: The greatest timestamp of a source's first packet, in samples: that of the packet's end.
_FIRST_TIMESTAMP = 160


@dataclass(frozen=True)
class Ports:
    """Of both sides: the SIP port, and the first and last RTP port."""

    pbx_sip: int
    pbx_rtp: tuple[int, int]
    world_sip: int
    world_rtp: tuple[int, int]


@dataclass
class Heard:
    """One callee's call, in seconds since 1970: its answer, and each time a new source is heard. ``port``: where it is
    heard.
    """

    answered_at: float
    port: int
    sources: list[float] = field(default_factory=list)

    def silence_before_notice(self) -> float | None:
        """Seconds from the answer to the first packet of the notice."""
        return self.sources[0] - self.answered_at if self.sources else None

    def silence_before_agent(self, notice_seconds: float) -> float | None:
        """Seconds from the end of the notice to the next voice's first packet."""
        if not self.sources:
            return None
        over = self.sources[0] + notice_seconds
        # the last packet of the notice is sent one packet before its end
        after = [at for at in self.sources[1:] if at > over - 0.03]
        return after[0] - over if after else None


class Ear:
    """``calls``: by the callee's number, digits only; ``agents``: the port at which the agent who dialled that number
    hears.
    """

    def __init__(self, ports: Ports) -> None:
        self.calls: dict[str, Heard] = {}
        self.agents: dict[str, int] = {}
        self._ports = ports
        self._on_port: dict[int, Heard] = {}

    @contextmanager
    def listening(self) -> Iterator["Ear"]:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_IP)) as wire:
            wire.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER_BYTES)
            wire.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
            attach(wire, _filter(self._ports))
            wire.bind(("lo", ALL_IP))
            wire.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(wire, self._read, wire)
            try:
                yield self
            finally:
                loop.remove_reader(wire)

    def _read(self, wire: socket.socket) -> None:
        packet, stamps, _, _ = wire.recvmsg(LONGEST, socket.CMSG_SPACE(_TIMESPEC.size))
        seconds, nanoseconds = _TIMESPEC.unpack(stamps[0][2][: _TIMESPEC.size])
        source, target = struct.unpack_from("!HH", packet, _IP)
        at = seconds + nanoseconds / 1e9
        if source == self._ports.world_sip:
            self._said(packet[_IP + _UDP :].decode(errors="replace"), at)
        # odd ports carry RTCP
        elif target % 2 == 0 and (call := self._on_port.get(target)):
            call.sources.append(at)

    def _said(self, message: str, at: float) -> None:
        """Read that an agent's phone dials, or that a callee answers."""
        dials, answers = message.startswith("INVITE "), message.startswith("SIP/2.0 200")
        if not (dials or answers) or not re.search(r"^CSeq: \d+ INVITE", message, re.MULTILINE):
            return
        number = re.search(r"^To: [^\r\n]*sip:\+?(\d+)@", message, re.MULTILINE)
        port = re.search(r"^m=audio (\d+) ", message, re.MULTILINE)
        if not number or not port:
            return
        if dials:
            self.agents.setdefault(number[1], int(port[1]))
        elif number[1] not in self.calls:
            self.calls[number[1]] = self._on_port[int(port[1])] = Heard(at, int(port[1]))


def _filter(ports: Ports) -> Mapping[str, Step]:
    (pbx_first, pbx_last), (world_first, world_last) = ports.pbx_rtp, ports.world_rtp
    return {
        **ARRIVING,
        "source": (LOAD_HALF_AT, "", "", 0),
        "sip": (IF_EQUAL, "", "rtp", ports.world_sip),
        "sip target": (LOAD_HALF_AT, "", "", 2),
        "to pbx": (IF_EQUAL, "accept", "drop", ports.pbx_sip),
        "rtp": (IF_AT_LEAST, "", "drop", pbx_first),
        "from pbx": (IF_AT_LEAST, "drop", "", pbx_last + 1),
        "rtp target": (LOAD_HALF_AT, "", "", 2),
        "to world": (IF_AT_LEAST, "", "drop", world_first),
        "within": (IF_AT_LEAST, "drop", "", world_last + 1),
        "second byte": (LOAD_BYTE_AT, "", "", _UDP + 1),
        "marker": (IF_SET, "accept", "", 0x80),
        "timestamp": (LOAD_WORD_AT, "", "", _UDP + 4),
        "first": (IF_AT_LEAST, "drop", "accept", _FIRST_TIMESTAMP + 1),
    }
