"""What is left of a name, or of somebody's words, for the log and the records."""

import subprocess
import sys

import pytest

from ccari.gating.labels import label, unnumbered

#: What must be caught is a search that would take an hour.
SECONDS = 60.0


def test_a_name_of_nothing_but_brackets_holds_up_all_calls() -> None:
    """Such a name may come over FastAGI, on every line of a visit."""
    searched = (
        "from ccari.gating.labels import label, unnumbered\n"
        "for sign in '(+': label(sign * 1_000_000), unnumbered(sign * 1_000_000)"
    )
    subprocess.run([sys.executable, "-c", searched], timeout=SECONDS, check=True)


@pytest.mark.parametrize("number", ["+48600100001", "(+48) 600 100 001", "((600)) 100-001", "x+(600100001"])
def test_what_stands_before_a_number_remains_of_it(number: str) -> None:
    assert label(number) == unnumbered(number) == ("x…" if number.startswith("x") else "…")


@pytest.mark.parametrize("name", ["an\x1b[2Jna", "an\u202ena", "an\0na", "an\u2028na", "an\nna"])
def test_a_name_writes_to_the_terminal_of_whoever_reads_it_or_cannot_be_kept(name: str) -> None:
    assert label(name).isprintable()


def test_what_cannot_be_printed_hides_a_number() -> None:
    assert label("600\u200b100\u200b001") == "…"
