"""What becomes of recordings: the folder that keeps them, what encodes them, and whether they are encrypted."""

import os
import shutil
import subprocess
from collections.abc import Iterator

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import Settings
from ccari.policy.declaration import Policy

#: What ffmpeg calls its encoder.
_OPUS = "libopus"
_KEPT_BACK = "recordings stay in the spool, unencrypted"
_WITHOUT = "prompts cannot be built, and recordings have no picture in the console"
_INSTALL = "apt-get install ffmpeg"
_ANSWER_SECONDS = 10.0


def recordings(settings: Settings) -> Iterator[Finding]:
    """Where recordings are kept; the folder is made with the first of them."""
    folder = settings.recordings_dir
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield well("recordings", f"{folder} can be written")
    else:
        yield fault("recordings", f"{folder}: {there} cannot be written by {user_name(os.geteuid())}",
                    "let ccari's user write there, or set [recordings] dir")  # fmt: skip


def flac(settings: Settings) -> Iterator[Finding]:
    """What encodes recordings, unless they are kept in another format, or none is made. Raises OSError."""
    if settings.recordings.format != "flac" or settings.asterisk.is_off:
        return
    try:
        path, _ = _answer("flac", "--version")
    except _UnusableError as error:
        yield fault("flac", f"{error}: {_KEPT_BACK}", "apt-get install flac")
    else:
        yield well("flac", f"{path} encodes recordings as flac")


def ffmpeg(settings: Settings) -> Iterator[Finding]:
    """What encodes recordings as Opus, and is used for prompts and pictures whatever the format. Raises OSError."""
    encodes = settings.recordings.format == "opus" and not settings.asterisk.is_off
    try:
        path, said = _answer("ffmpeg", "-nostdin", "-encoders")
    except _UnusableError as error:
        yield (fault if encodes else doubt)(
            "ffmpeg", f"{error}: {_KEPT_BACK if encodes else _WITHOUT}", _INSTALL
        )
        return
    encoders = {line.split()[1] for line in said.splitlines() if len(line.split()) > 1}
    if encodes and _OPUS not in encoders:
        yield fault("ffmpeg", f"{path} has no {_OPUS}, which [recordings] format = opus needs: {_KEPT_BACK}",
                    f"install an ffmpeg that has it ({_INSTALL}), or set [recordings] format")  # fmt: skip
    else:
        yield well(
            "ffmpeg",
            f"{path} encodes recordings as opus" if encodes else f"{path} is there for prompts and pictures",
        )


class _UnusableError(Exception):
    """What is wrong with a program, in words."""


def _answer(program: str, *arguments: str) -> tuple[str, str]:
    """Where a program is, and what it says when it is asked that."""
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
        said = (done.stderr.splitlines() or ["it says nothing"])[-1]
        raise _UnusableError(f"{path} cannot be run: {said}")
    return path, done.stdout


def unencrypted(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Whether the disk is encrypted instead is not to be seen from here."""
    made = bool(policy.recorded) and not settings.asterisk.is_off
    if made and settings.recordings.encryption == "none":
        yield doubt("recipients", "recordings are not encrypted, as [recordings] encryption says",
                    f"see that the disk of {settings.recordings_dir} is encrypted, or leave that setting out")  # fmt: skip
