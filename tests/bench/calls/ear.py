"""What goes over the wire of each call, as the kernel stamps it: the callee's answer, and when somebody is heard anew.

One raw socket on the loopback device, with a filter in the kernel: world's answers to the pbx, and of the pbx's RTP the
first packets of each source. Asterisk counts the timestamps of each from nought, and sets the marker bit on a new one within
a call. So all ways are measured in the same way, with some ten packets a call.
"""

import asyncio
import ctypes
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ALL_IP = 0x0800
_TIMESTAMP_NS = 35
_ATTACH_FILTER, _RECEIVE_BUFFER_FORCE = 26, 33
_BUFFER_BYTES = 8 << 20
_LONGEST = 4096
_IP, _UDP = 20, 8
_TIMESPEC = struct.Struct("qq")

# Classic BPF on a packet that begins with its IP header: linux/filter.h.
_LOAD_BYTE, _LOAD_HALF, _LOAD_HEADER_LENGTH = 0x30, 0x28, 0xB1
_LOAD_WORD_AT, _LOAD_HALF_AT, _LOAD_BYTE_AT = 0x40, 0x48, 0x50
_IF_EQUAL, _IF_AT_LEAST, _IF_SET, _RETURN = 0x15, 0x35, 0x45, 0x06
_PACKET_TYPE = 0xFFFFF004
#: Of the first packet of a source, in samples: that of its end.
_FIRST_TIMESTAMP = 160


@dataclass(frozen=True)
class Ports:
    """Of the two sides: where they speak SIP, and their first and last RTP port."""

    pbx_sip: int
    pbx_rtp: tuple[int, int]
    world_sip: int
    world_rtp: tuple[int, int]


@dataclass
class Heard:
    """One callee's call, in seconds since 1970: its answer, and each time that a new source is heard."""

    answered_at: float
    sources: list[float] = field(default_factory=list)

    def silence_before_notice(self) -> float | None:
        """Seconds from the answer to the first packet of the notice."""
        return self.sources[0] - self.answered_at if self.sources else None

    def silence_before_agent(self, notice_seconds: float) -> float | None:
        """Seconds from the end of the notice to the first packet of whoever talks then."""
        if not self.sources:
            return None
        over = self.sources[0] + notice_seconds
        # the last packet of the notice is sent one packet before its end
        after = [at for at in self.sources[1:] if at > over - 0.03]
        return after[0] - over if after else None


class Ear:
    """``calls``: by the callee's number."""

    def __init__(self, ports: Ports) -> None:
        self.calls: dict[str, Heard] = {}
        self._ports = ports
        self._on_port: dict[int, Heard] = {}

    @contextmanager
    def listening(self) -> Iterator["Ear"]:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_IP)) as wire:
            wire.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER_BYTES)
            wire.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
            _attach(wire, _filter(self._ports))
            wire.bind(("lo", _ALL_IP))
            wire.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(wire, self._read, wire)
            try:
                yield self
            finally:
                loop.remove_reader(wire)

    def _read(self, wire: socket.socket) -> None:
        packet, stamps, _, _ = wire.recvmsg(_LONGEST, socket.CMSG_SPACE(_TIMESPEC.size))
        seconds, nanoseconds = _TIMESPEC.unpack(stamps[0][2][: _TIMESPEC.size])
        source, target = struct.unpack_from("!HH", packet, _IP)
        at = seconds + nanoseconds / 1e9
        if source == self._ports.world_sip:
            self._answered(packet[_IP + _UDP :].decode(errors="replace"), at)
        # an odd port is RTCP's
        elif target % 2 == 0 and (call := self._on_port.get(target)):
            call.sources.append(at)

    def _answered(self, message: str, at: float) -> None:
        if not message.startswith("SIP/2.0 200") or not re.search(
            r"^CSeq: \d+ INVITE", message, re.MULTILINE
        ):
            return
        number = re.search(r"^To: [^\r\n]*sip:(\+?\d+)@", message, re.MULTILINE)
        port = re.search(r"^m=audio (\d+) ", message, re.MULTILINE)
        if number and port and number[1] not in self.calls:
            self.calls[number[1]] = self._on_port[int(port[1])] = Heard(at)


def _filter(ports: Ports) -> bytes:
    """The program of the kernel's filter: to where to go if so, and if not; "" is the next step."""
    (pbx_first, pbx_last), (world_first, world_last) = ports.pbx_rtp, ports.world_rtp
    steps = {
        # to this host: the loopback device shows each packet leave, too
        "": (_LOAD_BYTE, "", "", _PACKET_TYPE),
        "arrives": (_IF_EQUAL, "", "drop", 0),
        "protocol": (_LOAD_BYTE, "", "", 9),
        "udp": (_IF_EQUAL, "", "drop", socket.IPPROTO_UDP),
        "header": (_LOAD_HEADER_LENGTH, "", "", 0),
        "source": (_LOAD_HALF_AT, "", "", 0),
        "sip": (_IF_EQUAL, "", "rtp", ports.world_sip),
        "sip target": (_LOAD_HALF_AT, "", "", 2),
        "to pbx": (_IF_EQUAL, "accept", "drop", ports.pbx_sip),
        "rtp": (_IF_AT_LEAST, "", "drop", pbx_first),
        "from pbx": (_IF_AT_LEAST, "drop", "", pbx_last + 1),
        "rtp target": (_LOAD_HALF_AT, "", "", 2),
        "to world": (_IF_AT_LEAST, "", "drop", world_first),
        "within": (_IF_AT_LEAST, "drop", "", world_last + 1),
        "second byte": (_LOAD_BYTE_AT, "", "", _UDP + 1),
        "marker": (_IF_SET, "accept", "", 0x80),
        "timestamp": (_LOAD_WORD_AT, "", "", _UDP + 4),
        "first": (_IF_AT_LEAST, "drop", "accept", _FIRST_TIMESTAMP + 1),
        "accept": (_RETURN, "", "", _LONGEST),
        "drop": (_RETURN, "", "", 0),
    }
    at = {name: index for index, name in enumerate(steps)}

    def skip(here: int, target: str) -> int:
        return at[target] - here - 1 if target else 0

    return b"".join(
        struct.pack("HBBI", code, skip(here, yes), skip(here, no), value)
        for here, (code, yes, no, value) in enumerate(steps.values())
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _attach(wire: socket.socket, code: bytes) -> None:
    program = _Program(len(code) // struct.calcsize("HBBI"), code)
    wire.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, bytes(program))
