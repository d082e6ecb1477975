"""What becomes of recordings: the folder that keeps them, what encodes them, and whether they are encrypted."""

import os
import shutil
import subprocess
from collections.abc import Iterator

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import Settings
from ccari.policy.declaration import Policy

#: What ffmpeg calls the encoder of each format of the settings.
_ENCODERS = {"wav": "pcm_s16le", "flac": "flac", "opus": "libopus"}
_KEPT_BACK = "recordings stay in the spool, unencrypted"
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


def ffmpeg(settings: Settings) -> Iterator[Finding]:
    """What encodes recordings, and prompts when they are built. Raises OSError."""
    check, form = "ffmpeg", settings.recordings.format
    path = shutil.which("ffmpeg")
    if path is None:
        yield fault(check, f"it is not installed: {_KEPT_BACK}", _INSTALL)
        return
    try:
        done = subprocess.run(
            [path, "-nostdin", "-encoders"], check=False, capture_output=True, text=True, errors="replace",
            timeout=_ANSWER_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield fault(check, f"{path} does not answer within {_ANSWER_SECONDS:.0f} s: {_KEPT_BACK}", _INSTALL)
        return
    encoders = {line.split()[1] for line in done.stdout.splitlines() if len(line.split()) > 1}
    if done.returncode != 0:
        said = (done.stderr.splitlines() or ["it says nothing"])[-1]
        yield fault(check, f"{path} cannot be run: {said}: {_KEPT_BACK}", _INSTALL)
    elif _ENCODERS[form] not in encoders:
        yield fault(check, f"{path} has no {_ENCODERS[form]}, which [recordings] format = {form} needs: {_KEPT_BACK}",
                    f"install an ffmpeg that has it ({_INSTALL}), or set [recordings] format")  # fmt: skip
    else:
        yield well(check, f"{path} encodes recordings as {form}")


def unencrypted(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Whether the disk is encrypted instead is not to be seen from here."""
    if policy.recorded and settings.recordings.encryption == "none":
        yield doubt("recipients", "recordings are not encrypted, as [recordings] encryption says",
                    f"see that the disk of {settings.recordings_dir} is encrypted, or leave that setting out")  # fmt: skip
