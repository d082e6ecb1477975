"""Encodes a recording in its stored format, with its tag inside."""

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

#: An encoder that takes longer than this plus a quarter of the recording's duration counts as hung. On an idle machine opus takes a
#: hundredth of the duration.
ENCODE_SECONDS = 300.0
_ENCODE_PART = 4
#: How much the encoder's niceness is raised: calls in progress come first.
_NICER = 10
FORMATS = ("wav", *ENCODERS)
#: Enough bytes that writing them to a full disk fails.
_PAGE_BYTES = 4096


class Encoding:
    """The encoding of one recording, in a thread. Another thread may stop it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = self._is_done = False

    def write(self, sound: Sound, target: Path, form: str, tags: Mapping[str, str]) -> None:
        """Write all of a sound into a new file. ``form``: one of :data:`FORMATS`.

        Raises
        ------
        RecordingDelayed
            If the encoder is not installed, hangs or fails, if it was stopped, or if the raw file has become shorter.
        OSError
            If the disk is full, or a raw file cannot be read.
        """
        if form in ENCODERS:
            encoder = ENCODERS[form]
            self._run(encoder.program, encoder.arguments(sound, target, tags), sound, target)
        else:
            with target.open("xb") as file:
                file.write(wav.header(sound.channels, sound.rate, sound.size, tags))
                file.writelines(self._until_stopped(sound))
        with self._lock:
            self._raise_if_stopped()
            self._is_done = True

    def stop(self) -> bool:
        """Stop the encoding; False if it was already done."""
        with self._lock:
            if not self._is_done:
                self._is_stopped = True
                if self._process is not None:
                    self._process.kill()
            return self._is_stopped

    def _until_stopped(self, sound: Sound) -> Iterable[bytes]:
        for piece in sound:
            self._raise_if_stopped()
            yield piece

    def _raise_if_stopped(self) -> None:
        if self._is_stopped:
            raise RecordingDelayed("its encoding was interrupted")

    def _run(self, program: str, arguments: Sequence[str | bytes], sound: Sound, target: Path) -> None:
        most_seconds = ENCODE_SECONDS + sound.duration_ms / 1000 / _ENCODE_PART
        deadline = time.monotonic() + most_seconds
        # a failing encoder may delete its file; held open here, the file still takes up its disk space
        with target.open("ab", buffering=0) as file, self._started(program, arguments) as process:
            try:
                _be_nice(process.pid)
                is_whole = _feed(process, sound, deadline)
                _, stderr = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
            except (TimeoutError, subprocess.TimeoutExpired):
                raise RecordingDelayed(f"{program} took longer than {most_seconds:.0f} s") from None
            finally:
                process.kill()
            if process.returncode or not is_whole:
                # flac does not say why it cannot write: if the disk is full, this raises the right OSError
                file.write(bytes(_PAGE_BYTES))
                raise RecordingDelayed(_failure(program, process.returncode, stderr))

    def _started(self, program: str, arguments: Sequence[str | bytes]) -> subprocess.Popen[bytes]:
        """Start the encoder with ``subprocess`` in this thread. On the loop, uvloop would fork the service's whole memory while calls
        wait (13 ms at 150 MB, as measured), which ``subprocess`` avoids.
        """
        with self._lock:
            self._raise_if_stopped()
            try:
                self._process = subprocess.Popen(
                    [program, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
            except FileNotFoundError:
                raise RecordingDelayed(f"{program} is not installed: apt-get install {program}") from None
            except OSError as error:
                raise RecordingDelayed(f"{program} cannot be run: {why(error)}") from None
            return self._process


def _be_nice(pid: int) -> None:
    """Lower the encoder's priority, if that is permitted. Starting it through nice(1) would cost a third of what flac itself costs."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid) + _NICER)


def _feed(process: subprocess.Popen[bytes], sound: Sound, deadline: float) -> bool:
    """Write the sound to the encoder's standard input; False if it stopped reading before the end.

    Raises TimeoutError after ``deadline`` on the monotonic clock.
    """
    pipe = cast("BinaryIO", process.stdin).fileno()
    os.set_blocking(pipe, False)
    ready = select.poll()
    ready.register(pipe, select.POLLOUT)
    with contextlib.suppress(BrokenPipeError):
        for piece in sound:
            left = memoryview(piece)
            while left:
                if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise TimeoutError
                left = left[os.write(pipe, left) :]
        return True
    return False


def _failure(program: str, code: int, stderr: bytes) -> str:
    last = stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"{program} failed with {code}: {last or 'it printed no reason'}"
