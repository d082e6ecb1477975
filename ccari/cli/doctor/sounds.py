"""Checks that every prompt that a call may play exists, unchanged since it was built, and that Asterisk can read it."""

import pwd
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ccari.cli.doctor import readiness
from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.cli.doctor.folders import group_name
from ccari.cli.doctor.reader import ENTER, READ, Reader
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import SoundError
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.keypad import KeyAction
from ccari.ports.sounds import Sound
from ccari.sounds.audio import FORMAT
from ccari.sounds.soundboard import Soundboard, open_soundboard, shipped_sounds


def sounds(settings: Settings, policy: Policy, sources: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """The check that ``ccari serve`` and ``ccari policy check`` also make. ``sources``: those of contacts, by controller."""
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


def _sources(board: Soundboard, campaign: Campaign, sources: Sequence[str]) -> Iterator[Finding]:
    """If a key says where the number comes from, each source needs a prompt; contacts may have been added since the last build."""
    if KeyAction.DATA_SOURCE not in campaign.keys.values():
        return
    lacking = sum(not _speaks(board, each, language) for each in sources for language in campaign.spoken)
    if lacking:
        yield warning(
            f"sounds {campaign.id}",
            f"{lacking} that say where contacts' numbers come from are missing",
            readiness.BUILD,
        )


def _speaks(board: Soundboard, source: str, language: str) -> bool:
    try:
        board.source(source, language)
    except SoundError:
        return False
    return True


def _for_asterisk(settings: Settings, all_sounds: Iterable[Sound]) -> Iterator[Finding]:
    """Whether Asterisk can read the sounds. It runs as the owner of its spool, or its group if that is root's; if there is no spool yet,
    everybody must be able to.
    """
    check, ours = "sounds for Asterisk", settings.sounds_dir.absolute()
    theirs = settings.sounds.asterisk_dir or ours
    reader, name = _asterisk_user(settings.asterisk.spool)
    closed = set()
    for sound in all_sounds:
        path = Path(sound.media.removeprefix("sound:"))
        top = Path("/")
        if theirs != ours and path.is_relative_to(theirs):
            # the parent folders are on another machine or in a container, and cannot be checked here
            path, top = ours / path.relative_to(theirs), ours
        closed |= set(_closed(path.with_name(f"{path.name}.{FORMAT}").absolute(), top, reader))
    for each in sorted(closed)[:1]:
        more = f", nor can {counted(len(closed) - 1, 'more file')}" if len(closed) > 1 else ""
        yield fault(check, f"{each} cannot be read by {name}{more}: calls would end in silence",
                    " && ".join(_chmods(sorted(closed), (ours, shipped_sounds().absolute()), reader)))  # fmt: skip
    if not closed:
        yield ok(check, f"{name} can read them")


def _chmods(closed: Sequence[Path], folders: Sequence[Path], reader: Reader) -> Iterator[str]:
    """The commands that give Asterisk read access. ``folders``: of sounds.

    Parent folders get only the right to pass through. Only folders inside a folder of sounds, such as a language's, are opened with all
    their content: keys and recordings may be beside the sounds, and a folder of sounds may hold other files.
    """
    through, within, alone = ("", "x"), ("-R ", "rX"), ("", "r")
    targets: dict[tuple[str, str], dict[Path, str]] = {through: {}, within: {}, alone: {}}
    for path in closed:
        folder = next((each for each in folders if path != each and path.is_relative_to(each)), None)
        target = path if folder is None else folder / path.relative_to(folder).parts[0]
        mode = alone if not target.is_dir() else through if folder is None else within
        targets[mode][target] = targets[mode].get(target, "") + reader.class_of(path)
    for (option, bits), paths in targets.items():
        if paths:
            whose = "".join(each for each in "ugo" if any(each in classes for classes in paths.values()))
            yield f"chmod {option}{whose}+{bits} {shlex.join(map(str, paths))}"


def _closed(file: Path, top: Path, reader: Reader) -> Iterator[Path]:
    """The file if it cannot be read, and each parent folder, up to ``top``, that cannot be entered."""
    if not reader.may(file, READ):
        yield file
    for folder in file.parents:
        if not folder.is_relative_to(top):
            return
        if not reader.may(folder, ENTER):
            yield folder


def _asterisk_user(spool: Path) -> tuple[Reader, str]:
    try:
        stat = spool.stat()
        name = pwd.getpwuid(stat.st_uid).pw_name
    except (OSError, KeyError):
        return Reader(), "other users (Asterisk's)"
    if stat.st_uid == 0 and stat.st_gid != 0:
        # root has made it, and given it to the group that Asterisk runs as
        return Reader(None, frozenset({stat.st_gid})), f"the group {group_name(stat.st_gid)} (of the spool)"
    return Reader.of(stat.st_uid), f"{name} (owner of the spool)"
