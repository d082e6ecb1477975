"""Pages that update by themselves: the calls in progress, and the agent's own, for whoever may still see them."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio

from ccari.calls.cards import Rack
from ccari.policy.call import Stage
from ccari.policy.rights import Right
from ccari.ports.access import Role
from ccari.ports.live import Taped
from ccari.store.opened import Store
from ccari.web.console import rendering
from ccari.web.console.live import BEAT, GATHER_SECONDS
from ccari.web.console.rendering import ASSETS
from ccari.web.console.words import CATALOGUES
from ccari.web.events import HEARTBEAT_SECONDS, Streams
from ccari.web.front import Front
from tests.unit.web.api import NUMBER, Api, front_over, serving
from tests.unit.web.console.browsing import Visitor, browser, signed_in
from tests.unit.web.test_events import block, card
from tests.unit.web.test_live_calls import board, live

LIVE, AGENT = "/console/live", "/console/agent"
MARKUP = "<script>alert(1)</script>"
SECONDS = 30.0


@dataclass
class Voices:
    """What was voiced in the calls that are ``talking``."""

    talking: set[UUID] = field(default_factory=set)
    heard: list[tuple[UUID, Right]] = field(default_factory=list)

    def voice(self, call_id: UUID, right: Right) -> bool:
        self.heard.append((call_id, right))
        return call_id in self.talking


@dataclass
class Floor:
    """A console with agents."""

    api: Api
    front: Front
    voices: Voices
    visitor: Visitor


@pytest_asyncio.fixture
async def floor(store: Store, tmp_path: Path) -> AsyncIterator[Floor]:
    voices = Voices()
    front = replace(await front_over(store, tmp_path), voicing=voices)
    async with serving(store, front) as api, browser() as session:
        yield Floor(api, front, voices, Visitor(api.url, session))


@contextlib.asynccontextmanager
async def watching(floor: Floor, page: str) -> AsyncIterator[aiohttp.StreamReader]:
    async with floor.visitor.session.get(f"{floor.visitor.url}{page}/events") as answer:
        assert answer.status == HTTPStatus.OK
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert await block(answer.content) == "retry: 3000\n: watching"
        yield answer.content


async def fragment(stream: aiohttp.StreamReader) -> str:
    told = await block(stream)
    assert told is not None
    name, *lines = told.split("\n")
    assert name == "event: page"
    return "\n".join(line.removeprefix("data: ") for line in lines)


async def test_a_call_in_progress_is_not_shown_or_shown_to_others(floor: Floor) -> None:
    mine, foreign = live("notice"), live("talk", controller="other", campaign="umfrage")
    board(floor.front).put(replace(mine, agent=MARKUP))
    board(floor.front).put(foreign)
    await signed_in(floor.api, floor.visitor, Role.OPS, "acme")
    seen = await floor.visitor.get(LIVE)
    assert "1 call" in seen.words
    assert "hearing the notice" in seen.words
    assert str(mine.call_id) in seen.text
    assert str(foreign.call_id) not in seen.text
    assert MARKUP not in seen.text
    assert NUMBER not in seen.text
    async with watching(floor, LIVE) as stream:
        first = await fragment(stream)
        assert str(mine.call_id) in first
        board(floor.front).put(replace(mine, stage=Stage.TALK, recording=Taped.ON))
        then = await fragment(stream)
        assert "talking" in then
        assert "recorded" in then
        assert str(foreign.call_id) not in first + then
        board(floor.front).put(replace(mine, stage=Stage.CLOSED))
        assert "There are no calls in progress." in await fragment(stream)


@pytest.mark.parametrize(("page", "role", "agent"), [(LIVE, Role.OPS, None), (AGENT, Role.AGENT, "anna")])
async def test_while_asterisk_is_away_the_page_says_that_there_are_no_calls(
    store: Store, tmp_path: Path, page: str, role: Role, agent: str | None
) -> None:
    linked = True
    front = replace(await front_over(store, tmp_path), linked=lambda: linked)
    words = CATALOGUES["en"]
    none, unlinked = (words(f"{page.rpartition('/')[2]}.{each}") for each in ("none", "unlinked"))
    async with serving(store, front, streams=Streams(heartbeat=0.05)) as api, browser() as session:
        floor = Floor(api, front, Voices(), Visitor(api.url, session))
        await signed_in(api, floor.visitor, role, agent=agent)
        assert none in (await floor.visitor.get(page)).words
        async with watching(floor, page) as stream:
            assert none in await fragment(stream)
            linked = False
            while (told := await block(stream)) == BEAT.strip():
                pass
            assert told is not None
            assert (unlinked in told, none in told) == (True, False)
        seen = (await floor.visitor.get(page)).words
        assert (unlinked in seen, none in seen) == (True, False)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each template was rendered."""
    counted: Counter[str] = Counter()

    def page(template: str, *of: Any) -> str:
        counted[template] += 1
        return rendering.page(template, *of)

    monkeypatch.setattr("ccari.web.console.live.rendering", SimpleNamespace(page=page))
    return counted


async def silent(stream: aiohttp.StreamReader) -> None:
    """Nothing is sent for ten heartbeats, which are longer than changes are gathered."""
    for _ in range(10):
        assert await block(stream) == BEAT.strip()


async def test_what_has_not_changed_is_sent_or_made_again(
    store: Store, tmp_path: Path, made: Counter[str]
) -> None:
    front = await front_over(store, tmp_path)
    mine, others = live("talk"), replace(live("talk"), agent="bert")
    for each in (mine, others):
        board(front).put(each)
    streams = Streams(heartbeat=2 * GATHER_SECONDS / 10)
    async with serving(store, front, streams=streams) as api, browser() as first, browser() as second:
        floor = Floor(api, front, Voices(), Visitor(api.url, first))
        await signed_in(api, floor.visitor, Role.OPS)
        async with watching(floor, LIVE) as one, watching(floor, LIVE) as other:
            assert await fragment(one) == await fragment(other)
            board(front).put(mine)
            await silent(one)
            await silent(other)
        assert made["live_calls.html.j2"] == 1
        floor.visitor = Visitor(api.url, second)
        await signed_in(api, floor.visitor, Role.AGENT)
        async with watching(floor, AGENT) as stream:
            await fragment(stream)
            await silent(stream)
            before = made["agent_calls.html.j2"]
            board(front).put(replace(others, stage=Stage.FAREWELL))
            await silent(stream)
            assert made["agent_calls.html.j2"] == before
            # a call that becomes a colleague's is no longer shown
            board(front).put(replace(mine, agent="bert"))
            while (told := await block(stream)) == BEAT.strip():
                pass
            assert "You have no call" in str(told)


def test_a_page_takes_a_quiet_hour_for_a_lost_connection() -> None:
    (silent,) = re.findall(rb"SILENT_MS = (\d+)", ASSETS["console.js"].body)
    # a heartbeat may be late
    assert int(silent) >= 2000 * HEARTBEAT_SECONDS


async def test_a_page_goes_on_after_its_session_or_its_token(floor: Floor) -> None:
    token = await floor.api.token(Role.OPS, name="minder")
    for ends in ("sign-out", "revoke"):
        await floor.visitor.sign_in(token)
        async with watching(floor, LIVE) as stream:
            if ends == "revoke":
                assert await floor.api.store.tokens.revoke("minder", "test")
            else:
                await floor.visitor.send(LIVE, "/console/sign-out")
            async with asyncio.timeout(SECONDS):
                # what was known of the token may be used for one second more
                while not stream.at_eof():
                    board(floor.front).put(live())
                    if await block(stream) is None:
                        break


async def test_an_agent_sees_anothers_call_or_not_its_own(floor: Floor) -> None:
    mine, others, foreign = (
        live("talk"),
        replace(live("talk"), agent="bert"),
        live("talk", controller="other"),
    )
    for each in (mine, others, foreign):
        board(floor.front).put(each)
    await signed_in(floor.api, floor.visitor, Role.AGENT, "acme")
    seen = await floor.visitor.get(AGENT)
    for call, is_there in ((mine, True), (others, False), (foreign, False)):
        assert (str(call.call_id) in seen.text) is is_there
    assert seen.text.count('name="right"') == len(Right)
    assert f'value="access" id="right-{mine.call_id}-access" disabled' in seen.text


async def test_a_card_does_not_come_to_the_page(floor: Floor) -> None:
    await signed_in(floor.api, floor.visitor, Role.AGENT)
    told = card(name=MARKUP)
    # if the campaign's agent is a fixed phone, only the card says whose call it is
    calling = replace(live("talk", call=told.call_id), agent="renewals")
    async with watching(floor, AGENT) as stream:
        board(floor.front).put(calling)
        assert "You have no call" in await fragment(stream)
        assert isinstance(floor.front.cards, Rack)
        floor.front.cards.hand_out(told)
        shown = await fragment(stream)
    assert "Z umowy zawartej z ACME." in shown
    assert "ACME-2026-000001" in shown
    assert MARKUP not in shown
    assert NUMBER not in shown
    assert str(told.call_id) in (await floor.visitor.get(AGENT)).text


@pytest.mark.parametrize(
    ("recording", "ends"),
    [
        ({"mode": "off"}, {}),
        ({"mode": "opt_out"}, {"erasure": "recording", "withdraw_consent": None, "access": None}),
        ({"mode": "opt_in"}, {"erasure": "recording", "withdraw_consent": "recording", "access": None}),
        ({"mode": "opt_in", "without": "hang_up"}, {"withdraw_consent": "call", "refuse_recording": "call"}),
    ],
)
async def test_an_agent_presses_a_button_that_ends_the_recording_or_the_call_unwarned(
    floor: Floor, recording: dict[str, str], ends: dict[str, str | None]
) -> None:
    await signed_in(floor.api, floor.visitor, Role.AGENT)
    told = card(recording=recording)
    async with watching(floor, AGENT) as stream:
        board(floor.front).put(live("talk", call=told.call_id))
        await fragment(stream)
        assert isinstance(floor.front.cards, Rack)
        floor.front.cards.hand_out(told)
        shown = await fragment(stream)
    buttons = dict(re.findall(r'value="(\w+)" id="right-[^"]+"[^>]*>([^<]+)</button>', shown))
    assert set(buttons) == set(Right)
    for right, what in (ends or dict.fromkeys(Right)).items():
        warned = re.findall(r"\(ends the (\w+)\)", buttons[right])
        assert warned == ([what] if what else [])


async def test_a_right_is_not_registered_or_in_anothers_call(floor: Floor) -> None:
    mine, over, others = live("talk"), live("talk"), replace(live("talk"), agent="bert")
    for each in (mine, over, others):
        board(floor.front).put(each)
    floor.voices.talking = {mine.call_id, others.call_id}
    await signed_in(floor.api, floor.visitor, Role.AGENT)

    def path(call: UUID) -> str:
        return f"{AGENT}/{call}/right"

    done = await floor.visitor.send(AGENT, path(mine.call_id), right="erasure")
    assert "Sent: erasure" in done.words
    late = await floor.visitor.send(AGENT, path(over.call_id), right="erasure")
    assert late.status == HTTPStatus.CONFLICT
    assert "have the request entered by hand" in late.words
    secret = (await floor.visitor.get(AGENT)).form("/console/sign-out").fields
    foreign = await floor.visitor.ask("POST", path(others.call_id), {**secret, "right": "erasure"})
    assert foreign.status == HTTPStatus.NOT_FOUND
    for form in ({**secret, "right": "silence"}, {"csrf": "x", "right": "erasure"}):
        refused = await floor.visitor.ask("POST", path(mine.call_id), form)
        assert refused.status in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.FORBIDDEN}
    assert floor.voices.heard == [(mine.call_id, Right.ERASURE), (over.call_id, Right.ERASURE)]


async def test_a_console_without_calls_takes_a_right(api: Api, visitor: Visitor, front: Front) -> None:
    mine = live("talk")
    board(front).put(mine)
    await signed_in(api, visitor, Role.AGENT)
    seen = await visitor.send(AGENT, f"{AGENT}/{mine.call_id}/right", right="access")
    assert seen.status == HTTPStatus.CONFLICT
