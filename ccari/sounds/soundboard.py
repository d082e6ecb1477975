"""Finds the sounds that calls play, checks that they say the policy's words, and gives the names that Asterisk knows them by."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy import notices, wording
from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller
from ccari.policy.wording import Prompt
from ccari.ports.sounds import Script, Sound
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.manifest import FILE_NAME, Entry, Manifest, damage


def shipped_sounds() -> Path:
    """The folder of the prompts that come with ccari: beside the package in a checkout, else where the wheel installed it."""
    checkout = Path(__file__).parents[2] / "sounds"
    return checkout if (checkout / FILE_NAME).exists() else Path(sys.prefix) / "share" / "ccari" / "sounds"


def open_soundboard(settings: Settings) -> "Soundboard":
    """The sounds of the configured folder, with the shipped ones as a fallback."""
    return Soundboard(settings.sounds_dir, shipped_sounds(), settings.sounds.asterisk_dir)


#: How long, in seconds, damage to a sound outside the notices may go unnoticed; a call may play the sound minutes after its check anyway.
#: Checking hundreds of files takes half a millisecond. Changes made by a build are noticed at the next look.
LOOK_SECONDS = 5.0

#: Inode, size and ctime of a file or folder, which reveal a change; None if it does not exist.
_Stamp = tuple[int, int, int] | None
_Stamps = dict[str, _Stamp]


@dataclass
class Checked:
    """The scripts of a campaign, with the stamps of their files at the check.

    ``of``: the declarations that they were made for. ``notices``: the stamps of the notices' files, checked at each look: nobody is
    rung if the notice cannot be played (invariant 3). ``others``: those of all other files, checked every :data:`LOOK_SECONDS`.
    ``heard``: the digest and files of each sound. ``said``: the words of each notice, by version.
    """

    of: tuple[Controller, Campaign]
    scripts: dict[str, Script]
    notices: _Stamps
    others: _Stamps
    looked_at: float
    heard: list[tuple[str, dict[str, Path]]] = field(default_factory=list)
    said: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def holds(self, now: float) -> bool:
        """True if no file was changed, removed or added since, as far as this checks."""
        if now - self.looked_at < LOOK_SECONDS:
            return _unchanged(self.notices)
        self.looked_at = now
        return _unchanged(self.notices) and _unchanged(self.others)


class Soundboard:
    """A folder of built sounds and, for prompts that it lacks, the shipped ones.

    Everything here reads the disk, which may hang, and is for one thread at a time: the service asks through
    :class:`ccari.sounds.prompter.Prompter`. ``asterisk_dir``: the path of the folder for Asterisk, if it differs. ``clock``: in seconds, for
    the age of a check. ``catalogue``: that of ``shipped``, if it has been read.
    """

    def __init__(
        self,
        folder: Path,
        shipped: Path,
        asterisk_dir: Path | None = None,
        clock: Callable[[], float] = monotonic,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._clock = clock
        self.catalogue = catalogue or Catalogue.load(shipped / "catalogue.toml")
        self._places = ((folder, asterisk_dir or folder), (shipped, shipped))
        self._manifests: list[Manifest | None] = []
        self._written = [str(place / FILE_NAME) for place, _ in self._places]
        self._stamps: list[_Stamp] | None = None
        self._checked: dict[str, Checked] = {}
        #: Intact sounds by path: the manifest's entry of each, and the stamps of its files. Calls wait while each language of a campaign
        #: has about a hundred checked.
        self._whole: dict[str, tuple[Entry, _Stamps]] = {}

    def afresh(self) -> "Soundboard":
        """The same sounds, of which nothing is known yet, for another thread. Does not read the disk."""
        (folder, seen_as), (shipped, _) = self._places
        return Soundboard(folder, shipped, seen_as, self._clock, self.catalogue)

    @property
    def folder(self) -> Path:
        """The folder of built sounds."""
        return self._places[0][0]

    def scripts(self, controller: Controller, campaign: Campaign) -> dict[str, Script]:
        """The script in each of the campaign's languages. Raises SoundError like :meth:`look`."""
        return self.look(controller, campaign).scripts

    def look(self, controller: Controller, campaign: Campaign) -> Checked:
        """The scripts of a campaign, as its files are now.

        Hashes a file only if it, its folder or the campaign has changed. To notice that, the stamps of the notices' files are checked
        each time; the others every :data:`LOOK_SECONDS`.

        Raises
        ------
        SoundError
            Names the first sound that is missing, damaged, or says other words.
        """
        self._refresh()
        while True:
            try:
                return self._look(controller, campaign)
            except SoundError:
                # try again if a build has replaced sounds since the manifests were read
                if not self._refresh():
                    raise

    def _look(self, controller: Controller, campaign: Campaign) -> Checked:
        # the time before the check, so that its age is not underestimated
        before, now = self._checked.get(campaign.id), self._clock()
        if before is not None and before.of == (controller, campaign) and before.holds(now):
            return before
        self._checked.pop(campaign.id, None)
        checked = Checked((controller, campaign), {}, {}, {}, now)
        for language in campaign.spoken:
            checked.scripts[language] = self._script(controller, campaign, language, checked)
        self._checked[campaign.id] = checked
        return checked

    def _script(self, controller: Controller, campaign: Campaign, language: str, checked: Checked) -> Script:
        """The script of one language. Adds to ``checked`` the stamps of its files, and what must be copied."""
        prompts = {each.id: each for each in wording.prompts(controller, campaign, self.catalogue, language)}
        in_notices = {id_ for ids in notices.wordings(campaign) for id_ in ids}
        found = {
            id_: self._find(prompt, checked.notices if id_ in in_notices else checked.others)
            for id_, prompt in prompts.items()
        }
        sounds = {id_: _sound(prompts[id_], seen_as, entry) for id_, (_, seen_as, entry) in found.items()}
        checked.heard += [
            (sounds[id_].digest, _files(folder, prompts[id_], entry))
            for id_, (folder, _, entry) in found.items()
        ]
        wordings = [ids for ids in notices.wordings(campaign) if prompts.keys() >= set(ids)]
        versions = {ids: wording.version(tuple(prompts[id_] for id_ in ids)) for ids in wordings}
        checked.said |= {
            version: [(prompts[id_].key, prompts[id_].text) for id_ in ids]
            for ids, version in versions.items()
        }
        return Script(sounds, versions)

    def common(self, prompt: str, language: str) -> Sound:
        """A sound shared by all campaigns. Raises SoundError like :meth:`look`."""
        self._refresh()
        return self._sound(Prompt(prompt, language, self.catalogue.template(prompt, language)))

    def source(self, words: str, language: str) -> Sound:
        """The sound that says a contact's source. Raises SoundError like :meth:`look`."""
        self._refresh()
        return self._sound(wording.source(words, self.catalogue, language))

    def find(self, prompt: Prompt) -> Entry:
        """The manifest's entry of the sound that a call would play. Raises SoundError like :meth:`look`."""
        self._refresh()
        return self._find(prompt)[2]

    def files(self, prompt: Prompt) -> dict[str, Path]:
        """The files of a prompt that a call would play, by ending. Raises SoundError like :meth:`look`."""
        self._refresh()
        folder, _, entry = self._find(prompt)
        return _files(folder, prompt, entry)

    def replaced(self, played: Iterable[Sound]) -> list[Sound]:
        """Those of the sounds, from :meth:`look`, whose audio is no longer in its place. Other sounds do not matter, nor which one a call would
        play now. Raises SoundError if a manifest is damaged.
        """
        self._refresh()
        return [each for each in played if not self._is_in_place(each)]

    def _is_in_place(self, sound: Sound) -> bool:
        for (folder, seen_as), manifest in zip(self._places, self._manifests, strict=True):
            key = sound.media.removeprefix(f"{_media(seen_as)}/")
            if manifest and (entry := manifest.entries.get(key)):
                return entry.digest == sound.digest and self._damage(folder, key, entry) is None
        return False

    def _sound(self, prompt: Prompt) -> Sound:
        _, seen_as, entry = self._find(prompt)
        return _sound(prompt, seen_as, entry)

    def _find(self, prompt: Prompt, stamps: _Stamps | None = None) -> tuple[Path, Path, Entry]:
        """The folder of the sound, that folder as Asterisk sees it, and the entry. Adds the stamps of the files to ``stamps``."""
        fault = f"{prompt.key}: no such sound in {self._places[0][0]}: ccari sounds build"
        for (folder, seen_as), manifest in zip(self._places, self._manifests, strict=True):
            entry = manifest.entries.get(prompt.key) if manifest else None
            if entry is None:
                continue
            if entry.text != prompt.text:
                fault = f"{prompt.key}: the sound in {folder} says other words than the policy: ccari sounds build"
                continue
            problem = self._damage(folder, prompt.key, entry, stamps)
            if problem is None:
                return folder, seen_as, entry
            fault = f"{folder}: {problem}"
        raise SoundError(fault)

    def _damage(self, folder: Path, key: str, entry: Entry, stamps: _Stamps | None = None) -> str | None:
        """What is wrong with a sound's files; None if nothing is. Adds the stamps of the files to ``stamps``."""
        # taken before the check, so that a change during it shows next time
        seen, place = _stamps(folder, key, entry), f"{folder}/{key}"
        if stamps is not None:
            for path, stamp in seen.items():
                stamps.setdefault(path, stamp)
        # most sounds are shared by all campaigns, and were checked for another one
        if self._whole.get(place) == (entry, seen):
            return None
        problem = next(damage(folder, key, entry), None)
        if problem is None:
            self._whole[place] = entry, seen
        return problem

    def _refresh(self) -> bool:
        """Reread the manifests if a build has changed them; True if so."""
        stamps = [_stamp(path) for path in self._written]
        if stamps == self._stamps:
            return False
        self._manifests = [
            None if stamp is None else Manifest.load(folder)
            for stamp, (folder, _) in zip(stamps, self._places, strict=True)
        ]
        self._checked.clear()
        self._stamps = stamps
        return True


def _stamps(folder: Path, key: str, entry: Entry) -> _Stamps:
    """The stamps of a sound's files, and of their folder: Asterisk may play a file that is added there."""
    sound = f"{folder}/{key}"
    paths = [sound.rpartition("/")[0], *(f"{sound}.{ending}" for ending in entry.files)]
    return {path: _stamp(path) for path in paths}


def _unchanged(stamps: _Stamps) -> bool:
    return {path: _stamp(path) for path in stamps} == stamps


def _stamp(path: str) -> _Stamp:
    try:
        stat = os.stat(path)  # noqa: PTH116 - hundreds at each gate, and pathlib takes three times as long
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_ctime_ns


def _files(folder: Path, prompt: Prompt, entry: Entry) -> dict[str, Path]:
    return {ending: folder / f"{prompt.key}.{ending}" for ending in entry.files}


def _sound(prompt: Prompt, seen_as: Path, entry: Entry) -> Sound:
    return Sound(_media(seen_as / prompt.key), entry.duration_ms, prompt.text, entry.digest)


def _media(path: Path) -> str:
    """What Asterisk is asked to play."""
    return f"sound:{path}"
