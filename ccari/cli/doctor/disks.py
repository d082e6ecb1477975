"""The disks: room for what is recorded, for rights that wait, and for the embedded database."""

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import Settings

#: A hundred calls record some 100 MB a minute: what is less is no room, and a local journal needs 32 MB of it.
NO_ROOM_BYTES = 512 << 20
#: Both are little: a tenth of a large disk is room for months, and of a small one it is not.
LITTLE_BYTES, LITTLE_SHARE = 10 << 30, 0.1
#: Each recording, prompt and right is a file.
LITTLE_FILES_SHARE = 0.05
_DATA, _KEPT, _SPOOL = "data_dir", "[recordings] dir", "[asterisk] spool"
#: By where there is no room; what cannot get to its place is only late.
_LOST = {_SPOOL: "recordings", _DATA: "rights pressed while the database is away"}
_LATE = "recordings stay in the spool, unencrypted"
_LOOK = "make room: du -xh --max-depth=2 {} | sort -h | tail; or give it a larger disk"


def disks(settings: Settings) -> Iterator[Finding]:
    """One line for each disk that something of ccari's lies on. Raises OSError."""
    folders = {_DATA: settings.data_dir, _KEPT: settings.recordings_dir}
    if not settings.asterisk.is_off and not settings.asterisk.is_spool_remote:
        folders[_SPOOL] = settings.asterisk.spool
    on: dict[int, dict[str, Path]] = {}
    for name, folder in folders.items():
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        on.setdefault(there.stat().st_dev, {})[name] = there
    for places in on.values():
        yield _disk(list(places), next(iter(places.values())))


def _disk(places: Sequence[str], folder: Path) -> Finding:
    check, found = "disk", os.statvfs(folder)
    free, whole = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    told, advice = (
        f"{' and '.join(places)}: {_size(free)} free of {_size(whole)}",
        _LOOK.format(shlex.quote(str(folder))),
    )
    if free < NO_ROOM_BYTES:
        lost = ", and ".join(each for place, each in _LOST.items() if place in places)
        return fault(check, f"{told}: {f'{lost} will be lost' if lost else _LATE}", advice)
    if found.f_files and found.f_favail / found.f_files < LITTLE_FILES_SHARE:
        return doubt(
            check, f"{told}, but for {found.f_favail} more files of {found.f_files}", advice.replace("du ", "du --inodes ", 1)
        )  # fmt: skip
    if free < LITTLE_BYTES and free < LITTLE_SHARE * whole:
        return doubt(check, told, advice)
    return well(check, told)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
