"""Channels whose two ends negotiate keys: what is played to them before that is dropped, and Asterisk reports it as played."""

import asyncio
from dataclasses import replace
from http import HTTPStatus

import pytest

from ccari.calls import opening
from ccari.calls.opening import NoMedia, Openings
from ccari.calls.runner import CallRunner
from ccari.calls.transport import LinkLost, Refused, Reply
from ccari.policy.call import Direction, Event, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.numbers import Number
from tests.unit.calls.talking import Asterisk, Talking

TO_CALLEE = do.Play(Party.CALLEE, "right_failed")
TO_AGENT = do.Play(Party.AGENT, "agent_call_recorded")
SETTINGS = "settings"


class Encrypting(Asterisk):
    """``sent``: the number of packets that it reports to have sent, for each time that it is asked; the last one for
    ever.
    """

    def __init__(self, *sent: int, encryption: str = "dtls") -> None:
        super().__init__()
        self.encryption = encryption
        self.sent = list(sent)
        self.is_mute = False

    async def getObject(self, *, id: str, **_: str) -> Reply:  # noqa: A002, N802 - ARI's names
        if self.is_mute:
            await asyncio.Event().wait()
        return await super().getObject(id=id)

    async def answer(self, *, channelId: str) -> None:  # noqa: N803
        await self._do("answer", channelId)

    async def startSilence(self, *, channelId: str) -> None:  # noqa: N802, N803
        await self._do("silence", channelId)

    async def stopSilence(self, *, channelId: str) -> None:  # noqa: N802, N803
        await self._do("no silence", channelId)

    async def rtpstatistics(self, *, channelId: str) -> Reply:  # noqa: N803
        await self._do("count", channelId)
        count = self.sent.pop(0) if len(self.sent) > 1 else self.sent[0]
        return Reply(HTTPStatus.OK, f'{{"txcount": {count}}}')


@pytest.fixture(autouse=True)
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_ASK_AGAIN_SECONDS", 0)


def calling(
    asterisk: Asterisk, direction: Direction = Direction.OUTBOUND, made_as: str = "PJSIP/anna"
) -> Talking:
    talking = Talking(direction, asterisk)
    talking.actions._order = replace(talking.order, made_as=made_as)
    return talking


def done(asterisk: Asterisk) -> list[str]:
    return [what for what, _ in asterisk.asked]


async def played(asterisk: Asterisk, *prompts: do.Play) -> list[str]:
    """What Asterisk is asked for to play these."""
    talking = calling(asterisk)
    for each in prompts or (TO_CALLEE,):
        await talking.actions.carry_out(each)
    return done(asterisk)


async def test_a_prompt_is_played_before_anything_can_leave_asterisk() -> None:
    # once for a channel, however many prompts there are
    assert await played(Encrypting(0, 0, 1), TO_CALLEE, TO_CALLEE) == [
        SETTINGS, "silence", "count", "count", "count", "no silence", "play", "play",
    ]  # fmt: skip


async def test_an_agent_is_told_before_anything_can_leave_asterisk() -> None:
    asterisk = Encrypting(1)
    assert await played(asterisk, TO_AGENT) == [SETTINGS, "silence", "count", "no silence", "play"]
    assert asterisk.asked[0] == (SETTINGS, "anna")


async def test_an_agent_who_is_rung_is_waited_for_as_if_they_were_on_the_trunk() -> None:
    asterisk = Encrypting(1)
    talking = calling(asterisk, Direction.AGENT_FIRST)
    talking.actions._allowed = replace(talking.actions._terms, agent_string="PJSIP/jan")
    await talking.actions.carry_out(TO_AGENT)
    assert asterisk.asked[0] == (SETTINGS, "jan")


async def test_a_prompt_of_which_nothing_leaves_asterisk_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "OPENING_SECONDS", 0.05)
    asterisk = Encrypting(0)
    talking = calling(asterisk)
    for _ in range(2):
        with pytest.raises(NoMedia):
            await talking.actions.carry_out(TO_CALLEE)
    # nor is it waited for again with the last words
    assert (done(asterisk).count("silence"), done(asterisk)[-1]) == (1, "no silence")
    assert talking.actions.player.playbacks == {}


async def test_a_call_that_is_cut_while_it_waits_lives_on_because_asterisk_does_not_answer() -> None:
    """The answer that did not come took the place of the cancellation, and no right that had been pressed was registered then."""
    asterisk, counted = Encrypting(0), asyncio.Event()
    asterisk.refusals["no silence"], asterisk.meanwhile["count"] = None, counted.set
    waiting = asyncio.create_task(calling(asterisk).actions.carry_out(TO_CALLEE))
    await counted.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("encryption", ["no", "sdes"])
async def test_a_call_whose_keys_are_there_waits(encryption: str) -> None:
    assert await played(Encrypting(0, encryption=encryption)) == [SETTINGS, "play"]


async def test_a_notice_waits_for_asterisk_to_say_how_the_trunk_is_set() -> None:
    asterisk = Encrypting(0, encryption="no")
    talking = calling(asterisk)
    talking.actions._allowed = replace(talking.actions._terms, number=Number("+48600100001"))
    await talking.actions.carry_out(do.CreateCallee())
    assert asterisk.asked[-1] == (SETTINGS, "trunk")
    asterisk.asked.clear()
    await talking.actions.carry_out(TO_CALLEE)
    assert done(asterisk) == ["play"]


async def test_a_caller_is_answered_before_it_is_known_how_their_trunk_is_set() -> None:
    asterisk = Encrypting(0, encryption="no")
    talking = calling(asterisk, Direction.INBOUND, "PJSIP/trunk")
    await talking.actions.carry_out(do.AnswerCallee())
    await talking.actions.carry_out(TO_CALLEE)
    assert done(asterisk) == [SETTINGS, "setChannelVar", "answer", "play"]


async def test_calls_by_one_trunk_each_ask_how_it_is_set_or_never_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asterisk = Encrypting(1, encryption="no")
    endpoints = calling(asterisk).desk.endpoints
    found = [await endpoints.agrees_on_keys(name) for name in ("trunk", "trunk", "other")]
    assert (found, asterisk.asked) == ([False] * 3, [(SETTINGS, "trunk"), (SETTINGS, "other")])
    asterisk.encryption = "dtls"
    loop = asyncio.get_running_loop()
    later = loop.time() + opening._GOOD_SECONDS
    monkeypatch.setattr(loop, "time", lambda: later)
    assert await endpoints.agrees_on_keys("trunk")


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND])
async def test_a_notice_is_lost_as_asterisk_does_not_say_how_an_endpoint_is_set(status: HTTPStatus) -> None:
    asterisk = Encrypting(1, encryption="no")
    asterisk.refusals[SETTINGS] = status
    assert await played(asterisk) == [SETTINGS, "silence", "count", "no silence", "play"]


async def test_a_notice_is_lost_for_an_answer_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LOOK_SECONDS", 0.05)
    asterisk = Encrypting(1, encryption="no")
    asterisk.is_mute = True
    assert await played(asterisk) == ["silence", "count", "no silence", "play"]


@pytest.mark.parametrize("operation", ["silence", "count"])
async def test_a_hang_up_is_waited_for(operation: str) -> None:
    """The prompt reports what comes of it, as for anybody who has hung up."""
    asterisk = Encrypting(0)
    asterisk.refusals[operation] = HTTPStatus.NOT_FOUND
    asterisk.why = "Channel not found"
    assert (await played(asterisk))[-1] == "play"


async def test_a_channel_without_sound_of_its_own_is_taken_for_one_that_has_hung_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "OPENING_SECONDS", 0.05)
    asterisk = Encrypting(0)
    asterisk.refusals["count"] = HTTPStatus.NOT_FOUND
    asterisk.why = "RTP info not found"
    with pytest.raises(NoMedia):
        await played(asterisk)


@pytest.mark.parametrize(
    ("direction", "event", "ends"),
    [
        (Direction.OUTBOUND, on.Gone(Party.AGENT), True),
        (Direction.AGENT_FIRST, on.Gone(Party.AGENT), True),
        (Direction.CALLEE_FIRST, on.Gone(Party.AGENT), False),
        (Direction.CALLEE_FIRST, on.Gone(Party.CALLEE), True),
        (Direction.INBOUND, on.LetGo("shutdown"), True),
        (Direction.OUTBOUND, on.KeyPressed("5"), False),
    ],
)
async def test_keys_are_waited_for_although_nobody_is_to_be_connected(
    direction: Direction, event: Event, *, ends: bool
) -> None:
    """An agent who has hung up would leave the callee in silence, and a stop of the service would take longer than it
    may.
    """
    asterisk = Encrypting(*[0] * 5, 1)
    talking = calling(asterisk, direction)
    runner = CallRunner(talking.order, talking.desk, talking.ids, talking.journal)
    runner._inbox.put(on.KeyPressed("9"))
    runner._inbox.put(event)
    openings = runner._actions._openings
    if ends:
        with pytest.raises(NoMedia):
            await openings.await_opening("a channel", "PJSIP/trunk")
    else:
        await openings.await_opening("a channel", "PJSIP/trunk")
    assert done(asterisk).count("count") == (1 if ends else 6)
    assert done(asterisk)[-1] == "no silence"


@pytest.mark.parametrize(("status", "error"), [(HTTPStatus.PRECONDITION_FAILED, Refused), (None, LinkLost)])
async def test_a_refusal_lets_a_prompt_be_played(status: HTTPStatus | None, error: type[Exception]) -> None:
    asterisk = Encrypting(0)
    asterisk.refusals["count"] = status
    with pytest.raises(error):
        await played(asterisk)
    assert done(asterisk)[-1] == "no silence"


async def test_silence_is_played_into_a_talk() -> None:
    asterisk = Encrypting(1)
    talking = calling(asterisk)
    talking.actions._legs.have_met = True
    await talking.actions.carry_out(TO_CALLEE)
    assert done(asterisk) == ["play"]


async def test_asterisk_is_asked_of_a_channel_of_which_it_cannot_tell() -> None:
    asterisk = Encrypting(1)
    await calling(asterisk, Direction.INBOUND, "Local/1@queue").actions.carry_out(TO_CALLEE)
    assert done(asterisk) == ["play"]


@pytest.mark.parametrize(
    "made_as", ["PJSIP/trunk", "PJSIP/{number}@trunk", "PJSIP/trunk/sip:a@b", "PJSIP/a@trunk/aor"]
)
async def test_another_endpoint_is_looked_at(made_as: str) -> None:
    asterisk = Encrypting(1)
    await calling(asterisk).actions._openings.look("a channel", made_as)
    assert asterisk.asked == [(SETTINGS, "trunk")]


async def test_the_last_words_of_a_call_that_ended_while_keys_were_agreed_upon_are_not_said() -> None:
    asterisk = Encrypting(0, 1)
    talking, ending = calling(asterisk), True
    openings = Openings(talking.ari, talking.desk.endpoints, lambda: ending)
    with pytest.raises(NoMedia):
        await openings.await_opening("a channel", "PJSIP/trunk")
    ending = False
    await openings.await_opening("a channel", "PJSIP/trunk")
