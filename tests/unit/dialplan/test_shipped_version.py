"""The version that the shipped dialplans report: the same as ccari's, and a new one after each change."""

import hashlib
import re
from pathlib import Path

import pytest

from ccari.gating.shipped import FASTAGI, STASIS, VERSION

SHIPPED = Path(__file__).parents[3] / "dialplan"
#: A digest of what Asterisk executes of the two files, by version. A change needs a new version, in both files and in
#: ``VERSION``.
DIGESTS = {"1": "09976c00eae3b025"}


def executed() -> str:
    lines = ((SHIPPED / file).read_text().splitlines() for file in (STASIS, FASTAGI))
    return "\n".join(line for each in lines for line in each if line and not line.startswith(";"))


def test_a_dialplan_changes_and_keeps_its_version() -> None:
    assert hashlib.sha256(executed().encode()).hexdigest()[:16] == DIGESTS[VERSION]


@pytest.mark.parametrize(
    "told", [r"GLOBAL\(CCARI_DIALPLAN\)=(\w+)", r"ccari-alive,s,1\((\w+)\)", r"[?&]agi=(\w+)"]
)
def test_a_dialplan_tells_another_version_than_ccaris(told: str) -> None:
    assert set(re.findall(told, executed())) == {VERSION}
