"""Every prompt that a call may play: there, as it was built, and for Asterisk to read."""

import os
import pwd
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccari.cli import readiness
from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.keypad import KeyAction
from ccari.ports.sounds import Sound
from ccari.sounds.audio import FORMATS
from ccari.sounds.soundboard import Soundboard, open_soundboard, shipped_sounds

_READ, _ENTER = 0o4, 0o1
_ACL = "system.posix_acl_access"


def sounds(settings: Settings, policy: Policy, sources: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """As ``ccari serve`` and ``ccari policy check`` look at them; ``sources`` of contacts by controller."""
    board, all_sounds = open_soundboard(settings), []
    for campaign in policy.campaigns:
        need = readiness.sounds(board, policy, campaign)
        yield need.finding
        if need.met:
            scripts = board.scripts(policy.controller_of(campaign), campaign)
            all_sounds += [sound for script in scripts.values() for sound in script.sounds.values()]
            yield from _sources(board, campaign, sources.get(campaign.controller, ()))
    if all_sounds:
        yield from _for_asterisk(settings, all_sounds)


def _sources(board: Soundboard, campaign: Campaign, told: Sequence[str]) -> Iterator[Finding]:
    """Where a number is from is said by key, and contacts may have come since the sounds were built."""
    if KeyAction.DATA_SOURCE not in campaign.keys.values():
        return
    lacking = sum(not _speaks(board, each, language) for each in told for language in campaign.spoken)
    if lacking:
        yield doubt(
            f"sounds {campaign.id}",
            f"{lacking} that say where contacts' numbers are from are missing",
            readiness.BUILD,
        )


def _speaks(board: Soundboard, source: str, language: str) -> bool:
    try:
        board.source(source, language)
    except SoundError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Reader:
    """Asterisk's user, or ``uid`` None: anybody at all."""

    uid: int | None = None
    groups: frozenset[int] = frozenset()

    def may(self, path: Path, wanted: int) -> bool:
        """What the mode tells; what an access list grants is not in it, and is believed."""
        found = path.stat()
        if self.uid == 0:
            return True
        shift = {"u": 6, "g": 3, "o": 0}[self.class_of(path)]
        return bool(found.st_mode >> shift & wanted) or _has_acl(path)

    def class_of(self, path: Path) -> str:
        """Whose bits of the mode count for it, as chmod(1) calls them: an owner's, a group's, others'."""
        found = path.stat()
        return "u" if found.st_uid == self.uid else "g" if found.st_gid in self.groups else "o"


def _has_acl(path: Path) -> bool:
    try:
        return _ACL in os.listxattr(path)
    except OSError:
        # a file system that knows none
        return False


def _for_asterisk(settings: Settings, found: Iterable[Sound]) -> Iterator[Finding]:
    """Asterisk runs as whoever owns its spool; where there is none yet, everybody must be able to read."""
    check, ours = "sounds for Asterisk", settings.sounds_dir.absolute()
    theirs = settings.sounds.asterisk_dir or ours
    reader, name = _asterisk(settings.asterisk.spool)
    closed = set()
    for sound in found:
        path = Path(sound.media.removeprefix("sound:"))
        top = Path("/")
        if theirs != ours and path.is_relative_to(theirs):
            # what is above it is another machine's, or container's
            path, top = ours / path.relative_to(theirs), ours
        for ending in FORMATS:
            closed |= set(_closed(path.with_name(f"{path.name}.{ending}").absolute(), top, reader))
    for each in sorted(closed)[:1]:
        more = f", nor {len(closed) - 1} more" if len(closed) > 1 else ""
        yield fault(check, f"{each} cannot be read by {name}{more}: calls would end in silence",
                    " && ".join(_opened(sorted(closed), (ours, shipped_sounds().absolute()), reader)))  # fmt: skip
    if not closed:
        yield well(check, f"{name} can read them")


def _opened(closed: Sequence[Path], folders: Sequence[Path], reader: Reader) -> Iterator[str]:
    """The commands that let Asterisk in: on the way to a folder of sounds, no further than through.

    Nothing is opened as a whole but what lies within it, a language's folder say: keys and recordings may lie beside the
    sounds, and even a folder of sounds may be one that holds other things too.
    """
    through, within, alone = ("", "x"), ("-R ", "rX"), ("", "r")
    targets: dict[tuple[str, str], dict[Path, str]] = {through: {}, within: {}, alone: {}}
    for path in closed:
        folder = next((each for each in folders if path != each and path.is_relative_to(each)), None)
        target = path if folder is None else folder / path.relative_to(folder).parts[0]
        how = alone if not target.is_dir() else through if folder is None else within
        targets[how][target] = targets[how].get(target, "") + reader.class_of(path)
    for (option, bits), found in targets.items():
        if found:
            whose = "".join(each for each in "ugo" if any(each in classes for classes in found.values()))
            yield f"chmod {option}{whose}+{bits} {shlex.join(map(str, found))}"


def _closed(file: Path, top: Path, reader: Reader) -> Iterator[Path]:
    if not reader.may(file, _READ):
        yield file
    for folder in file.parents:
        if not folder.is_relative_to(top):
            return
        if not reader.may(folder, _ENTER):
            yield folder


def _asterisk(spool: Path) -> tuple[Reader, str]:
    try:
        uid = spool.stat().st_uid
        who = pwd.getpwuid(uid)
    except (OSError, KeyError):
        return Reader(), "other users (Asterisk's)"
    return Reader(
        uid, frozenset(os.getgrouplist(who.pw_name, who.pw_gid))
    ), f"{who.pw_name} (owner of the spool)"
