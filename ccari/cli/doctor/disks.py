"""Checks that the disks can be written, and have room for recordings, for rights that wait, and for the embedded database."""

import errno
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.config import Settings

#: Less free space than this is a fault: a hundred calls record some 100 MB a minute, and a local journal needs 32 MB.
NO_ROOM_BYTES = 512 << 20
#: Free space below both is a warning: a tenth of a large disk lasts for months, a tenth of a small one does not.
LITTLE_BYTES, LITTLE_SHARE = 10 << 30, 0.1
#: A lower share of free inodes is a warning: each recording, prompt and right is a file.
LITTLE_FILES_SHARE = 0.05
_DATA, _KEPT, _SPOOL = "data_dir", "[recordings] dir", "[asterisk] spool"
#: What is lost if a location has no space. Recordings that cannot be stored are only late.
_LOST = {_SPOOL: "recordings", _DATA: "rights pressed while the database is away"}
_LATE = "recordings stay in the spool, unencrypted"
_LOOK = "make room: du -xh --max-depth=2 {} | sort -h | tail; or use a larger disk"
_REFUSALS = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT})
#: The kernel remounts a file system read-only when it finds it damaged.
_REMOUNT = (
    "see why: dmesg | tail; once the disk is sound: mount -o remount,rw $(findmnt -no TARGET --target {}), "
    "or if that is refused, stop what uses it, and umount, fsck and mount it"
)


def disks(settings: Settings) -> Iterator[Finding]:
    """One finding for each disk that ccari keeps something on. Raises OSError."""
    folders = {_DATA: settings.data_dir, _KEPT: settings.recordings_dir}
    if not settings.asterisk.is_off and not settings.asterisk.is_spool_remote:
        folders[_SPOOL] = settings.asterisk.spool
    by_disk: dict[int, dict[str, Path]] = {}
    for name, folder in folders.items():
        existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        by_disk.setdefault(existing.stat().st_dev, {})[name] = existing
    for places in by_disk.values():
        yield _disk(list(places), next(iter(places.values())))


def _disk(places: Sequence[str], folder: Path) -> Finding:
    check, disk = "disk", os.statvfs(folder)
    free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    state, advice = (
        f"{' and '.join(places)}: {_size(free)} free of {_size(whole)}",
        _LOOK.format(shlex.quote(str(folder))),
    )
    lost = ", and ".join(each for place, each in _LOST.items() if place in places)
    then = f"{lost} will be lost" if lost else _LATE
    refusal = _refusal(folder)
    if disk.f_flag & os.ST_RDONLY or refusal == errno.EROFS:
        return fault(
            check,
            f"{' and '.join(places)}: the file system is read-only: {then}",
            _REMOUNT.format(shlex.quote(str(folder))),
        )
    if refusal is not None:
        return fault(
            check,
            f"{state}, but it takes no more files ({os.strerror(refusal)}): {then}",
            f"a quota, or {advice.replace('du ', 'du --inodes ', 1)}",
        )
    if free < NO_ROOM_BYTES:
        return fault(check, f"{state}: {then}", advice)
    if disk.f_files and disk.f_favail / disk.f_files < LITTLE_FILES_SHARE:
        return warning(
            check, f"{state}, but room for only {disk.f_favail} more files (inodes) of {disk.f_files}", advice.replace("du ", "du --inodes ", 1)
        )  # fmt: skip
    if free < LITTLE_BYTES and free < LITTLE_SHARE * whole:
        return warning(check, state, advice)
    return ok(check, state)


def _refusal(folder: Path) -> int | None:
    """Why no file can be created in the folder, as an errno, found by creating an unnamed file: after an error has shut ext4 down it
    still looks writable (Linux 6.18), and neither quotas nor a lack of inodes shows in the free space. None if a file can be created, the
    folder is closed to this user, or the file system does not support unnamed files.
    """
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return error.errno if error.errno in _REFUSALS else None
    return None


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
