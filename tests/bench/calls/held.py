"""What processes hold: memory, threads and open files, as counted by the kernel."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.calls.cpu import family

_PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """KiB. ``pss``: shared pages count in parts; ``uss``: pages that no other process shares; ``own``: allocated memory that
    belongs to no file, so that it stays the same when another process maps the same library.
    """

    pss: int = 0
    uss: int = 0
    own: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.uss + other.uss, self.own + other.own)


def memory(*roots: int) -> Memory:
    """The memory of these processes and their descendants."""
    return sum((memory_alone(pid) for pid in family(*roots)), Memory())


def memory_alone(pid: int) -> Memory:
    """The memory of one process; nothing if it has ended."""
    held = dict(_lines(_PROC / str(pid) / "smaps_rollup"))
    return Memory(
        held.get("Pss", 0), held.get("Private_Clean", 0) + held.get("Private_Dirty", 0), held.get("Anonymous", 0)
    )  # fmt: skip


def threads(pid: int) -> int:
    return dict(_lines(_PROC / str(pid) / "status")).get("Threads", 0)


def files(pid: int) -> int:
    """The number of open files and sockets."""
    return sum(1 for _ in (_PROC / str(pid) / "fd").iterdir())


def _lines(file: Path) -> Iterator[tuple[str, int]]:
    try:
        text = file.read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if (number := value.split()[:1]) and number[0].isdecimal():
            yield name, int(number[0])
