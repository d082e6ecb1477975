"""The PBXs that people run, beside the lab's own, with the shipped dialplans in them."""

import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.dialplans.pbxs import Through, Way
from tests.integration.dialplans.vicidial import CarrierLog, carrier_log
from tests.lab import Lab, LabError
from tests.lab.foreign import ForeignPbx
from tests.lab.root import CURRENT, OLD, ensure_root

HERE = Path(__file__).parent
SHIPPED = HERE.parents[2] / "dialplan"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vicidial_log() -> AsyncIterator[CarrierLog]:
    async with carrier_log() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def old(lab: Lab, vicidial_log: CarrierLog) -> AsyncIterator[ForeignPbx]:
    """An Asterisk 16 with a FreePBX 16 and a VICIdial in it."""
    try:
        root = await ensure_root(OLD)
    except LabError as error:
        pytest.skip(f"no Asterisk 16 here: {error}")
    dialplan = _dialplan("freepbx16.conf", vicidial_log)
    async with ForeignPbx(root, lab, "old", dialplan, ["app_macro.so"]).started() as pbx:
        yield pbx


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def current(lab: Lab, vicidial_log: CarrierLog) -> AsyncIterator[ForeignPbx]:
    """An Asterisk 22 with a FreePBX 17 in it, and a VICIdial whose carrier offers the callee the keys."""
    dialplan = _dialplan("freepbx17.conf", vicidial_log).replace(
        "55,o)", "55,oU(ccari-rights^${CCARI_CAMPAIGN}))"
    )
    async with ForeignPbx(
        await ensure_root(CURRENT), lab, "current", dialplan, ["res_websocket_client.so"]
    ).started() as pbx:
        yield pbx


@pytest.fixture
def through(request: pytest.FixtureRequest, lab: Lab) -> Through:
    way: Way = request.param
    return Through(lab, request.getfixturevalue(way.pbx), way)


def _dialplan(freepbx: str, log: CarrierLog) -> str:
    """The shipped dialplans, with stand-ins around them for what the PBXs themselves provide."""
    included = ("freepbx/extensions_custom.conf", "vicidial/extensions_vicidial.conf")
    # VICIdial writes carriers' entries below the context's name, so its stand-in ends with that name
    vicidial = (HERE / "vicidial.conf").read_text() + _shipped(
        "vicidial/carrier_dialplan_entry.conf"
    ).read_text()
    return "\n".join(
        [
            *(f'#include "{_shipped(each)}"' for each in included),
            (HERE / freepbx).read_text(),
            second_trunk(),
            without_ccari(),
            vicidial.replace(":4577/", f":{log.port}/")
            .replace("@unrecorded@", unrecorded())
            .replace("@announced@", announced()),
        ]
    )


def second_trunk() -> str:
    """The context that the page shows for a second trunk; the test names the first."""
    page = (SHIPPED.with_name("docs") / "pbx.md").read_text()
    (shown,) = re.findall(r"^\[two-trunks\]\n(?:.+\n)+?(?=```)", page, re.MULTILINE)
    return str(shown).replace("@trunk-a", "@${LAB_FIRST_TRUNK}").replace("@trunk-b", "@trunk")


def without_ccari() -> str:
    """A caller who goes on without ccari to the telephone that the pages ring then, identically; the test names another."""
    root = SHIPPED.parent
    pages = (
        root / "README.md",
        root / "docs/pbx.md",
        *SHIPPED.glob("*.conf"),
        root / "docker/site.example/extensions.conf",
    )
    shown = {found for page in pages for found in re.findall(r"Dial\(PJSIP/anna,.*?\)", page.read_text())}
    (rings,) = shown
    return "\n".join(
        (
            "[lab-without]",
            "exten => _[+0-9].,1,Gosub(ccari-inbound,nonsense,1)",
            f" same => n,{rings.replace('anna', '${LAB_TELEPHONE}@agents')}",
        )
    )


def unrecorded() -> str:
    """The line behind the keys menu that keeps callers from being recorded, identical wherever it is shown."""
    shown = {
        line.lstrip(";").strip()
        for file in (*SHIPPED.rglob("*.conf"), SHIPPED.with_name("docs") / "pbx.md")
        for line in file.read_text().splitlines()
        if "?unrecorded)" in line
    }
    (line,) = shown
    return f" {line}"


def announced() -> str:
    """The lines before the keys menu that announce the recording, identical wherever they are shown; the test names the
    prompt.
    """
    shown = [
        [line.lstrip("; ") for line in lines]
        for file in (*SHIPPED.rglob("*.conf"), SHIPPED.with_name("docs") / "pbx.md")
        for lines in itertools.pairwise(file.read_text().splitlines())
        if "PLAYBACKSTATUS" in lines[1] and ",1,Playback(" in lines[0]
    ]
    ((played, heard),) = {(first.partition(",1,")[2], second) for first, second in shown}
    of_the_test = re.sub(r"\(.*\)", "(${LAB_ANNOUNCEMENT})", played)
    return f" same => n,{of_the_test}\n {heard}"


def _shipped(name: str) -> Path:
    return SHIPPED / name
