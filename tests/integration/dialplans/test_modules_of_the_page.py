"""Dialplans on an Asterisk with ``autoload = no`` that loads what the page names, and no further application or function."""

import re
from pathlib import Path

import pytest

from ccari.calls.modules import MODULES
from tests.lab import Lab, LabError
from tests.lab.pbx import Pbx
from tests.lab.root import CURRENT, ensure_root

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHECKOUT = Path(__file__).parents[3]
SHIPPED = CHECKOUT / "dialplan"
PAGE = CHECKOUT / "docs" / "pbx.md"


class SparePbx(Pbx):
    """It loads only ``applications`` of what a dialplan runs."""

    name = "spare"

    def __init__(self, root: Path, lab: Lab, applications: set[str]) -> None:
        super().__init__(root, lab.directory, world_sip_port=lab.world.sip_port)
        self._applications = applications

    def _write(self) -> None:
        super()._write()
        file = self.home / "etc" / "modules.conf"
        kept = [
            line
            for line in file.read_text().splitlines()
            if not (found := re.match(r"load = ((?:app|func)_\w+\.so|res_agi\.so|res_speech\.so)", line))
            or found[1] in self._applications
        ]
        file.write_text("\n".join((*kept, "")))


#: The files, each with the lines of the page for who uses it alone, and what ccari itself asks for there.
FILES = {
    "extensions_ccari.conf": (("`extensions_ccari.conf`", "`ccari-amd`"), MODULES),
    "extensions_ccari_agi.conf": (("`extensions_ccari_agi.conf`",), ()),
}


async def asked(pbx: Pbx, command: str) -> str:
    """What it says on its command line, also if it knows nothing of that."""
    try:
        return await pbx.cli(command)
    except LabError as refusal:
        return str(refusal)


def named(file: str) -> set[str]:
    """The modules in the line of the page for this file."""
    (row,) = [
        each
        for each in PAGE.read_text().splitlines()
        if each.startswith("|") and file in each and ".so" in each
    ]
    return set(re.findall(r"`(\w+\.so)`", row))


def used(file: str) -> tuple[set[str], set[str]]:
    """The applications and the functions of a shipped dialplan."""
    steps = [
        line for line in (SHIPPED / file).read_text().splitlines() if re.match(r"exten =>| same =>", line)
    ]
    text = "\n".join(steps)
    applications = set(re.findall(r"(?:,1|n(?:\(\w+\))?),(\w+)\(", text)) | set(
        re.findall(r"\?(\w+)\(", text)
    )
    functions = set(re.findall(r"\$\{([A-Z_]+)\(", text)) | set(re.findall(r"Set\(([A-Z_]+)\(", text))
    return applications, functions


@pytest.mark.parametrize("file", FILES)
async def test_a_dialplan_runs_what_no_module_provides_that_the_page_names(lab: Lab, file: str) -> None:
    applications, functions = used(file)
    assert {"Set", "Gosub", "Hangup"} <= applications
    assert "CHANNEL" in functions
    lines, others = FILES[file]
    spare = SparePbx(await ensure_root(CURRENT), lab, {*others}.union(*map(named, lines)))
    shown = [f"application {each}" for each in applications] + [f"function {each}" for each in functions]
    await spare.start()
    try:
        told = {each: await asked(spare, f"core show {each}") for each in sorted(shown)}
    finally:
        await spare.stop()
    # Asterisk's command line fails for what is not there
    assert [each for each, text in told.items() if "[Synopsis]" not in text] == []
