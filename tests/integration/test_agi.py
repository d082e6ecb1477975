"""FastAGI on a real Asterisk: a dialplan that dials by itself asks the gate first, and offers the rights menu."""

from collections.abc import Mapping
from uuid import uuid4

import aiohttp
import pytest

from tests.integration.service import START_SECONDS, Service
from tests.lab import Callee, Lab, Outcome, callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The dialplan's time-out, plus the time to hang up.
BOUND_SECONDS = 12.0
END_SECONDS = 60.0


async def gated(
    lab: Lab, callee: Callee | str, *, campaign: str = "renewals", context: str = "lab-gated",
    agent: str = "drops-3", caller: str = "101",
) -> Outcome:  # fmt: skip
    number = callee if isinstance(callee, str) else callee.number
    placed = await lab.world.dial(number, campaign=campaign, context=context, agent=agent, caller=caller)
    await placed.ended()
    return await lab.pbx.outcome(placed.id)


async def entering(lab: Lab, dialled: str) -> Outcome:
    """A call straight into the shipped context, as from a dialplan that includes it, with any text dialled."""
    call = str(uuid4())
    body = {
        "endpoint": "Local/s@lab-waiting", "context": "ccari-outbound", "extension": dialled, "priority": 1,
        "variables": {
            "LAB_CALL": call, "CCARI_CAMPAIGN": "strict", "CHANNEL(hangup_handler_push)": "lab-outcome,s,1",
        },
    }  # fmt: skip
    async with (
        aiohttp.ClientSession(headers=lab.pbx.ari_headers) as session,
        session.post(f"{lab.pbx.ari_url}/ari/channels/{call}", json=body) as reply,
    ):
        assert reply.status == 200, await reply.text()
    return await lab.pbx.outcome(call, within=END_SECONDS)


def _is_connected(line: Mapping[str, object]) -> bool:
    return line["event"] == "asterisk_connected"


def _connected(service: Service) -> int:
    return sum(map(_is_connected, service.lines()))


async def test_an_allowed_number_is_not_dialled_or_its_attempt_not_counted(
    service: Service, lab: Lab
) -> None:
    callee = callees.answers(71)
    told = await gated(lab, callee)
    assert (told.outcome, told.reason) == ("ALLOW", "")
    assert await lab.world.invites(callee.number) == 1
    record = await service.ended(told.call)
    assert (record["outcome"], record["reason"], record["fault"]) == ("handed_back", "", None)
    assert record["dialled_at"] is not None


async def test_a_barred_number_is_dialled_by_a_dialplan_that_asked(service: Service, lab: Lab) -> None:
    callee = callees.answers(72)
    await service.succeeds(
        "suppress", "add", callee.number, "--controller", "acme", "--reason", "do_not_call"
    )
    told = await gated(lab, callee)
    assert (told.outcome, told.reason) == ("DENY", "suppressed_do_not_call")
    assert await lab.world.invites(callee.number) == 0
    record = await service.ended(told.call)
    assert (record["outcome"], record["reason"]) == ("blocked", "suppressed_do_not_call")
    assert record["dialled_at"] is None


async def test_a_right_pressed_on_a_leg_that_was_dialled_is_lost_or_not_heeded(
    service: Service, lab: Lab
) -> None:
    callee = callees.presses("7", 2, 74)
    placed = await lab.world.dial(callee.number, context="lab-gated", agent="talks")
    request = await service.logged(
        lambda line: line["event"] == "right_registered" and str(line["number"]).endswith(callee.number[-4:])
    )
    await lab.world.hang_up(placed)
    await placed.ended()
    shown = await service.json("requests", "show", request["reference"])
    assert (shown["right"], shown["number_from"], shown["level"]) == ("erasure", "dialled", "L1")
    told = await gated(lab, callee)
    assert (told.outcome, told.reason) == ("DENY", "suppressed_erasure")
    assert await lab.world.invites(callee.number) == 1


async def test_a_caller_who_presses_a_key_is_registered_under_another_number_or_as_surer_than_they_are(
    service: Service, lab: Lab
) -> None:
    told = await gated(lab, "123456", context="lab-rights", agent="presses-8-2", caller="+48600990075")
    assert told.outcome == "access"
    shown = await service.json("requests", "show", told.reason)
    assert (shown["right"], shown["number_from"], shown["level"]) == ("access", "caller_id", "L0")
    assert shown["number"].endswith("0075")


async def test_a_service_that_hangs_holds_the_call_or_lets_it_through(service: Service, lab: Lab) -> None:
    callee = callees.answers(76)
    with service.stopped():
        placed = await lab.world.dial(callee.number, context="lab-gated")
        await placed.ended(within=BOUND_SECONDS)
        told = await lab.pbx.outcome(placed.id)
    assert (told.outcome, told.reason) == ("DENY", "service_hung")
    assert await lab.world.invites(callee.number) == 0
    # its answer after it is resumed comes too late
    assert (await gated(lab, callees.answers(77))).outcome == "ALLOW"
    assert await lab.world.invites(callee.number) == 0


async def test_a_service_that_is_away_lets_calls_through(lab: Lab, service: Service) -> None:
    callee = callees.answers(78)
    assert await service.stop() == 0
    try:
        told = await gated(lab, callee)
        assert (told.outcome, told.reason) == ("DENY", "service_away")
        assert await lab.world.invites(callee.number) == 0
    finally:
        before = service.lines()
        await service.spawn()
        await until(lambda: _connected(service) > sum(map(_is_connected, before)), within=START_SECONDS)


@pytest.mark.parametrize(("key", "right"), [("8", "none"), ("2", "refuse_recording")])
async def test_a_person_who_hides_their_number_is_not_asked_or_cannot_refuse_to_be_recorded(
    service: Service, lab: Lab, key: str, right: str
) -> None:
    told = await gated(lab, "123456", context="lab-rights", agent=f"presses-{key}-2", caller="101")
    assert (told.outcome, told.reason) == (right, "none")


@pytest.mark.parametrize("tail", [",brief", '" | "1,brief', "),brief"], ids=["comma", "quotes", "bracket"])
async def test_what_stands_behind_the_number_is_taken_for_another_campaign(
    service: Service, lab: Lab, tail: str
) -> None:
    callee = callees.answers(82)
    told = await entering(lab, f"{callee.number}{tail}")
    assert (told.outcome, told.reason, told.stasis_status) == ("blocked", "number_characters", "")
    assert await lab.world.invites(callee.number) == 0


async def test_a_number_that_is_only_a_number_is_refused(service: Service, lab: Lab) -> None:
    callee = callees.hangs_up(1, 83)
    told = await entering(lab, callee.number)
    assert told.stasis_status == "SUCCESS"
    assert await lab.world.invites(callee.number) == 1
