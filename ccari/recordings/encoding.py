"""A recording is written in the format in which it is kept, its tag inside."""

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from ccari.errors import RecordingDelayed, why
from ccari.recordings import wav
from ccari.recordings.encoders import ENCODERS
from ccari.recordings.sound import Sound

#: Whatever takes longer than this and a quarter of its own duration hangs; opus takes a hundredth, where nothing else runs.
ENCODE_SECONDS = 300.0
_ENCODE_PART = 4
#: Calls in progress come first.
_NICER = 10
FORMATS = ("wav", *ENCODERS)
#: Whoever has no room for a page more is told so by the system.
_PAGE_BYTES = 4096


class Encoding:
    """One recording on its way into a file, in a thread; another thread may break it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = self._is_over = False

    def write(self, sound: Sound, target: Path, form: str, tags: Mapping[str, str]) -> None:
        """Write all of a sound into a new file, in a format of :data:`FORMATS`.

        Raises
        ------
        RecordingDelayed
            If its program is not there, hangs or fails, if it was broken off, or the raw file has become shorter.
        OSError
            If there is no room for it, or a raw file cannot be read.
        """
        if form in ENCODERS:
            encoder = ENCODERS[form]
            self._run(encoder.program, encoder.arguments(sound, target, tags), sound, target)
        else:
            with target.open("xb") as file:
                file.write(wav.header(sound.channels, sound.rate, sound.size, tags))
                file.writelines(self._going_on(sound))
        with self._lock:
            self._heed()
            self._is_over = True

    def stop(self) -> bool:
        """Break it off; False if it was whole before."""
        with self._lock:
            if not self._is_over:
                self._is_stopped = True
                if self._process is not None:
                    self._process.kill()
            return self._is_stopped

    def _going_on(self, sound: Sound) -> Iterable[bytes]:
        for piece in sound:
            self._heed()
            yield piece

    def _heed(self) -> None:
        if self._is_stopped:
            raise RecordingDelayed("it was broken off")

    def _run(self, program: str, arguments: Sequence[str | bytes], sound: Sound, target: Path) -> None:
        most_seconds = ENCODE_SECONDS + sound.duration_ms / 1000 / _ENCODE_PART
        until = time.monotonic() + most_seconds
        # a program that fails may remove what it has written: held open, it still takes its room
        with target.open("ab", buffering=0) as file, self._started(program, arguments) as process:
            try:
                _humble(process.pid)
                is_whole = _feed(process, sound, until)
                _, said = process.communicate(timeout=max(0.0, until - time.monotonic()))
            except (TimeoutError, subprocess.TimeoutExpired):
                raise RecordingDelayed(f"{program} takes longer than {most_seconds:.0f} s") from None
            finally:
                process.kill()
            if process.returncode or not is_whole:
                # why it cannot write, flac does not say
                file.write(bytes(_PAGE_BYTES))
                raise RecordingDelayed(_words(program, process.returncode, said))

    def _started(self, program: str, arguments: Sequence[str | bytes]) -> subprocess.Popen[bytes]:
        """It is to be started in a thread: uvloop would fork all of the service's memory while calls wait, for 13 ms as
        measured at 150 MB; subprocess does without.
        """
        with self._lock:
            self._heed()
            try:
                self._process = subprocess.Popen(
                    [program, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
            except FileNotFoundError:
                raise RecordingDelayed(f"there is no {program}: apt-get install {program}") from None
            except OSError as error:
                raise RecordingDelayed(f"{program} cannot be run: {why(error)}") from None
            return self._process


def _humble(pid: int) -> None:
    """From here: nice(1) would be one more program to start, for a third of what flac costs. Who may not goes on as it is."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid) + _NICER)


def _feed(process: subprocess.Popen[bytes], sound: Sound, until: float) -> bool:
    """Whether it has taken all of it; raise TimeoutError if it takes longer than ``until`` of the monotonic clock."""
    pipe = cast("BinaryIO", process.stdin).fileno()
    os.set_blocking(pipe, False)
    ready = select.poll()
    ready.register(pipe, select.POLLOUT)
    with contextlib.suppress(BrokenPipeError):
        for piece in sound:
            left = memoryview(piece)
            while left:
                if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
                    raise TimeoutError
                left = left[os.write(pipe, left) :]
        return True
    return False


def _words(program: str, code: int, said: bytes) -> str:
    last = said.decode(errors="replace").strip().rpartition("\n")[2]
    return f"{program} failed with {code}: {last or 'it says nothing'}"
