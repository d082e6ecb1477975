"""All RTP of all calls for some seconds, with the kernel's time-stamps, and how much of it arrives in time.

The kernel writes the header of each packet on the loopback device into a ring that it shares with this process
(packet(7), PACKET_RX_RING, TPACKET_V2): no code runs for each packet here, so listening to a hundred calls costs
them nothing.
"""

import asyncio
import mmap
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from tests.bench.calls.ear import Ports
from tests.bench.calls.sieve import ALL_IP, ARRIVING, IF_AT_LEAST, IF_SET, LOAD_HALF_AT, Step, attach

PACKET_SECONDS = 0.02
#: What the jitter buffer of a phone holds, so that a packet that is late by less is still played: three packets.
PATIENCE_SECONDS = 0.06
_SAMPLES_A_SECOND = 8000
_AUDIO = (0, 8, 9)
"""Payload types of PCMU, PCMA and G.722, whose clock is 8 kHz, too (RFC 3551)."""

_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION, _TPACKET_V2 = 263, 5, 6, 10, 1
_OF_USER = 1
_FRAME_BYTES, _BLOCK_BYTES = 128, 1 << 20
#: linux/if_packet.h: where a frame has its state, its time and the packet, which begins with the IP header here.
_STATE, _NET, _SECONDS, _NANOSECONDS = 0, 14, 16, 20
_UDP, _RTP = 20, 28


@dataclass(frozen=True)
class Packets:
    """RTP packets, by columns: seconds, ports and timestamp. ``dropped``: packets that did not fit into the ring."""

    at: NDArray[np.float64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    stamp: NDArray[np.int64]
    dropped: int = 0


async def listen(ports: Ports, seconds: float, calls: int) -> Packets:
    """Record what the two Asterisks send each other for this time, in this many calls."""
    # two parties, each of which sends and receives, and as much again for anything else on those ports
    frames = round(calls * 4 * 2 * seconds / PACKET_SECONDS) + 4096
    blocks = -(-frames * _FRAME_BYTES // _BLOCK_BYTES)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as wire:
        attach(wire, _filter(ports))
        wire.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        wire.setsockopt(
            _SOL_PACKET, _RX_RING,
            struct.pack("IIII", _BLOCK_BYTES, blocks, _FRAME_BYTES, blocks * _BLOCK_BYTES // _FRAME_BYTES),
        )  # fmt: skip
        with mmap.mmap(wire.fileno(), blocks * _BLOCK_BYTES) as ring:
            wire.bind(("lo", ALL_IP))
            await asyncio.sleep(seconds)
            _, dropped = struct.unpack("II", wire.getsockopt(_SOL_PACKET, _STATISTICS, 8))
            whole = np.frombuffer(bytes(ring), np.uint8).reshape(-1, _FRAME_BYTES)
    return _packets(whole[_native(whole, _STATE) & _OF_USER > 0], dropped)


def _packets(frames: NDArray[np.uint8], dropped: int) -> Packets:
    # the same for all
    net = int(frames[0, _NET : _NET + 2].view(np.uint16)[0]) if len(frames) else 0
    packets = frames[:, net:]
    kind = packets[:, _RTP + 1] & 0x7F
    audio = np.isin(kind, _AUDIO)
    frames, packets = frames[audio], packets[audio]
    return Packets(
        _native(frames, _SECONDS) + _native(frames, _NANOSECONDS) / 1e9,
        _number(packets, _UDP, 2),
        _number(packets, _UDP + 2, 2),
        _number(packets, _RTP + 4, 4),
        dropped,
    )


def _native(frames: NDArray[np.uint8], at: int) -> NDArray[np.uint32]:
    return np.ascontiguousarray(frames[:, at : at + 4]).view(np.uint32)[:, 0]


def _number(packets: NDArray[np.uint8], at: int, size: int) -> NDArray[np.int64]:
    """In network order."""
    number = np.zeros(len(packets), np.int64)
    for index in range(size):
        number = number << 8 | packets[:, at + index]
    return number


def in_time(packets: Packets, ports: NDArray[np.int64], seconds: float) -> dict[int, float]:
    """How much of a stream was there when it had to be played, at one packet every 20 ms.

    ``ports``: what tells the streams apart, ``packets.target`` or ``packets.source``.

    What is missing is the greater of two times: of the packets that did not arrive, and of the silence of a phone that
    begins with :data:`PATIENCE_SECONDS` in its buffer. When its buffer is empty, the phone begins anew with the packet
    that came too late.
    """
    due = seconds / PACKET_SECONDS
    return {
        port: max(0.0, 1 - max(due - len(chosen), _waited(packets, chosen)) / due)
        for port, chosen in _streams(packets, ports)
    }


def _streams(packets: Packets, ports: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each stream, in order of arrival."""
    order = np.lexsort((packets.at, ports))
    known, first = np.unique(ports[order], return_index=True)
    for port, chosen in zip(known, np.split(order, first[1:]), strict=True):
        yield int(port), chosen


def _waited(packets: Packets, chosen: NDArray[np.int64]) -> int:
    """For how many packets' time a phone had nothing to play because the next one was late."""
    at, stamp = packets.at[chosen], packets.stamp[chosen]
    played = np.concatenate(([0], np.cumsum(np.diff(stamp) % (1 << 32)))) / _SAMPLES_A_SECOND
    waited, quickest = 0, inf
    for way in (at - played).tolist():
        if (behind := way - quickest - PATIENCE_SECONDS) > 0:
            waited += ceil(behind / PACKET_SECONDS)
            quickest = way
        else:
            quickest = min(quickest, way)
    return waited


def _filter(ports: Ports) -> Mapping[str, Step]:
    """From an RTP port of either to one of the other; odd ports are RTCP's."""
    (pbx, pbx_last), (world, world_last) = ports.pbx_rtp, ports.world_rtp
    return {
        **ARRIVING,
        "target": (LOAD_HALF_AT, "", "", 2),
        "even": (IF_SET, "drop", "", 1),
        "source": (LOAD_HALF_AT, "", "", 0),
        "from pbx": (IF_AT_LEAST, "", "other way", pbx),
        "of pbx": (IF_AT_LEAST, "other way", "", pbx_last + 1),
        "its target": (LOAD_HALF_AT, "", "", 2),
        "to world": (IF_AT_LEAST, "", "other way", world),
        "of world": (IF_AT_LEAST, "other way", "accept", world_last + 1),
        "other way": (LOAD_HALF_AT, "", "", 0),
        "from world": (IF_AT_LEAST, "", "drop", world),
        "within world": (IF_AT_LEAST, "drop", "", world_last + 1),
        "other target": (LOAD_HALF_AT, "", "", 2),
        "to pbx": (IF_AT_LEAST, "", "drop", pbx),
        "within pbx": (IF_AT_LEAST, "drop", "accept", pbx_last + 1),
    }
