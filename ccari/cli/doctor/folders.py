"""The folders of the settings: who may read and write them."""

import grp
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import Settings

_WRITTEN_BY_OTHERS, _ANYTHING_BY_OTHERS = 0o022, 0o077


def keys(settings: Settings) -> Iterator[Finding]:
    """Nobody else may read a secret, or put another in its place; and the service must be able to read it."""
    folder = settings.keys_dir
    if not folder.exists():
        yield doubt("keys", f"there is no {folder}", "ccari keys init, or restore it from the backup")
        return
    unwell = list(_keys(folder, settings.data_dir.stat().st_uid if settings.data_dir.exists() else 0))
    yield from unwell
    if not unwell:
        yield well("keys", f"{folder}: its owner's alone")


def _keys(folder: Path, service: int) -> Iterator[Finding]:
    # its names are no secret, what is in the files is
    for each in (folder, *sorted(folder.rglob("*"))):
        found, quoted = each.stat(), shlex.quote(str(each))
        if found.st_mode & (_WRITTEN_BY_OTHERS if each.is_dir() else _ANYTHING_BY_OTHERS):
            others = "put other secrets there" if each.is_dir() else "read it"
            yield fault("keys", f"{each}: others than its owner can {others}",
                        f"chmod {'go-w' if each.is_dir() else '600'} {quoted}, and think about who has done so")  # fmt: skip
        if service not in {0, found.st_uid}:
            yield doubt("keys", f"{each} is {user_name(found.st_uid)}'s: a service of {user_name(service)}, as data_dir is, "
                                "cannot read it", f"chown {user_name(service)} {quoted}")  # fmt: skip


def spool(settings: Settings) -> Iterator[Finding]:
    """Where Asterisk leaves what it has recorded, for ccari to take it away."""
    folder = settings.asterisk.spool
    if folder.is_dir():
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield well("spool", f"{folder} can be read and written")
            return
        group = folder.stat().st_gid
        yield fault("spool", f"{folder} cannot be read and written by {user_name(os.geteuid())}: no recording is kept",
                    f"chmod g+rwx {shlex.quote(str(folder))}, and let ccari's user into its group: "
                    f"usermod -aG {_group_name(group)} {user_name(os.geteuid())}")  # fmt: skip
    elif folder.exists() or not folder.parent.is_dir():
        yield fault(
            "spool",
            f"{folder} is no folder",
            "check [asterisk] spool: `recording` below Asterisk's astspooldir",
        )
    else:
        yield doubt("spool", f"there is no {folder} yet: Asterisk makes it with its first recording",
                    "check [asterisk] spool: `recording` below Asterisk's astspooldir")  # fmt: skip


def recordings(settings: Settings) -> Iterator[Finding]:
    """Where recordings are kept; the folder is made with the first of them."""
    folder = settings.recordings_dir
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield well("recordings", f"{folder} can be written")
    else:
        yield fault("recordings", f"{folder}: {there} cannot be written by {user_name(os.geteuid())}",
                    "let ccari's user write there, or set [recordings] dir")  # fmt: skip


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
