"""The processor time of processes, as counted by the kernel."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
#: Fields of /proc/PID/stat after the name, which may contain anything: the parent, and utime, stime, cutime, cstime.
_PARENT, _TIMES = 1, slice(11, 15)


def used_ms(*roots: int) -> float:
    """Milliseconds of processor time so far, of these processes, of their descendants, and of those that have ended."""
    stats = dict(_stats())
    return sum(sum(map(int, stats[pid][_TIMES])) for pid in _family(stats, roots) if pid in stats) * TICK_MS


def alone_ms(pid: int) -> float:
    """As :func:`used_ms`, for one process alone."""
    own = dict(_stats()).get(pid)
    return sum(map(int, own[_TIMES][:2])) * TICK_MS if own else 0.0


def family(*roots: int) -> Iterator[int]:
    """These processes, and their descendants."""
    return _family(dict(_stats()), roots)


def _family(stats: Mapping[int, list[str]], roots: Iterable[int]) -> Iterator[int]:
    children = defaultdict(list)
    for pid, fields in stats.items():
        children[int(fields[_PARENT])].append(pid)
    left = list(roots)
    while left:
        yield (pid := left.pop())
        left += children[pid]


def _stats() -> Iterable[tuple[int, list[str]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(folder.name), text.rpartition(")")[2].split()
