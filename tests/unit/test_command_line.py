"""What every command has in common, run as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ccari import __version__

SECONDS = 60


def ccari(*arguments: str | bytes, out: int = subprocess.PIPE, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ccari", *arguments], stdout=out, stderr=subprocess.PIPE, timeout=SECONDS, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


def test_the_version_needs_a_command() -> None:
    assert ccari("--version") == (0, f"{__version__}\n", "")


def test_a_full_disk_ends_a_list_in_a_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, said = ccari("policy", "presets", out=full.fileno())
    assert (code, said) == (1, "ccari: cannot write the output: No space left on device\n")


def test_a_terminal_of_few_characters_ends_a_list_in_a_traceback() -> None:
    code, listed, said = ccari("policy", "presets", PYTHONIOENCODING="ascii")
    assert (code, said) == (0, "")
    assert "UWG" in listed
    assert listed.isascii()


def test_what_is_no_text_on_the_command_line_ends_in_a_traceback() -> None:
    assert ccari("gate", "x", "--campaign", b"\xff") == (
        2,
        "",
        "ccari: what is on the command line is not UTF-8\n",
    )


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "SUDO_USER"])
def test_who_works_is_whoever_the_environment_names(name: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from ccari.cli.context import who; print(who())"], capture_output=True, text=True,
        timeout=SECONDS, check=True, env=os.environ | {name: "Jan Kowalski"},
    )  # fmt: skip
    assert "Jan" not in told.stdout
    assert told.stdout.strip()
