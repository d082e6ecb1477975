"""Checks the recordings folder, the encoders, and whether recordings are encrypted."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.cli.doctor.folders import closed
from ccari.config import Settings
from ccari.policy.declaration import Policy
from ccari.recordings.known_folder import known_folder
from ccari.sounds.copies import copies_folder

#: The name of ffmpeg's encoder for Opus.
_OPUS = "libopus"
_KEPT_BACK = "recordings stay in the spool, unencrypted"
_WITHOUT = "prompts cannot be built, and recordings have no picture in the console"
_INSTALL = "apt-get install ffmpeg"
_ANSWER_SECONDS = 10.0


def recordings(settings: Settings) -> Iterator[Finding]:
    """Whether the recordings folder can be written, and is still the same one; and whether the folder for copies of played sounds can be
    written, without which a call's evidence proves less of its notice. Raises OSError.
    """
    folder, copies, known = settings.recordings_dir, copies_folder(settings), known_folder(settings)
    if (shut := closed(folder)) is not None:
        yield fault("recordings", f"{folder}: {shut} cannot be written by {user_name(os.geteuid())}",
                    "let ccari's user write there, or set [recordings] dir")  # fmt: skip
    elif (other := known.fault()) is not None:
        yield fault("recordings", f"{other.found}: {_KEPT_BACK}, and none is deleted", other.advice)
    else:
        yield ok("recordings", f"{folder} can be written")
    if (shut := closed(copies)) is not None:
        yield warning("copies of sounds", f"{copies}: {shut} cannot be written by {user_name(os.geteuid())}: evidence of calls will lack what they played",
                      f"let ccari's user write there: chown -R ccari {shlex.quote(str(copies))}")  # fmt: skip


def flac(settings: Settings) -> Iterator[Finding]:
    """The encoder of recordings, if any are made and they are kept as FLAC. Raises OSError."""
    if settings.recordings.format != "flac" or settings.asterisk.is_off:
        return
    try:
        path, _ = _answer("flac", "--version")
    except _UnusableError as error:
        yield fault("flac", f"{error}: {_KEPT_BACK}", "apt-get install flac")
    else:
        yield ok("flac", f"{path} encodes recordings as flac")


def ffmpeg(settings: Settings) -> Iterator[Finding]:
    """The program that encodes recordings as Opus and, whatever their format, makes prompts and waveforms. Raises OSError."""
    encodes = settings.recordings.format == "opus" and not settings.asterisk.is_off
    try:
        path, output = _answer("ffmpeg", "-nostdin", "-encoders")
    except _UnusableError as error:
        yield (fault if encodes else warning)(
            "ffmpeg", f"{error}: {_KEPT_BACK if encodes else _WITHOUT}", _INSTALL
        )
        return
    encoders = {line.split()[1] for line in output.splitlines() if len(line.split()) > 1}
    if encodes and _OPUS not in encoders:
        yield fault("ffmpeg", f"{path} has no {_OPUS}, which [recordings] format = opus needs: {_KEPT_BACK}",
                    f"install an ffmpeg that has it ({_INSTALL}), or set [recordings] format")  # fmt: skip
    else:
        yield ok(
            "ffmpeg",
            f"{path} encodes recordings as opus"
            if encodes
            else f"{path} is installed, for prompts and pictures",
        )


def espeak_ng() -> Iterator[Finding]:
    """The synthetic voice, which speaks the prompts of campaigns. Raises OSError."""
    try:
        path, _ = _answer("espeak-ng", "--version")
    except _UnusableError as error:
        yield warning(
            "espeak-ng",
            f"{error}: prompts that no speaker has recorded cannot be built",
            "apt-get install espeak-ng",
        )
    else:
        yield ok("espeak-ng", f"{path} is installed, for prompts")


class _UnusableError(Exception):
    """What is wrong with a program, in words."""


def _answer(program: str, *arguments: str) -> tuple[str, str]:
    """The path of a program, and what it prints. Raises _UnusableError, and OSError."""
    path = shutil.which(program)
    if path is None:
        raise _UnusableError("it is not installed")
    try:
        done = subprocess.run(
            [path, *arguments], check=False, capture_output=True, text=True, errors="replace",
            timeout=_ANSWER_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _UnusableError(f"{path} does not answer within {_ANSWER_SECONDS:.0f} s") from None
    if done.returncode != 0:
        last_line = (done.stderr.splitlines() or ["it says nothing"])[-1]
        raise _UnusableError(f"{path} cannot be run: {last_line}")
    return path, done.stdout


def unencrypted(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """A warning if recordings are not encrypted. Whether the disk is encrypted instead cannot be determined here."""
    made = bool(policy.recorded) and not settings.asterisk.is_off
    if made and settings.recordings.encryption == "none":
        yield warning("recipients", "recordings are not encrypted, as [recordings] encryption says",
                      f"make sure that the disk of {settings.recordings_dir} is encrypted, or leave that setting out")  # fmt: skip
