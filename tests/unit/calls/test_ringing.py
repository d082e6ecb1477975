"""How long Asterisk rings an agent or a callee, and how long it lets a call last, whatever becomes of it."""

import asyncio
from dataclasses import replace
from http import HTTPStatus

import pytest

from ccari.calls.legs import DIAL_SECONDS, TooLate
from ccari.calls.transport import LinkLost, Refused
from ccari.errors import AsteriskError
from ccari.policy.call import Direction
from ccari.policy.call import commands as do
from ccari.policy.call.state import AGREEMENT_SECONDS, HOLD_SECONDS
from ccari.policy.recording import RecordingMode
from ccari.ports.sounds import Script, Sound
from tests.unit.calls.talking import Talking
from tests.unit.policy.campaigns import ALL_KEYS, campaign
from tests.unit.store.made import NUMBER

#: The length of one prompt of the notice.
SECONDS = 20.2


async def rung(
    direction: Direction, *, mode: str = "opt_out", informed: bool = False, agents: int = 0
) -> int:
    """For how many seconds an agent is rung for whom the callee waits five."""
    talking = Talking(direction)
    declared = campaign(
        connect_seconds=5,
        recording={"mode": mode},
        notice={"prompts": ["identity", "purpose", "recording"], "information": "first_contact"},
        keys=ALL_KEYS | ({"1": "consent_recording"} if mode == RecordingMode.OPT_IN else {}),
    )
    prompts = ("identity", "purpose", f"recording_{mode}")
    script = Script({each: Sound("", round(SECONDS * 1000), each) for each in prompts}, {})
    actions = talking.actions
    actions._allowed = replace(actions._terms, campaign=declared, scripts={"pl": script}, informed=informed)
    talking.ids.agents = agents
    await actions.carry_out(do.DialAgent())
    return talking.asterisk.rings[talking.ids.agent]


@pytest.mark.parametrize(
    ("mode", "informed", "prompts", "more"),
    [
        ("opt_out", False, 3, 0),
        ("opt_out", True, 1, 0),
        ("opt_in", False, 3, 2 * AGREEMENT_SECONDS + HOLD_SECONDS),
    ],
)
async def test_an_agent_is_rung_no_more_while_the_callee_who_was_first_hears_a_long_notice(
    mode: str, prompts: int, more: float, *, informed: bool
) -> None:
    seconds = await rung(Direction.CALLEE_FIRST, mode=mode, informed=informed)
    longest = 5 + prompts * SECONDS + more + HOLD_SECONDS
    assert longest < seconds <= longest + 6


@pytest.mark.parametrize("direction", [Direction.AGENT_FIRST, Direction.INBOUND])
async def test_an_agent_for_whom_nobody_hears_a_notice_is_rung_on_when_they_are_given_up(
    direction: Direction,
) -> None:
    assert await rung(direction) == 10


async def test_a_colleague_to_whom_a_callee_is_handed_over_is_rung_as_long_as_the_notice_was() -> None:
    assert await rung(Direction.CALLEE_FIRST, agents=1) == 10


@pytest.mark.parametrize(("declared", "seconds"), [({}, 50), ({"ring_seconds": 120}, 125)])
async def test_a_callee_is_given_up_by_asterisk_before_the_campaign_gives_them_up(
    declared: dict[str, int], seconds: int
) -> None:
    talking = Talking(Direction.OUTBOUND)
    talking.actions._allowed = replace(talking.actions._terms, campaign=campaign(**declared))
    await talking.actions.carry_out(do.Dial())
    assert talking.asterisk.rings[talking.ids.callee] == seconds


@pytest.mark.parametrize(("declared", "seconds"), [({}, "14400"), ({"longest_minutes": 480}, "28800")])
async def test_a_leg_lasts_longer_or_shorter_than_the_campaign_says(
    declared: dict[str, int], seconds: str
) -> None:
    talking = Talking(Direction.OUTBOUND)
    talking.actions._allowed = replace(
        talking.actions._terms, campaign=campaign(**declared), agent_string="PJSIP/anna", number=NUMBER
    )
    for each in (do.CallAgent(), do.CreateCallee(), do.Dial()):
        await talking.actions.carry_out(each)
    # the callee's channel must first be dialled in time
    limit = "TIMEOUT(absolute)"
    assert talking.asterisk.made[talking.ids.agent][limit] == seconds
    assert talking.asterisk.set == [(limit, seconds)]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (HTTPStatus.NOT_FOUND, None),
        (HTTPStatus.CONFLICT, None),
        (HTTPStatus.BAD_REQUEST, None),
        (HTTPStatus.INTERNAL_SERVER_ERROR, AsteriskError),
        (None, LinkLost),
    ],
)
async def test_a_callee_who_rings_is_cut_off_without_a_word_or_passes_for_one_who_was_not_rung(
    status: HTTPStatus | None, error: type[AsteriskError] | None
) -> None:
    """Asterisk hangs up their leg unless its time is extended after the dial. A callee who has hung up is reported separately."""
    talking = Talking(Direction.OUTBOUND)
    talking.asterisk.refusals["setChannelVar"] = status
    if error is None:
        await talking.actions.carry_out(do.Dial())
        return
    with pytest.raises(error) as raised:
        await talking.actions.carry_out(do.Dial())
    assert not isinstance(raised.value, Refused)


async def test_a_telephone_rings_for_an_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the creation of the channel and the dial, the gate has taken nearly all of the channel's time."""
    talking = Talking(Direction.OUTBOUND)
    talking.actions._allowed = replace(talking.actions._terms, number=NUMBER)
    await talking.actions.carry_out(do.CreateCallee())
    loop = asyncio.get_running_loop()
    later = loop.time() + DIAL_SECONDS - 1
    monkeypatch.setattr(loop, "time", lambda: later)
    with pytest.raises(TooLate):
        await talking.actions.carry_out(do.Dial())
    assert talking.asterisk.rings == {}
