"""The board of calls in progress shows exactly these calls, and a slow reader holds up nobody."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from ccari.calls import board as boards
from ccari.calls.board import Board, Place
from ccari.calls.order import Order
from ccari.calls.runner import CallRunner
from ccari.policy.call import Direction, Outcome, Stage
from ccari.policy.call import events as on
from ccari.policy.call.state import Call, RecorderState
from ccari.policy.rights import Right
from ccari.ports.live import FellBehindError, LiveCall, LiveWatch, Taped
from tests.unit.calls.talking import IDLE_DESK, Talking

SECONDS = 30.0


def placed(board: Board, *stages: Stage) -> Place:
    """A call that went through these stages."""
    talking = Talking(Direction.OUTBOUND)
    terms = talking.actions._terms
    place = Place(board, uuid4())
    for stage in stages:
        place.show(Call(stage=stage), terms)
    return place


async def following(watch: LiveWatch) -> LiveCall:
    async with asyncio.timeout(SECONDS):
        return await watch.next()


async def test_a_call_is_on_the_board_when_it_is_over_or_not_while_it_goes_on() -> None:
    board = Board()
    first, second = placed(board, Stage.CREATE, Stage.RING), placed(board, Stage.NOTICE)
    assert [each.stage for each in board.now()] == ["ring", "notice"]
    first.leave()
    assert [each.stage for each in board.now()] == ["notice"]
    with board.watch() as watch:
        # a later reader sees what is already going on
        assert (await following(watch)).stage == "notice"
        second.leave()
        second.leave()
        told = await following(watch)
        assert (told.is_over, board.now()) == (True, [])
        waiting = asyncio.ensure_future(watch.next())
        await asyncio.sleep(0)
        assert not waiting.done(), "it is told twice that a call is over"
        waiting.cancel()


async def test_what_is_told_of_a_call_is_not_how_it_stands() -> None:
    board, talking = Board(), Talking(Direction.OUTBOUND)
    place, terms = Place(board, uuid4()), talking.actions._terms
    place.show(Call(stage=Stage.TALK, recorder=RecorderState.RUNNING, exercised=(Right.ACCESS,)), terms)
    (told,) = board.now()
    assert (told.controller, told.campaign, told.agent, told.number_masked) == (
        terms.opened.controller, terms.opened.campaign, "anna", "+48•••••0001",
    )  # fmt: skip
    assert (told.recording, told.rights, told.outcome) == (Taped.ON, (Right.ACCESS,), None)
    place.show(
        Call(stage=Stage.TALK, paused=True), replace(terms, opened=replace(terms.opened, agent="bert"))
    )
    (later,) = board.now()
    assert (later.recording, later.agent, later.since) == (Taped.PAUSED, "bert", told.since)
    place.show(Call(stage=Stage.CLOSE, outcome=Outcome.BRIDGED, reason="transferred"), terms)
    (last,) = board.now()
    assert (last.outcome, last.reason, last.begun_at) == ("bridged", "transferred", told.begun_at)
    assert last.since > told.since


@pytest.mark.parametrize(
    "change",
    [
        {"stage": Stage.CLOSE},
        {"recorder": RecorderState.RUNNING},
        {"paused": True},
        {"exercised": (Right.ACCESS,)},
        {"outcome": Outcome.BRIDGED},
        {"reason": "transferred"},
        {"agent": "bert"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_change_is_not_told_to_whoever_looks_on_or_told_where_there_is_none(
    change: dict[str, Any],
) -> None:
    board, talking = Board(), Talking(Direction.OUTBOUND)
    place, terms = Place(board, uuid4()), talking.actions._terms
    place.show(Call(stage=Stage.TALK), terms)
    with board.watch() as watch:
        before = await following(watch)
        place.show(Call(stage=Stage.TALK, typed="*"), replace(terms, language="de"))
        waiting = asyncio.ensure_future(watch.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        if "agent" in change:
            place.show(Call(stage=Stage.TALK), replace(terms, opened=replace(terms.opened, **change)))
        else:
            place.show(replace(Call(stage=Stage.TALK), **change), terms)
        async with asyncio.timeout(SECONDS):
            assert await waiting != before


async def test_who_reads_slowly_has_every_change_kept_or_sees_a_call_that_is_over() -> None:
    board = Board()
    with board.watch() as watch:
        place = placed(board, *[Stage.RING, Stage.NOTICE] * 100)
        assert (await following(watch)).stage == "notice"
        place.leave()
        for _ in range(boards.MOST_OVER):
            placed(board, Stage.RING).leave()
        with pytest.raises(FellBehindError):
            await following(watch)


async def test_a_call_that_fails_stays_on_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    board, talking = Board(), Talking(Direction.OUTBOUND)
    monkeypatch.setattr(talking.actions, "_desk", replace(talking.actions._desk, board=board))
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "anna", channel="phone-1"), IDLE_DESK
    )
    monkeypatch.setattr(runner, "_actions", talking.actions)
    seen: list[int] = []

    async def fails(_event: on.Event) -> None:
        talking.actions.show(Call(stage=Stage.RING))
        seen.append(len(board.now()))
        raise RuntimeError

    monkeypatch.setattr(runner, "_step", fails)
    async with asyncio.timeout(SECONDS):
        await runner.run()
    assert (seen, board.now()) == ([1], [])
