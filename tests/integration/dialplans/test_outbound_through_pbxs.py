"""Calls out of FreePBX 16 and 17, VICIdial and an old Asterisk: nobody is dialled unless ccari allows it."""

import asyncio
from dataclasses import replace

import pytest

from ccari.policy.gate import Block
from tests.integration.dialplans.pbxs import (
    BOUND_SECONDS,
    FREEPBX_16,
    FREEPBX_17,
    PLAIN_16,
    VICIDIAL,
    WAYS,
    Through,
    Way,
    away,
    bar,
    hung,
    refusing,
)
from tests.integration.dialplans.vicidial import CarrierLog
from tests.integration.service import Service
from tests.lab import Lab, callees
from tests.lab.foreign import ForeignPbx

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Refusals that may change tomorrow, or once an installation is mended. All others are about the number itself.
FOR_NOW = {
    Block.BAD_ARGUMENTS, Block.UNKNOWN_CAMPAIGN, Block.NO_DESTINATION, Block.NO_POLICY, Block.REGISTER_STALE,
    Block.OUTSIDE_HOURS, Block.HOLIDAY, Block.ATTEMPTS_CAPPED, Block.ABANDONED_CAPPED, Block.PROMPTS_MISSING,
    Block.TOKEN_SPENT, Block.STORE_UNAVAILABLE,
}  # fmt: skip
#: A carrier whose Dial offers the keys.
VICIDIAL_WITH_KEYS = replace(VICIDIAL, pbx="current")
KEYED = [PLAIN_16, FREEPBX_16, FREEPBX_17, VICIDIAL_WITH_KEYS]

every_way = pytest.mark.parametrize("through", WAYS.values(), ids=WAYS, indirect=True)
both_freepbx = pytest.mark.parametrize(
    "through", [FREEPBX_16, FREEPBX_17], ids=["FreePBX 16", "FreePBX 17"], indirect=True
)


@every_way
async def test_an_allowed_number_is_not_dialled(service: Service, through: Through) -> None:
    callee = callees.hangs_up(1, 30 + through.nth)
    told = await through.dial(callee.number)
    assert await through.lab.world.invites(callee.number) == 1
    record = await service.ended(told.call)
    assert (record["outcome"], record["campaign"], record["fault"]) == ("handed_back", "renewals", None)


@every_way
async def test_a_barred_number_is_dialled_or_tried_by_another_trunk(
    service: Service, through: Through
) -> None:
    callee = callees.silent(45 + through.nth)
    await bar(service, callee.number)
    told = await through.dial(callee.number)
    assert (told.outcome, told.reason) == (through.way.refused, "suppressed_do_not_call")
    assert await through.lab.world.invites(callee.number) == 0


@every_way
async def test_ccari_away_lets_a_call_through(service: Service, through: Through) -> None:
    callee = callees.silent(50 + through.nth)
    async with through.pbx.asking(away()):
        told = await through.dial(callee.number)
    assert (told.outcome, told.reason) == (through.way.refused, "service_away")
    assert await through.lab.world.invites(callee.number) == 0


async def test_ccari_hung_holds_a_call_or_lets_it_through(
    lab: Lab, service: Service, old: ForeignPbx, current: ForeignPbx, vicidial_log: CarrierLog
) -> None:
    ways = [Through(lab, old if way.pbx == "old" else current, way) for way in WAYS.values()]
    numbers = [callees.silent(55 + nth).number for nth in range(len(ways))]
    logged = len(vicidial_log.hangups)
    async with hung() as address, old.asking(address), current.asking(address):
        told = await asyncio.gather(
            *(way.dial(number, within=BOUND_SECONDS) for way, number in zip(ways, numbers, strict=True))
        )
    assert [(each.outcome, each.reason) for each in told] == [
        (way.way.refused, "service_hung") for way in ways
    ]
    assert [await lab.world.invites(number) for number in numbers] == [0] * len(ways)
    assert await vicidial_log.next_hangup(logged) == ("17", "BUSY")


@both_freepbx
async def test_an_emergency_waits_for_ccari(service: Service, through: Through) -> None:
    callee = callees.silent(60 + through.nth)
    await bar(service, callee.number)
    async with hung() as address, through.pbx.asking(address):
        await through.dial(callee.number, campaign="2", within=BOUND_SECONDS)
    assert await through.lab.world.invites(callee.number) == 1


@both_freepbx
@pytest.mark.parametrize(
    ("route", "reason"), [("3", "unknown_campaign"), ("4", "bad_arguments")], ids=["no campaign", "comma"]
)
async def test_a_route_without_a_campaign_or_a_number_with_one_in_it_is_dialled(
    service: Service, through: Through, route: str, reason: str
) -> None:
    callee = callees.silent(65 + through.nth)
    told = await through.dial(callee.number, campaign=route)
    assert (told.outcome, told.reason) == ("DENY", reason)
    assert await through.lab.world.invites(callee.number) == 0


@both_freepbx
async def test_a_barred_number_is_dialled_over_a_dundi_trunk(service: Service, through: Through) -> None:
    barred, free = callees.silent(67 + through.nth), callees.hangs_up(1, 34 + through.nth)
    await bar(service, barred.number)
    told = await through.dial(barred.number, campaign="5")
    assert await through.lab.world.invites(barred.number) == 0
    assert (told.outcome, told.reason) == ("DENY", "suppressed_do_not_call")
    await through.dial(free.number, campaign="5")
    assert await through.lab.world.invites(free.number) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "bad_arguments"),
        ("{number}", "bad_arguments"),
        ("{number},renewals,brief", "bad_arguments"),
        (",renewals", "number_empty"),
        ("{number},", "unknown_campaign"),
    ],
    ids=["nothing", "number only", "three", "no number", "no campaign"],
)
async def test_a_gate_that_is_not_told_a_number_and_a_campaign_lets_a_call_through(
    lab: Lab, service: Service, current: ForeignPbx, arguments: str, reason: str
) -> None:
    callee = callees.silent(64)
    await current.set_global("LAB_ARGUMENTS", arguments.format(number=callee.number))
    told = await Through(lab, current, Way("current", "lab-asking")).dial(callee.number)
    assert (told.outcome, told.reason) == ("DENY", reason)
    assert await lab.world.invites(callee.number) == 0


@both_freepbx
async def test_digits_that_a_trunk_wants_hide_a_barred_number(service: Service, through: Through) -> None:
    barred, other = (callees.silent(70 + 5 * nth + through.nth) for nth in (0, 1))
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


async def test_vicidial_recycles_a_lead_that_is_never_to_be_called_or_gives_up_one_that_may_be_later(
    lab: Lab, service: Service, old: ForeignPbx, vicidial_log: CarrierLog
) -> None:
    through = Through(lab, old, VICIDIAL)
    number, logged = callees.silent(79).number, {}
    for block in Block:
        before = len(vicidial_log.hangups)
        async with refusing(block) as address, old.asking(address):
            assert (await through.dial(number)).reason == block
        logged[block] = await vicidial_log.next_hangup(before)
    assert logged == {block: ("17", "BUSY") if block in FOR_NOW else ("34", "DNC") for block in Block}


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


@pytest.mark.parametrize(
    "through",
    KEYED,
    ids=["FastAGI on 16", "FreePBX 16", "FreePBX 17", "VICIdial"],
    indirect=True,
)
async def test_a_right_pressed_behind_a_pbx_is_lost(service: Service, through: Through) -> None:
    lab, pbx, way = through.lab, through.pbx, through.way
    serial = 85 + KEYED.index(way)
    callee = callees.presses("7", 2, serial)
    await pbx.set_global("TRUNK_OPTIONS", "U(ccari-rights^renewals)")
    try:
        call = await lab.world.dial(
            way.dialled(callee.number), campaign=way.campaign, context=way.context, agent="talks", pbx=pbx
        )
        request = await service.logged(
            lambda line: (
                line["event"] == "right_registered" and str(line["number"]).endswith(callee.number[-4:])
            )
        )
        await lab.world.hang_up(call)
        await call.ended()
    finally:
        await pbx.set_global("TRUNK_OPTIONS", "")
    shown = await service.json("requests", "show", request["reference"])
    assert (shown["right"], shown["number_from"]) == ("erasure", "dialled")
    told = await through.dial(callee.number)
    assert told.reason == "suppressed_erasure"
    assert await lab.world.invites(callee.number) == 1
