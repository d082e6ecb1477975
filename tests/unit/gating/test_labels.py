"""What is left of a name, or of somebody's words, for the log and the records."""

import subprocess
import sys

import pytest

from ccari.gating.labels import label, unnumbered

#: What is to be caught is a search that would take an hour.
SECONDS = 60.0


@pytest.mark.parametrize("search", ["label", "unnumbered"])
@pytest.mark.parametrize("sign", ["(", "+"])
def test_a_name_of_nothing_but_brackets_holds_up_all_calls(search: str, sign: str) -> None:
    """As one may come over FastAGI, on every line of a visit."""
    searched = f"from ccari.gating.labels import {search}; {search}({sign!r} * 1_000_000)"
    subprocess.run([sys.executable, "-c", searched], timeout=SECONDS, check=True)


@pytest.mark.parametrize("number", ["+48600100001", "(+48) 600 100 001", "((600)) 100-001", "x+(600100001"])
def test_what_stands_before_a_number_is_left_of_it(number: str) -> None:
    assert label(number) == unnumbered(number) == ("x…" if number.startswith("x") else "…")
