"""Checks a speaker's recordings one by one, and accepts those that may replace the synthetic voice."""

import contextlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from ccari.errors import SoundError, why
from ccari.policy.wording import Prompt
from ccari.sounds import audio
from ccari.sounds.locking import make_folder
from ccari.sounds.studio import ENDINGS, WORDS, check_words

#: Sampling rates in Hz. Below the first, a recording lacks sound that every telephone carries; below the second, sound that a prompt can
#: have.
LEAST_RATE, GOOD_RATE = 8000, audio.RATE
#: Characters a second. Faster than the first: words are missing, since nobody reads that fast. Slower than the second: something was
#: added. Written abbreviations and numbers take longer to read, and pauses are allowed, hence a grace in seconds.
FASTEST, SLOWEST, GRACE = 25.0, 5.0, 1.5
#: How much shorter than its header says a recording may be, in seconds: codecs add or remove some silence.
MISSING_SECONDS = 0.25
#: A longer file, including the silence at its ends, is a whole session; trimming hours would take gigabytes of memory.
MOST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that the studio delivered, with the result of its check.

    ``name``: its path below the folder. ``prompt``: the prompt that it records, if any. ``fault``: why it is refused. ``doubt``: what
    somebody should listen for, though it is accepted.
    """

    name: str
    path: Path
    prompt: Prompt | None = None
    fault: str | None = None
    doubt: str | None = None


def examine(folder: Path, prompts: Iterable[Prompt]) -> Iterator[Recording]:
    """Check every file below ``folder`` in the order of their names, except hidden files and the ``.txt`` files with the words. What is neither
    a file nor a folder has a fault.

    A recording is named after the key of its prompt: ``pl/renewals/identity.wav``, or flat, ``pl.renewals.identity.wav``. Takes about 0.5
    s of processor time for each. Raises SoundError if the folder, or one in it, cannot be read.
    """
    audio.require_ffmpeg()
    by_name = {name: each for each in prompts for name in (each.key, each.key.replace("/", "."))}
    recordings = [_identified(path, folder, by_name) for path in _files(folder)]
    duplicates = _duplicates(recordings)
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda each: _examined(each, duplicates, Path(work)), recordings)


def take(recordings: Iterable[Recording], studio: Path) -> list[Prompt]:
    """Copy the recordings without a fault to ``studio``, where builds look for them, with the words that they say.

    Returns their prompts. Raises SoundError if one cannot be written; if it cannot be copied, such as to a full disk, none is taken.
    """
    good = [(each, each.prompt) for each in recordings if each.fault is None and each.prompt is not None]
    with contextlib.ExitStack() as drafts:
        copied = [(each, prompt, _copied(each, prompt, studio, drafts)) for each, prompt in good]
        for recording, prompt, (draft, words) in copied:
            target = _target(recording, prompt, studio)
            with _named(recording, target):
                for old in target.parent.glob(f"{target.stem}.*"):
                    old.unlink()
                draft.replace(target)
                words.replace(target.with_suffix(WORDS))
    return [prompt for _, prompt in good]


def _target(recording: Recording, prompt: Prompt, studio: Path) -> Path:
    return studio / f"{prompt.key}{recording.path.suffix.lower()}"


def _copied(
    recording: Recording, prompt: Prompt, studio: Path, drafts: contextlib.ExitStack
) -> tuple[Path, Path]:
    """Drafts of the recording and of its words, beside their final places. ``drafts`` removes those that are left in the end: a part of a
    recording would keep a full disk full.
    """
    target = _target(recording, prompt, studio)
    draft, words = (target.with_name(f".{target.name}{ending}.draft") for ending in ("", WORDS))
    with _named(recording, target):
        make_folder(target.parent)
        drafts.callback(_remove, draft, words)
        shutil.copyfile(recording.path, draft)
        words.write_text(f"{prompt.text}\n", encoding="utf-8")
    return draft, words


def _remove(*drafts: Path) -> None:
    for each in drafts:
        with contextlib.suppress(OSError):
            each.unlink()


@contextlib.contextmanager
def _named(recording: Recording, target: Path) -> Iterator[None]:
    """Raise SoundError for OSError: of two files, copyfile names the one that it reads, whichever of them has failed."""
    try:
        yield
    except OSError as error:
        raise SoundError(f"{recording.name} cannot be copied to {target}: {why(error)}") from error


def _files(folder: Path) -> list[Path]:
    """Everything below ``folder`` but folders, and links to folders, which are not followed. Raises SoundError if a folder cannot be read: its
    recordings would be missed.
    """

    def cannot_read(error: OSError) -> NoReturn:
        at = Path(error.filename)
        if at == folder and isinstance(error, FileNotFoundError | NotADirectoryError):
            raise SoundError(f"{folder}: no such folder") from None
        raise SoundError(f"cannot read {at}: {why(error)}") from None

    found = list[Path]()
    for at, folders, files in os.walk(folder, onerror=cannot_read):
        folders[:] = [each for each in folders if not each.startswith(".")]
        links = [each for each in folders if Path(at, each).is_symlink()]
        found += [Path(at, each) for each in (*links, *files) if not each.startswith(".")]
    return sorted(each for each in found if each.suffix.lower() != WORDS)


def _identified(path: Path, folder: Path, by_name: Mapping[str, Prompt]) -> Recording:
    """The file with the prompt that it is named after, or with the fault that there is no such prompt."""
    name = path.relative_to(folder)
    prompt = by_name.get(str(name.with_suffix("")))
    if not path.is_file():
        return Recording(str(name), path, None, "not a file, but a link to a folder or to nothing, or a pipe")
    if path.suffix.lower()[1:] not in ENDINGS:
        return Recording(
            str(name), path, None, f"not a kind of recording that can be imported: {', '.join(ENDINGS)}"
        )
    if prompt is None:
        return Recording(str(name), path, None, "no prompt has that name: ccari sounds list shows the names")
    return Recording(str(name), path, prompt)


def _duplicates(recordings: Sequence[Recording]) -> dict[str, str]:
    """For each recording of a prompt that has several, by name: the name of another."""
    by_prompt = defaultdict[str, list[str]](list)
    for each in recordings:
        if each.prompt is not None:
            by_prompt[each.prompt.key].append(each.name)
    return {
        name: next(other for other in names if other != name)
        for names in by_prompt.values()
        if len(names) > 1
        for name in names
    }


def _examined(recording: Recording, duplicates: Mapping[str, str], work: Path) -> Recording:
    if recording.prompt is None:
        return recording
    if other := duplicates.get(recording.name):
        return replace(recording, fault=f"{other} is a recording of the same prompt: keep one")
    path, prompt = recording.path, recording.prompt
    try:
        check_words(path, prompt)
        return replace(recording, doubt=_doubt_of(path, prompt, Path(tempfile.mkdtemp(dir=work))))
    except SoundError as error:
        return replace(recording, fault=str(error).removeprefix(f"{path.name} "))


def _doubt_of(path: Path, prompt: Prompt, work: Path) -> str | None:
    """What is doubtful about a recording, or None. Raises SoundError with the reason if it must be refused."""
    source = audio.inspect(path)
    if source.rate < LEAST_RATE:
        raise SoundError(f"sampled at {source.rate} Hz: at least {LEAST_RATE}, better {GOOD_RATE} or more")
    if source.missing_seconds > MISSING_SECONDS:
        whole = source.seconds + source.missing_seconds
        raise SoundError(f"cut off: {source.seconds:.1f} s are left of {whole:.1f} s: copy it again")
    if source.seconds > MOST_SECONDS:
        raise SoundError(f"too long: {source.seconds:.0f} s: a file holds one prompt")
    if source.clipped:
        raise SoundError("clipped: record it again at a lower level")
    sound = audio.load(path, work)
    spoken, letters = audio.spoken_seconds(sound), len(prompt.text)
    if spoken < letters / FASTEST:
        raise SoundError(f"too short: {spoken:.1f} s for {letters} letters: something is missing")
    if spoken > letters / SLOWEST + GRACE:
        raise SoundError(f"too long: {spoken:.1f} s for {letters} letters: something else is in it")
    audio.write(sound, work / f"sound.{audio.FORMAT}")
    if source.rate < GOOD_RATE:
        return f"sampled at {source.rate} Hz: muffled on telephones that carry more"
    return None
