"""Keys that a prompt cuts in two: Asterisk reports a key when it is released, and by then the party who pressed it is
out of the bridge.
"""

from http import HTTPStatus

from ccari.policy.call import Direction, Party
from ccari.policy.call import commands as do
from tests.unit.calls.talking import Talking

PROMPT = do.Play(Party.CALLEE, "right_failed")


def met() -> Talking:
    """A call whose two parties were bridged."""
    talking = Talking(Direction.OUTBOUND)
    talking.actions._legs.resume()
    return talking


async def pressed(
    talking: Talking, prompt: do.Play = PROMPT, by: Party = Party.CALLEE
) -> list[tuple[str, str]]:
    """Somebody releases a key that they pressed before a prompt was played; returns what is passed on, and to whom."""
    await talking.actions.carry_out(prompt)
    before = len(talking.asked)
    key = {"digit": "5", "duration_ms": 300, "channel": {"id": talking.ids.channel(by)}}
    talking.actions.take_note({"type": "ChannelDtmfReceived"} | key)
    await talking.actions.pass_on_keys()
    return talking.asked[before:]


async def test_an_agent_is_deaf_to_whoever_pressed_a_key_as_a_prompt_began() -> None:
    talking = met()
    assert await pressed(talking) == [("key 5", "phone-1")]
    await talking.actions.pass_on_keys()
    assert [operation for operation, _ in talking.asked].count("key 5") == 1


async def test_a_callee_is_deaf_to_an_agent_who_pressed_a_key_as_a_prompt_began() -> None:
    talking = met()
    whisper = do.Play(Party.AGENT, "agent_call_recorded")
    assert await pressed(talking, whisper, Party.AGENT) == [("key 5", talking.ids.callee)]


async def test_a_key_is_heard_twice_that_no_prompt_has_cut() -> None:
    """The prompt was played to the other party, or long before the key."""
    assert await pressed(met(), PROMPT, Party.AGENT) == []
    talking = met()
    await talking.actions.carry_out(PROMPT)
    talking.actions.player.playbacks[Party.CALLEE].asked_at -= 1.0
    key = {"digit": "5", "duration_ms": 300, "channel": {"id": talking.ids.callee}}
    talking.actions.take_note({"type": "ChannelDtmfReceived"} | key)
    await talking.actions.pass_on_keys()
    assert [operation for operation, _ in talking.asked] == ["play"]


async def test_a_key_that_cannot_be_passed_on_ends_the_call() -> None:
    talking = met()
    talking.asterisk.refusals["key 5"] = HTTPStatus.NOT_FOUND
    assert await pressed(talking) == [("key 5", "phone-1")]


async def test_an_agent_hears_a_key_of_the_notice_once_the_talk_begins() -> None:
    """Whatever the agent's phone has called through may take the key for the agent's own."""
    talking = Talking(Direction.OUTBOUND)
    assert await pressed(talking) == []
    talking.actions._legs.resume()
    assert await pressed(talking) == [("key 5", "phone-1")]


async def test_a_colleague_whose_phone_rings_yet_is_sent_a_key_that_was_pressed_beside_the_agent() -> None:
    talking = met()
    await talking.actions.carry_out(do.HandOver("1002"))
    assert await pressed(talking) == []
