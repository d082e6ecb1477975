"""Programs of classic BPF (linux/filter.h) that make the kernel pass only some packets to a raw socket."""

import ctypes
import socket
import struct
from collections.abc import Mapping

ALL_IP = 0x0800
#: The most bytes of a packet that are passed on.
LONGEST = 4096
_ATTACH_FILTER = 26
_PACKET_TYPE = 0xFFFFF004

LOAD_BYTE, LOAD_HEADER_LENGTH = 0x30, 0xB1
LOAD_WORD_AT, LOAD_HALF_AT, LOAD_BYTE_AT = 0x40, 0x48, 0x50
IF_EQUAL, IF_AT_LEAST, IF_SET, RETURN = 0x15, 0x35, 0x45, 0x06

#: The operation, the steps to go to if it is true and if not, and its value. "" is the next step.
Step = tuple[int, str, str, int]

#: Passes each UDP packet on once; packets begin with their IP header.
ARRIVING: Mapping[str, Step] = {
    # to this host: the loopback device also shows each packet leaving
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
    """Receive only packets that reach the step ``accept``; ``drop`` discards."""
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
