"""Programs of classic BPF (linux/filter.h) by which the kernel lets only some packets come to a raw socket."""

import ctypes
import socket
import struct
from collections.abc import Mapping

ALL_IP = 0x0800
#: Bytes of a packet that come through, at most.
LONGEST = 4096
_ATTACH_FILTER = 26
_PACKET_TYPE = 0xFFFFF004

LOAD_BYTE, LOAD_HEADER_LENGTH = 0x30, 0xB1
LOAD_WORD_AT, LOAD_HALF_AT, LOAD_BYTE_AT = 0x40, 0x48, 0x50
IF_EQUAL, IF_AT_LEAST, IF_SET, RETURN = 0x15, 0x35, 0x45, 0x06

#: What is done, where to go if so and if not, and with which value. "" is the next step.
Step = tuple[int, str, str, int]

#: Lets UDP on, once, of a packet that begins with its IP header.
ARRIVING: Mapping[str, Step] = {
    # to this host: the loopback device shows each packet leave, too
    "": (LOAD_BYTE, "", "", _PACKET_TYPE),
    "arrives": (IF_EQUAL, "", "drop", 0),
    "protocol": (LOAD_BYTE, "", "", 9),
    "udp": (IF_EQUAL, "", "drop", socket.IPPROTO_UDP),
    "header": (LOAD_HEADER_LENGTH, "", "", 0),
}
_ENDS: Mapping[str, Step] = {"accept": (RETURN, "", "", LONGEST), "drop": (RETURN, "", "", 0)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def attach(wire: socket.socket, steps: Mapping[str, Step]) -> None:
    """Have only those packets come that go to the step ``accept``; ``drop`` is the other end."""
    whole = {**steps, **_ENDS}
    at = {name: index for index, name in enumerate(whole)}

    def skip(here: int, target: str) -> int:
        return at[target] - here - 1 if target else 0

    code = b"".join(
        struct.pack("HBBI", kind, skip(here, yes), skip(here, no), value)
        for here, (kind, yes, no, value) in enumerate(whole.values())
    )
    program = _Program(len(whole), code)
    wire.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, bytes(program))
