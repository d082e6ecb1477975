"""Checks the keys folder: others cannot read it, and it holds the keys that verify evidence, and none that opens recordings."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.cli.doctor.reader import READ, Reader
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import ConfigError
from ccari.keyring.files import LOST_AND_FOUND, PUBLIC_SUFFIXES, holds_identity, is_open
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile

#: How much of a file is searched for an identity, which is two lines: the file may be anything.
_LOOKED_AT_BYTES = 65536


def keys(settings: Settings) -> Iterator[Finding]:
    """Only the owner, and users that root permits, may read a secret; nobody else may replace it; the service must be able to read it."""
    folder = settings.keys_dir
    if not folder.exists():
        yield warning(
            "keys",
            f"there is no {folder}",
            "restore it from the backup, or if there has never been one: apply a policy, then ccari keys init",
        )
        return
    service = settings.data_dir.stat().st_uid if settings.data_dir.exists() else 0
    unwell = [*_modes(folder, service), *_identities(folder)]
    yield from unwell
    if not unwell:
        yield ok("keys", f"nobody reads {folder} but its owner and whom root lets")


def _modes(folder: Path, service: int) -> Iterator[Finding]:
    reader = Reader.of(service)
    # listing the folder is allowed: the names are not secret, only the content
    for each in (folder, *sorted(each for each in folder.rglob("*") if each.name != LOST_AND_FOUND)):
        stat, quoted = each.stat(), shlex.quote(str(each))
        if is_open(each, stat):
            replaceable = each.is_dir() or each.suffix in PUBLIC_SUFFIXES
            others = "put other keys there" if replaceable else "read it"
            yield fault("keys", f"{each}: users other than its owner can {others}",
                        f"chmod {'go-w' if replaceable else '600'} {quoted}, and find out whether anybody has done so")  # fmt: skip
        given = stat.st_uid == 0 and reader.may(each, READ)
        if service not in {0, stat.st_uid} and not given:
            unless = ", unless its unit or its container gives it a group" if stat.st_uid == 0 else ""
            yield warning("keys", f"{each} belongs to {user_name(stat.st_uid)}: a service that runs as {user_name(service)}, the owner of data_dir, "
                                f"cannot read it{unless}", f"chown {user_name(service)} {quoted}")  # fmt: skip


def _identities(folder: Path) -> Iterator[Finding]:
    """Identities, under any name. The service needs none, and an intruder could open every recording with them."""
    usual = RecipientFile(folder).identity_path
    for each in sorted(folder.rglob("*")):
        if each.is_file() and (each == usual or _holds_identity(each)):
            yield warning("keys", f"{each} opens recordings, and an intruder would find it here",
                          "move it to the machines of those who may listen, keep a copy in a safe place, then: "
                          f"shred -u {shlex.quote(str(each))}")  # fmt: skip


def _holds_identity(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return holds_identity(file.read(_LOOKED_AT_BYTES))
    except PermissionError:
        # the check that needs the file reports it
        return False


def earlier_evidence(settings: Settings) -> Iterator[Finding]:
    """The keys that verify older evidence. :mod:`ccari.cli.doctor.readiness` checks the signing key. Raises ConfigError."""
    kept = SigningKeys(settings.keys_dir)
    try:
        newest = kept.newest()
    except ConfigError:
        return
    earlier = [each for each in kept.all() if each.version != newest.version]
    if earlier:
        yield ok("earlier evidence", f"can be verified with {counted(len(earlier), 'earlier key')}")
