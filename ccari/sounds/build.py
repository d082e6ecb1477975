"""Builds the sound files of prompts, from synthesised speech or studio recordings, and enters them in the manifest."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from ccari.errors import SoundError
from ccari.policy.wording import Prompt
from ccari.sounds import audio
from ccari.sounds.engine import Engine
from ccari.sounds.locking import UNFINISHED, lock_folder, make_folder
from ccari.sounds.manifest import FILE_MODE, FILE_NAME, Entry, Manifest, SoundFile, damage, in_other_formats
from ccari.sounds.studio import find_recording, words_beside

#: The version of the processing. Raise it by one if the same source would yield other files: all prompts are then rebuilt.
PIPELINE = 2

STUDIO = "studio"

#: How many prompts are moved into place at once. A build that is killed loses at most this many; after each batch, a running service
#: rechecks all sounds.
BATCH = 50

_KEY = re.compile(r"[a-z]{2,3}(/[A-Za-z0-9][A-Za-z0-9_.-]*){1,2}")


@dataclass(frozen=True, slots=True)
class Progress:
    """A prompt is finished, number ``done`` of ``total``: built, or found unchanged."""

    prompt: Prompt
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A sound to make. ``recording``: None if the engine speaks. ``ready``: the path (without ending) and entry of a sound already made
    from the same source.
    """

    prompt: Prompt
    origin: str
    recipe: str
    recording: Path | None
    ready: tuple[Path, Entry] | None = None

    @property
    def alike(self) -> tuple[str, str]:
        """Equal for jobs that make the same sound. Includes the language: two languages may spell a month the same."""
        return self.prompt.language, self.recipe


@dataclass(frozen=True, slots=True)
class _Made:
    """A finished sound. ``at``: its path in the working folder, without ending."""

    key: str
    at: Path
    entry: Entry


def build(
    prompts: Iterable[Prompt],
    out_dir: Path,
    *,
    engine: Engine,
    studio: Path | None = None,
    shipped: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Make the sound files of ``prompts`` in ``out_dir`` and return the manifest of everything there.

    Each prompt gets a file ``<key>.sln12``, and no other format. A recording ``studio/<key>.wav|flac|…`` is used instead of the engine.
    Unchanged sounds are left alone; sounds in the folder ``shipped`` that were made in the same way are copied; other prompts in
    ``out_dir`` stay. Takes about 0.5 s of processor time per prompt, and blocks; ``on_progress`` is called in this thread.

    Until a sound is made, the old one stays, in the manifest too, so that calls go on meanwhile.

    Raises SoundError for the first prompt that cannot be made, keeping those finished before; or at once, if another build is working in
    that folder.
    """
    wanted = _distinct(prompts)
    audio.require_ffmpeg()
    try:
        with lock_folder(out_dir):
            known = dict(Manifest.load(out_dir).entries) if (out_dir / FILE_NAME).exists() else {}
            jobs = [_job(prompt, engine, studio, known.get(prompt.key)) for prompt in wanted]
            stale = [job for job in jobs if not _unchanged(job, known.get(job.prompt.key), out_dir)]
            report = _reporter(on_progress, len(jobs))
            for job in jobs:
                if job not in stale:
                    report(job.prompt)
            if stale:
                _make(_with_ready(stale, shipped) if shipped else stale, known, out_dir, engine, report)
    except OSError as error:
        if os.access(out_dir, os.W_OK | os.X_OK):
            raise SoundError(f"{error.filename or out_dir}: {error.strerror or error}") from error
        raise SoundError(
            f"cannot write in {out_dir}: {error.strerror or error}: let ccari's user write there, or set [sounds] dir"
        ) from error
    return Manifest(known)


def _make(
    jobs: list[_Job], known: dict[str, Entry], out_dir: Path, engine: Engine, report: Callable[[Prompt], None]
) -> None:
    """Carry out ``jobs``, several at a time, and put their entries into ``known`` and the manifest."""
    alike: dict[tuple[str, str], list[_Job]] = {}
    for job in jobs:
        alike.setdefault(job.alike, []).append(job)
    # inside out_dir, since a rename is atomic only within one file system
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=out_dir) as folder:
        work, waiting = Path(folder), list[_Made]()
        pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
        running = {pool.submit(_sound, first, work, engine): first for first, *_ in alike.values()}

        def collect(future: Future[_Made]) -> None:
            first, made = running.pop(future), future.result()
            waiting.append(made)
            report(first.prompt)
            # jobs for the same sound get a copy of this one
            for job in alike[first.alike][1:]:
                waiting.append(_sound(replace(job, ready=(made.at, made.entry)), work, engine))
                report(job.prompt)

        try:
            for future in as_completed(list(running)):
                collect(future)
                if len(waiting) >= BATCH:
                    _put_in_place(waiting, known, out_dir)
        finally:
            pool.shutdown(cancel_futures=True)
            for future in [each for each in running if not each.cancelled() and each.exception() is None]:
                collect(future)
            _put_in_place(waiting, known, out_dir)


def _put_in_place(waiting: list[_Made], known: dict[str, Entry], out_dir: Path) -> None:
    """Move finished sounds into place, and enter them in the manifest.

    The new manifest is written before the sounds are moved, and renamed after. In the milliseconds between, sounds do not match the
    manifest, which blocks calls that play them; if the build is killed there, until the next build.
    """
    if not waiting:
        return
    for made in waiting:
        make_folder((out_dir / made.key).parent)
    other_formats = [path for made in waiting for path in in_other_formats(out_dir, made.key)]
    with Manifest(known | {made.key: made.entry for made in waiting}).draft(out_dir) as draft:
        try:
            for path in other_formats:
                path.unlink()
            while waiting:
                made = waiting.pop(0)
                for ending in made.entry.files:
                    sound = Path(f"{made.at}.{ending}")
                    sound.chmod(FILE_MODE)
                    sound.replace(out_dir / f"{made.key}.{ending}")
                known[made.key] = made.entry
        except BaseException:
            # if, say, a folder belongs to root: the manifest must still match the sounds that were moved
            Manifest(known).save(out_dir)
            raise
        draft.replace(out_dir / FILE_NAME)


def _with_ready(jobs: list[_Job], folder: Path) -> list[_Job]:
    entries = Manifest.load(folder).entries
    return [
        replace(job, ready=(folder / job.prompt.key, entry))
        if (entry := entries.get(job.prompt.key)) and _unchanged(job, entry, folder)
        else job
        for job in jobs
    ]


def _sound(job: _Job, work: Path, engine: Engine) -> _Made:
    own = Path(tempfile.mkdtemp(dir=work))
    try:
        entry = _copied(job, *job.ready, own) if job.ready else _made(job, own, engine)
    except SoundError as error:
        raise SoundError(f"{job.prompt.key}: {error}") from error
    return _Made(job.prompt.key, own / "sound", entry)


def _copied(job: _Job, made: Path, entry: Entry, own: Path) -> Entry:
    for ending in entry.files:
        shutil.copyfile(f"{made}.{ending}", own / f"sound.{ending}")
    return replace(entry, text=job.prompt.text, language=job.prompt.language)


def _made(job: _Job, own: Path, engine: Engine) -> Entry:
    source, made = job.recording, own / f"sound.{audio.FORMAT}"
    if source is None:
        source = own / "spoken.wav"
        engine.speak(job.prompt.text, job.prompt.language, source)
    level = audio.write(audio.load(source, own), made)
    file = SoundFile(
        hashlib.sha256(made.read_bytes()).hexdigest(), round(level.lufs, 1), round(level.peak, 1)
    )
    return Entry(
        job.prompt.text, job.prompt.language, job.origin, audio.plays_ms(made), job.recipe, {audio.FORMAT: file}
    )  # fmt: skip


def _job(prompt: Prompt, engine: Engine, folder: Path | None, known: Entry | None) -> _Job:
    recording = find_recording(folder, prompt) if folder else None
    if recording is None:
        return _Job(prompt, engine.name, _digest(engine.name, engine.settings, prompt.text), None)
    # the manifest proves what a callee heard, so an old recording must not be entered with new words
    if known and known.origin == STUDIO and known.text != prompt.text and words_beside(recording) is None:
        raise SoundError(
            f"{prompt.key}: the words have changed, and the recording may be of the old ones: import a new one, remove {recording}, "
            f"or write what it says in {recording.stem}.txt beside it"
        )
    recipe = _digest(STUDIO, hashlib.sha256(recording.read_bytes()).hexdigest())
    return _Job(prompt, STUDIO, recipe, recording)


def _unchanged(job: _Job, known: Entry | None, out_dir: Path) -> bool:
    return (
        known is not None
        and (known.recipe, known.text) == (job.recipe, job.prompt.text)
        and not any(damage(out_dir, job.prompt.key, known))
    )


def _distinct(prompts: Iterable[Prompt]) -> list[Prompt]:
    by_key: dict[str, Prompt] = {}
    for prompt in prompts:
        if not _KEY.fullmatch(prompt.key):
            raise SoundError(f"{prompt.key}: not usable as a file name: letters, digits, . _ and - only")
        if not prompt.text.strip():
            raise SoundError(f"{prompt.key}: the words are empty")
        if braces := re.search(r"\{\w*\}", prompt.text):
            raise SoundError(
                f"{prompt.key}: {braces[0]} cannot be spoken: take the braces out of the controller's name, the purpose or the data source "
                f"in the policy: {prompt.text!r}"
            )
        if by_key.setdefault(prompt.key, prompt) != prompt:
            raise SoundError(f"{prompt.key}: declared twice with different words")
    return list(by_key.values())


def _digest(*parts: str) -> str:
    settings = [PIPELINE, audio.TARGET_LUFS, audio.PEAK_DBTP, audio.TAIL_MS, {audio.FORMAT: audio.RATE}]
    return hashlib.sha256(json.dumps([settings, parts]).encode()).hexdigest()


def _reporter(on_progress: Callable[[Progress], None] | None, total: int) -> Callable[[Prompt], None]:
    done = 0

    def report(prompt: Prompt) -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(Progress(prompt, done, total))

    return report
