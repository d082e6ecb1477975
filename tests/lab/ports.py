"""Free ports below the range the kernel hands to outgoing connections, so that nobody takes one meanwhile."""

import random
import socket

from tests.lab.errors import LabError

SERVICES = range(6000, 10000)
RTP = range(10000, 32000)
RTP_SPAN = 2000
"""Ports of one instance: a leg takes two, and Asterisk passes over one that is taken."""

TRIES = 200


def free_port(kind: socket.SocketKind, *addresses: str) -> int:
    """A port that is free on each of the addresses."""
    for _ in range(TRIES):
        port = random.choice(SERVICES)
        if all(_is_free(kind, address, port) for address in addresses):
            return port
    raise LabError(f"no free port found between {SERVICES.start} and {SERVICES.stop - 1}")


def rtp_range() -> tuple[int, int]:
    """The first and the last RTP port of an instance."""
    start = random.randrange(RTP.start, RTP.stop - RTP_SPAN, 2)
    return start, start + RTP_SPAN - 1


def _is_free(kind: socket.SocketKind, address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
