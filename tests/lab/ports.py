"""Free ports below the range that the kernel assigns to outgoing connections, so that nothing takes one meanwhile."""

import os
import random
import socket
import tempfile
import time
from pathlib import Path

from tests.lab.errors import LabError

SERVICES = range(6000, 10000)
#: The demo's port, which comes from ccari's own settings: another test may run the demo at the same time.
_DEMO = 8090
RTP = range(10000, 32000)
RTP_SPAN = 2000
"""Ports of one instance: a leg takes two, and Asterisk passes over one that is taken."""

TRIES = 200
#: For this long no other process is given the port, nor while the process lives that it was given to: a service that a
#: test kills restarts at the same port.
KEPT_SECONDS = 180.0
_KEPT = Path(tempfile.gettempdir(), "ccari-ports")


def free_port(kind: socket.SocketKind, *addresses: str) -> int:
    """A port that is free on each of the addresses."""
    for _ in range(TRIES):
        port = random.choice(SERVICES)
        if port == _DEMO:
            continue
        if all(_is_free(kind, address, port) for address in addresses) and _keep(port):
            return port
    raise LabError(f"no free port found between {SERVICES.start} and {SERVICES.stop - 1}")


def _keep(port: int) -> bool:
    """False if it was given out a short while ago."""
    _KEPT.mkdir(exist_ok=True)
    kept = _KEPT / str(port)
    try:
        if (
            time.time() - kept.stat().st_mtime < KEPT_SECONDS
            or Path("/proc", kept.read_text() or "none").exists()
        ):
            return False
    except FileNotFoundError:
        pass
    kept.write_text(str(os.getpid()))
    return True


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
