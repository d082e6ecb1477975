"""Checks that ccari can read and write Asterisk's spool, and can write its own folders."""

import grp
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.config import Settings


def spool(settings: Settings) -> Iterator[Finding]:
    """The folder where Asterisk leaves its recordings for ccari to collect."""
    folder = settings.asterisk.spool
    if settings.asterisk.is_off:
        yield ok("spool", "not used: [asterisk] url is off")
    elif settings.asterisk.is_spool_remote:
        yield ok("spool", "recordings are fetched from Asterisk, as [asterisk] spool says")
    elif folder.is_dir():
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield ok("spool", f"{folder} can be read and written")
            return
        yield fault("spool", f"{folder} cannot be read and written by {user_name(os.geteuid())}: recordings cannot be stored",
                    opening(folder))  # fmt: skip
    elif folder.exists() or not folder.parent.is_dir():
        yield fault(
            "spool",
            f"{folder} is not a folder",
            "check [asterisk] spool: `recording` below Asterisk's astspooldir",
        )
    else:
        yield warning("spool", f"there is no {folder} yet (`recording` below Asterisk's astspooldir): if Asterisk creates it "
                      "with its first recording, only Asterisk can read it", f"install -d {_owner_options(folder.parent)} -m 2770 {shlex.quote(str(folder))}")  # fmt: skip


def closed(folder: Path) -> Path | None:
    """The folder if it cannot be written or, if it is created on first use, the nearest existing parent."""
    existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return None if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK) else existing


def _owner_options(above: Path) -> str:
    """The options of install(1) for Asterisk's user and group: those of the parent folder, unless that is root's."""
    stat = above.stat()
    owner, group = user_name(stat.st_uid), group_name(stat.st_gid)
    return f"-o {'asterisk' if stat.st_uid == 0 else owner} -g {'asterisk' if stat.st_gid == 0 else group}"


def opening(folder: Path) -> str:
    """How to let ccari's user into Asterisk's folder. If that has root's group, not by joining it: it opens much more."""
    group = folder.stat().st_gid
    name, path = group_name(group), shlex.quote(str(folder))
    given = ""
    if group == 0:
        name, given = "asterisk", f"chgrp asterisk {path} (the group that Asterisk runs as), "
    return f"{given}chmod g+rwxs {path}, and add ccari's user to its group: usermod -aG {name} {user_name(os.geteuid())}"


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
