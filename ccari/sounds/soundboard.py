"""The sounds that calls play: looked up, checked against the words wanted, and named as Asterisk knows them."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.notices import Prompt
from ccari.policy.parties import Controller
from ccari.ports.sounds import Script, Sound
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.copies import Copies
from ccari.sounds.manifest import FILE_NAME, Entry, Manifest, damage


def shipped_sounds() -> Path:
    """The folder of the prompts that come with ccari: beside the package in a checkout, else where its wheel put it."""
    checkout = Path(__file__).parents[2] / "sounds"
    return checkout if (checkout / FILE_NAME).exists() else Path(sys.prefix) / "share" / "ccari" / "sounds"


def open_soundboard(settings: Settings, copies: Copies | None = None) -> "Soundboard":
    """The sounds of the settings' folder, with the shipped ones behind them."""
    return Soundboard(settings.sounds_dir, shipped_sounds(), settings.sounds.asterisk_dir, copies)


def open_copies(settings: Settings) -> Copies:
    """Where the service keeps copies of what calls play."""
    return Copies(settings.data_dir / "heard")


#: How long it may go unnoticed, in seconds, that a sound was spoilt which is no notice: of hundreds of files a look at each
#: gate is half a millisecond. What a build has changed counts at once.
LOOK_SECONDS = 1.0

#: Of a file or a folder that was looked at: when and what it was. None of one that is not there.
_Stamp = tuple[int, int, int] | None
_Stamps = dict[str, _Stamp]


@dataclass
class _Checked:
    """The scripts of a campaign, and what they rested on when they were checked: ``notices`` are looked at before each call,
    for nobody is rung who could not be told (invariant 3), and all of it each :data:`LOOK_SECONDS`. ``heard``: the files
    of each sound, by what names its audio, and ``said``: the words of each notice, by their version. Of both there are copies
    when ``copying`` is done.
    """

    of: tuple[Controller, Campaign]
    scripts: dict[str, Script]
    notices: _Stamps
    others: _Stamps
    looked_at: float
    heard: list[tuple[str, dict[str, Path]]] = field(default_factory=list)
    said: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    copying: asyncio.Task[None] | None = None

    def holds(self, now: float, *, lately: bool) -> bool:
        """True if no file was changed, taken away, or put beside them since, as far as there was a look."""
        if now - self.looked_at < LOOK_SECONDS:
            return lately or _unchanged(self.notices)
        self.looked_at = now
        return _unchanged(self.notices) and _unchanged(self.others)


class Soundboard:
    """:class:`ccari.ports.Prompts` over a folder of built sounds, and the shipped ones behind it.

    ``asterisk_dir`` is the folder as Asterisk sees it, where that differs. ``copies``: who keeps what the scripts play.
    ``clock``: in seconds, for how old a look is.
    """

    def __init__(
        self, folder: Path, shipped: Path, asterisk_dir: Path | None = None, copies: Copies | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._copies = copies
        self.catalogue = Catalogue.load(shipped / "catalogue.toml")
        self._places = ((folder, asterisk_dir or folder), (shipped, shipped))
        self._manifests: list[Manifest | None] = []
        self._written = [str(place / FILE_NAME) for place, _ in self._places]
        self._stamps: list[_Stamp] | None = None
        self._checked: dict[str, _Checked] = {}

    def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False
    ) -> dict[str, Script]:
        """Every sound of the campaign, by language; each file is hashed when it, its folder or the campaign is new. For that
        the notices are looked at each time, unless as they were ``lately`` will do, and the others each :data:`LOOK_SECONDS`.

        Raises
        ------
        SoundError
            Naming the first sound that is missing, damaged, or says other words.
        """
        self._refresh()
        while True:
            try:
                return self._scripts(controller, campaign, lately=lately)
            except SoundError:
                # a build has put others in their place since the manifest was read
                if not self._refresh():
                    raise

    def _scripts(self, controller: Controller, campaign: Campaign, *, lately: bool) -> dict[str, Script]:
        # from before the look
        known, now = self._checked.get(campaign.id), self._clock()
        if known is not None and known.of == (controller, campaign) and known.holds(now, lately=lately):
            return known.scripts
        self._checked.pop(campaign.id, None)
        checked = _Checked((controller, campaign), {}, {}, {}, now)
        for language in campaign.spoken:
            checked.scripts[language] = self._script(controller, campaign, language, checked)
        self._checked[campaign.id] = checked
        return checked.scripts

    def _script(self, controller: Controller, campaign: Campaign, language: str, checked: _Checked) -> Script:
        said = {each.id: each for each in notices.prompts(controller, campaign, self.catalogue, language)}
        told = {each for ids in notices.wordings(campaign) for each in ids}
        found = {
            each: self._find(prompt, checked.notices if each in told else checked.others)
            for each, prompt in said.items()
        }
        checked.heard += [
            (entry.digest, _files(folder, said[each], entry)) for each, (folder, _, entry) in found.items()
        ]
        sounds = {each: _sound(said[each], seen_as, entry) for each, (_, seen_as, entry) in found.items()}
        spoken = [ids for ids in notices.wordings(campaign) if said.keys() >= set(ids)]
        versions = {ids: notices.version(tuple(said[each] for each in ids)) for ids in spoken}
        checked.said |= {
            version: [(said[each].key, said[each].text) for each in ids] for ids, version in versions.items()
        }
        return Script(sounds, versions)

    async def keep(self, campaign: Campaign) -> None:
        """As :class:`ccari.ports.Prompts` has it: done once for all calls, in a thread; nothing is looked at where it was."""
        checked = self._checked.get(campaign.id)
        if checked is None or self._copies is None:
            return
        if checked.copying is None:
            checked.copying = asyncio.create_task(self._copies.keep_all(checked.heard, checked.said))
        if not checked.copying.done():
            # whose call ends meanwhile does not end it for the others
            await asyncio.shield(checked.copying)

    def common(self, prompt: str, language: str) -> Sound:
        """A sound that is alike in every campaign. Raises SoundError as :meth:`scripts` does."""
        self._refresh()
        return self._sound(Prompt(prompt, language, self.catalogue.template(prompt, language)))

    def source(self, told: str, language: str) -> Sound:
        """What says a contact's source. Raises SoundError as :meth:`scripts` does."""
        self._refresh()
        return self._sound(notices.source(told, self.catalogue, language))

    def find(self, prompt: Prompt) -> Entry:
        """How the sound of a prompt was built that a call would play. Raises SoundError as :meth:`scripts` does."""
        self._refresh()
        return self._find(prompt)[2]

    def files(self, prompt: Prompt) -> dict[str, Path]:
        """The files of a prompt that a call would play, by ending. Raises SoundError as :meth:`scripts` does."""
        self._refresh()
        folder, _, entry = self._find(prompt)
        return _files(folder, prompt, entry)

    def _sound(self, prompt: Prompt) -> Sound:
        _, seen_as, entry = self._find(prompt)
        return _sound(prompt, seen_as, entry)

    def _find(self, prompt: Prompt, stamps: _Stamps | None = None) -> tuple[Path, Path, Entry]:
        """The folder, the folder as Asterisk sees it, and the entry. ``stamps``: gets those of what was looked at."""
        fault = f"{prompt.key}: no such sound in {self._places[0][0]}: ccari sounds build"
        for (folder, seen_as), manifest in zip(self._places, self._manifests, strict=True):
            entry = manifest.entries.get(prompt.key) if manifest else None
            if entry is None:
                continue
            if entry.text != prompt.text:
                fault = f"{prompt.key}: the sound in {folder} says other words than the policy: ccari sounds build"
                continue
            if stamps is not None:
                # before the look, so that a change in between shows the next time
                for path, stamp in _stamps(folder, prompt, entry).items():
                    stamps.setdefault(path, stamp)
            problem = next(damage(folder, prompt.key, entry), None)
            if problem is None:
                return folder, seen_as, entry
            fault = f"{folder}: {problem}"
        raise SoundError(fault)

    def _refresh(self) -> bool:
        """Read the manifests again when a build has changed them; True then."""
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


def _stamps(folder: Path, prompt: Prompt, entry: Entry) -> _Stamps:
    """Of the files of a sound, and of the folder that they lie in: Asterisk may play what is put beside them."""
    paths = [(folder / prompt.key).parent, *_files(folder, prompt, entry).values()]
    return {str(path): _stamp(str(path)) for path in paths}


def _unchanged(stamps: _Stamps) -> bool:
    return all(_stamp(path) == stamp for path, stamp in stamps.items())


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds at each gate, and pathlib takes thrice the time
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_ctime_ns


def _files(folder: Path, prompt: Prompt, entry: Entry) -> dict[str, Path]:
    return {ending: folder / f"{prompt.key}.{ending}" for ending in entry.files}


def _sound(prompt: Prompt, seen_as: Path, entry: Entry) -> Sound:
    return Sound(f"sound:{seen_as / prompt.key}", entry.duration_ms, prompt.text, entry.digest)
