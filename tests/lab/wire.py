"""What arrived on the wire, read from the SIP packet log that Asterisk writes as a pcap file."""

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

FILE_HEADER = 24
PACKET_HEADER = struct.Struct("<IIII")
PORT = slice(14 + 20 + 2, 14 + 20 + 4)
"""The destination port, behind the Ethernet and IPv4 headers that Asterisk makes up.

It fills in the other side's address only: what it received goes to port 0.
"""

TEXT = 14 + 20 + 8
"""Where the SIP text begins."""


def received(pcap: Path, port: int) -> Iterator[str]:
    """The SIP messages that the Asterisk at this port received, in order, including retransmissions."""
    return (message for _, message in arrivals(pcap, port))


def arrivals(pcap: Path, port: int) -> Iterator[tuple[float, str]]:
    """As :func:`received`, each with its arrival in seconds since 1970."""
    data = pcap.read_bytes() if pcap.exists() else b""
    at = FILE_HEADER
    while at + PACKET_HEADER.size <= len(data):
        seconds, microseconds, length, _ = PACKET_HEADER.unpack_from(data, at)
        packet = data[at + PACKET_HEADER.size : at + PACKET_HEADER.size + length]
        at += PACKET_HEADER.size + length
        if len(packet) == length > TEXT and int.from_bytes(packet[PORT], "big") in {0, port}:
            yield seconds + microseconds / 1e6, packet[TEXT:].decode(errors="replace")


def invites(messages: Iterable[str], digits: str) -> int:
    """How many calls were tried to a number: INVITEs outside a dialog, one per transaction."""
    wanted = re.compile(rf"INVITE sips?:\+?{re.escape(digits)}[@;> ]")
    return len(
        {_transaction(message) for message in messages if wanted.match(message) and not _in_dialog(message)}
    )


def calls_tried(messages: Iterable[tuple[float, str]]) -> list[tuple[float, str, str]]:
    """Each INVITE outside a dialog once: its first arrival, the digits called, and the digits of the caller."""
    seen: dict[tuple[str, str], tuple[float, str, str]] = {}
    for at, message in messages:
        wanted = re.match(r"INVITE sips?:\+?(\d+)[@;> ]", message)
        if wanted is not None and not _in_dialog(message):
            whose = re.search(r"sips?:\+?(\d*)@", _header(message, "From|f"))
            seen.setdefault(_transaction(message), (at, wanted[1], whose[1] if whose else ""))
    return list(seen.values())


def _in_dialog(message: str) -> bool:
    return ";tag=" in _header(message, "To|t")


def _transaction(message: str) -> tuple[str, str]:
    branch = re.search(r"branch=([^;,\s]+)", _header(message, "Via|v"))
    return _header(message, "Call-ID|i"), branch[1] if branch else ""


def _header(message: str, names: str) -> str:
    found = re.search(rf"^(?:{names})\s*:(.*)$", message, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""
