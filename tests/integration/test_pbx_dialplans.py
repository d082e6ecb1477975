"""The dialplans for PBXs that people have, dialled through on real Asterisks: FreePBX 16 and 17, VICIdial, plain."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.service import Service
from tests.integration.vicidial import CarrierLog, carrier_log
from tests.lab import Lab, LabError, Outcome, callees
from tests.lab.foreign import ForeignPbx
from tests.lab.ports import free_port
from tests.lab.root import CURRENT, OLD, ensure_root

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHECKOUT = Path(__file__).parents[2]
SHIPPED = CHECKOUT / "dialplan"
STUBS = Path(__file__).parent / "dialplans"

#: Of the dialplan's time-out, and what it takes to hang up.
BOUND_SECONDS = 12.0


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
    # VICIdial pastes each carrier's entry below the context's name, which ends its stub
    entry = (SHIPPED / "vicidial/carrier_dialplan_entry.conf").read_text()
    vicidial = ((STUBS / "vicidial.conf").read_text() + entry).replace(":4577/", f":{vicidial_log.port}/")
    dialplan = "\n".join(
        [
            *include("freepbx/extensions_custom.conf", "vicidial/extensions_vicidial.conf"),
            (STUBS / "freepbx16.conf").read_text(),
            vicidial,
        ]
    )
    async with ForeignPbx(root, lab, "old", dialplan, ["app_macro.so"]).started() as pbx:
        yield pbx


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def current(lab: Lab) -> AsyncIterator[ForeignPbx]:
    """An Asterisk 22 with a FreePBX 17 in it."""
    dialplan = "\n".join([*include("freepbx/extensions_custom.conf"), (STUBS / "freepbx17.conf").read_text()])
    async with ForeignPbx(await ensure_root(CURRENT), lab, "current", dialplan).started() as pbx:
        yield pbx


def include(*files: str) -> list[str]:
    return [f'#include "{SHIPPED / file}"' for file in files]


@dataclass(frozen=True)
class Way:
    """One way out of a PBX: whose fixture, through which context, and how a number is dialled there."""

    pbx: str
    context: str
    campaign: str = "renewals"
    prefix: str = ""

    def dialled(self, number: str) -> str:
        return self.prefix + number.removeprefix("+") if self.prefix else number


FREEPBX_16 = Way("old", "from-internal", campaign="1")
FREEPBX_17 = Way("current", "from-internal", campaign="1")
VICIDIAL = Way("old", "default", prefix="9")
PLAIN_16 = Way("old", "lab-gated")
WAYS = {"FreePBX 16": FREEPBX_16, "FreePBX 17": FREEPBX_17, "VICIdial": VICIDIAL, "FastAGI on 16": PLAIN_16}


@dataclass(frozen=True)
class Through:
    """A way, on its running PBX."""

    lab: Lab
    pbx: ForeignPbx
    way: Way

    async def dial(
        self, number: str, *, campaign: str | None = None, agent: str = "drops-1", caller: str = "101"
    ) -> Outcome:
        """One call, to its end."""
        call = await self.lab.world.dial(
            self.way.dialled(number), campaign=campaign or self.way.campaign, context=self.way.context,
            agent=agent, caller=caller, pbx=self.pbx,
        )  # fmt: skip
        await call.ended(within=BOUND_SECONDS)
        return await self.pbx.outcome(call.id)


@pytest.fixture
def through(request: pytest.FixtureRequest, lab: Lab) -> Through:
    way: Way = request.param
    return Through(lab, request.getfixturevalue(way.pbx), way)


@contextlib.asynccontextmanager
async def hung() -> AsyncIterator[str]:
    """Where somebody accepts connections and never says a word."""
    done = asyncio.Event()

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    server = await asyncio.start_server(listen, "127.0.0.1", free_port(socket.SOCK_STREAM, "127.0.0.1"))
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        done.set()
        server.close()


def away() -> str:
    """Where nobody listens."""
    return f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"


async def bar(service: Service, number: str) -> None:
    done = await service.ccari("suppress", "add", number, "--controller", "acme", "--reason", "do_not_call")
    assert done.code == 0, done.err


every_way = pytest.mark.parametrize("through", WAYS.values(), ids=WAYS, indirect=True)
both_freepbx = pytest.mark.parametrize(
    "through", [FREEPBX_16, FREEPBX_17], ids=["FreePBX 16", "FreePBX 17"], indirect=True
)


@every_way
async def test_an_allowed_number_is_not_dialled(service: Service, through: Through) -> None:
    callee = callees.hangs_up(1, 40 + list(WAYS.values()).index(through.way))
    told = await through.dial(callee.number)
    assert await through.lab.world.invites(callee.number) == 1
    record = await service.call(told.call)
    assert (record["outcome"], record["campaign"], record["fault"]) == ("handed_back", "renewals", None)


@every_way
async def test_a_barred_number_is_dialled_or_tried_by_another_trunk(
    service: Service, through: Through
) -> None:
    callee = callees.silent(45 + list(WAYS.values()).index(through.way))
    await bar(service, callee.number)
    told = await through.dial(callee.number)
    assert told.reason == "suppressed_do_not_call"
    assert await through.lab.world.invites(callee.number) == 0


@every_way
async def test_ccari_away_lets_a_call_through(service: Service, through: Through) -> None:
    callee = callees.silent(50 + list(WAYS.values()).index(through.way))
    async with through.pbx.asking(away()):
        told = await through.dial(callee.number)
    assert told.reason == "service_away"
    assert await through.lab.world.invites(callee.number) == 0


async def test_ccari_hung_holds_a_call_or_lets_it_through(
    lab: Lab, service: Service, old: ForeignPbx, current: ForeignPbx, vicidial_log: CarrierLog
) -> None:
    ways = [Through(lab, old if way.pbx == "old" else current, way) for way in WAYS.values()]
    numbers = [callees.silent(55 + nth).number for nth in range(len(ways))]
    logged = len(vicidial_log.hangups)
    async with hung() as address, old.asking(address), current.asking(address):
        told = await asyncio.gather(*(way.dial(number) for way, number in zip(ways, numbers, strict=True)))
    assert [each.reason for each in told] == ["service_hung"] * len(ways)
    assert [await lab.world.invites(number) for number in numbers] == [0] * len(ways)
    assert await vicidial_log.next_hangup(logged) == ("17", "BUSY")


@both_freepbx
async def test_an_emergency_waits_for_ccari(service: Service, through: Through) -> None:
    callee = callees.silent(60 + list(WAYS.values()).index(through.way))
    await bar(service, callee.number)
    async with hung() as address, through.pbx.asking(address):
        await through.dial(callee.number, campaign="2")
    assert await through.lab.world.invites(callee.number) == 1


@both_freepbx
@pytest.mark.parametrize(
    ("route", "reason"), [("3", "unknown_campaign"), ("4", "bad_arguments")], ids=["no campaign", "comma"]
)
async def test_a_route_without_a_campaign_or_a_number_with_one_in_it_is_dialled(
    service: Service, through: Through, route: str, reason: str
) -> None:
    callee = callees.silent(65 + list(WAYS.values()).index(through.way))
    told = await through.dial(callee.number, campaign=route)
    assert (told.outcome, told.reason) == ("DENY", reason)
    assert await through.lab.world.invites(callee.number) == 0


@both_freepbx
async def test_digits_that_a_trunk_wants_hide_a_barred_number(service: Service, through: Through) -> None:
    barred, other = (callees.silent(70 + 5 * nth + list(WAYS.values()).index(through.way)) for nth in (0, 1))
    await bar(service, barred.number)
    await through.pbx.set_global("OUTPREFIX_1", "9999")
    await through.pbx.set_global("CCARI_STRIP_1", "4")
    try:
        told = await through.dial(barred.number)
        await through.dial(other.number)
    finally:
        await through.pbx.set_global("OUTPREFIX_1", "")
        await through.pbx.set_global("CCARI_STRIP_1", "")
    assert told.reason == "suppressed_do_not_call"
    assert await through.lab.world.invites(f"9999{barred.number}") == 0
    assert await through.lab.world.invites(f"9999{other.number}") == 1


async def test_vicidial_takes_a_bar_for_a_busy_line_or_a_fault_for_a_bar(
    lab: Lab, service: Service, old: ForeignPbx, vicidial_log: CarrierLog
) -> None:
    through = Through(lab, old, VICIDIAL)
    free, barred = callees.silent(80), callees.silent(81)
    await bar(service, barred.number)
    logged = len(vicidial_log.hangups)
    await through.dial(free.number)
    await through.dial(barred.number)
    async with old.asking(away()):
        await through.dial(free.number)
    assert [await vicidial_log.next_hangup(logged + nth) for nth in range(3)] == [
        ("16", "ANSWER"),
        ("34", "DNC"),
        ("17", "BUSY"),
    ]


async def test_the_dialler_of_vicidial_goes_past_the_gate(
    lab: Lab, service: Service, old: ForeignPbx, vicidial_log: CarrierLog
) -> None:
    free, barred = callees.hangs_up(1, 82), callees.silent(83)
    await bar(service, barred.number)
    for callee, ended in ((free, ("16", "ANSWER")), (barred, ("34", "DNC"))):
        logged = len(vicidial_log.hangups)
        await old.cli(f"channel originate Local/9{callee.digits}@default extension 8368@default")
        assert await vicidial_log.next_hangup(logged) == ended
    assert await lab.world.invites(free.number) == 1
    assert await lab.world.invites(barred.number) == 0


async def test_a_campaign_of_vicidial_that_ccari_does_not_know_is_dialled(
    lab: Lab, service: Service, old: ForeignPbx, vicidial_log: CarrierLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    callee = callees.silent(84)
    logged = len(vicidial_log.hangups)
    monkeypatch.setattr(vicidial_log, "campaign", "OTHERS")
    told = await Through(lab, old, VICIDIAL).dial(callee.number)
    assert told.reason == "unknown_campaign"
    assert await lab.world.invites(callee.number) == 0
    assert await vicidial_log.next_hangup(logged) == ("17", "BUSY")


async def test_a_right_pressed_on_asterisk_16_is_lost(lab: Lab, service: Service, old: ForeignPbx) -> None:
    callee = callees.presses("7", 2, 85)
    call = await lab.world.dial(callee.number, context="lab-gated", agent="talks", pbx=old)
    request = await service.logged(
        lambda line: line["event"] == "right_registered" and str(line["number"]).endswith(callee.number[-4:])
    )
    await lab.world.hang_up(call)
    await call.ended()
    shown = await service.json("requests", "show", request["reference"])
    assert (shown["right"], shown["number_from"]) == ("erasure", "dialled")
    told = await Through(lab, old, PLAIN_16).dial(callee.number)
    assert told.reason == "suppressed_erasure"
    assert await lab.world.invites(callee.number) == 1


@pytest.mark.parametrize("choice", ["", "refuse", "connect"])
async def test_a_caller_of_vicidial_is_not_treated_as_was_chosen_while_ccari_is_away(
    lab: Lab, service: Service, old: ForeignPbx, choice: str
) -> None:
    through = Through(lab, old, Way("old", "trunkinbound"))
    async with old.asking(away()), chosen(old, choice):
        told = await through.dial("123456", caller="+48600990086")
    assert (told.reason == "did_route") == (choice == "connect")


async def test_a_caller_of_vicidial_has_no_keys(lab: Lab, service: Service, old: ForeignPbx) -> None:
    through = Through(lab, old, Way("old", "trunkinbound"))
    told = await through.dial("123456", agent="presses-8-2", caller="+48600990087")
    assert (told.outcome, told.reason) == ("access", "did_route")


@contextlib.asynccontextmanager
async def chosen(pbx: ForeignPbx, choice: str) -> AsyncIterator[None]:
    """What the admin has chosen for callers meanwhile."""
    await pbx.set_global("CCARI_INBOUND_WITHOUT", choice)
    try:
        yield
    finally:
        await pbx.set_global("CCARI_INBOUND_WITHOUT", "")


async def inbound(lab: Lab, pbx: ForeignPbx, context: str, choice: str) -> Outcome:
    async with chosen(pbx, choice):
        return await Through(lab, pbx, Way("current", context)).dial("123456", caller="+48600990088")


@pytest.mark.parametrize("context", ["did", "plain-did"], ids=["FreePBX", "plain"])
@pytest.mark.parametrize("choice", ["", "refuse", "connect"])
async def test_a_caller_is_not_treated_as_was_chosen_while_ccari_is_away(
    lab: Lab, service: Service, current: ForeignPbx, context: str, choice: str
) -> None:
    # its FastAGI answers; the PBX's own Stasis has no ccari behind it
    await current.set_global("CCARI_INBOUND_FALLBACK", "lab-staff,s,1" if context == "plain-did" else "")
    told = await inbound(lab, current, context, choice)
    assert (told.stasis_status, told.outcome) == ("FAILED", "unavailable")
    assert told.reason == ("staff" if choice == "connect" else "service_away")


async def test_a_caller_waits_for_a_hung_ccari(lab: Lab, service: Service, current: ForeignPbx) -> None:
    await current.set_global("CCARI_INBOUND_FALLBACK", "")
    async with hung() as address, current.asking(address):
        refused = await inbound(lab, current, "did", "refuse")
        connected = await inbound(lab, current, "did", "connect")
    assert (refused.stasis_status, refused.outcome, refused.reason) == ("", "unavailable", "service_away")
    assert (connected.stasis_status, connected.outcome, connected.reason) == ("", "unavailable", "staff")
