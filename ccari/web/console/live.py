"""Pages that go on by themselves: the calls in progress, and the agent's card. A script takes the new from a stream; without
one the page is loaded anew.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from aiohttp import web

from ccari.policy.declaration import Policy
from ccari.policy.rights import Right
from ccari.ports.cards import AgentCard, Watch
from ccari.ports.live import LiveCall, LiveWatch
from ccari.web.console import rendering
from ccari.web.console.pages import Answer, Moved, Shown, Visit
from ccari.web.console.sessions import PATH, Session
from ccari.web.events import RECHECK_SECONDS, Streams
from ccari.web.models.base import Body, Given
from ccari.web.models.calls import CallPath
from ccari.web.problems import Refusal, not_there

#: What changes within so long is told at once: nobody reads faster.
GATHER_SECONDS = 0.5
#: So many are shown, those that were begun first; the page says how many there are.
MOST_SHOWN = 200
#: An agent takes one call at a time, and writes up the last one perhaps.
_CARDS_KEPT = 4
#: Pages of the calls in progress that are kept, for tokens of so many choices of controllers.
_MOST_MADE = 64
#: Beyond those that a campaign's codes can enter: every right there is.
_RIGHTS = tuple(Right)


class RightBody(Body):
    right: Right


class HoldQuery(Given):
    """``live``: the page is to stand still, for whom no script can hold it."""

    live: Literal["off"] | None = None


class Gathered:
    """What changes among the live calls that ``concern`` the page, some changes at a time; at first how they stand."""

    def __init__(self, watch: LiveWatch, concern: Callable[[LiveCall], bool]) -> None:
        self._watch = watch
        self._concern = concern
        self._begun = False

    async def next(self) -> None:
        """Wait for a change, and a moment for more. Raises FellBehindError."""
        if not self._begun:
            self._begun = True
            return
        while not self._concern(await self._watch.next()):
            pass
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                while True:
                    await self._watch.next()


class OfAgent:
    """A card, which is kept for the session, or a change among the live calls."""

    def __init__(self, cards: Watch, live: Gathered, keep: Callable[[AgentCard], None]) -> None:
        self._cards = cards
        self._live = live
        self._keep = keep

    async def next(self) -> None:
        """Wait for either. Raises FellBehindError."""
        card, change = asyncio.create_task(self._cards.next()), asyncio.create_task(self._live.next())
        try:
            await asyncio.wait((card, change), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (card, change):
                task.cancel()
            await asyncio.wait((card, change))
            if not card.cancelled() and card.exception() is None:
                self._keep(card.result())
        if not change.cancelled():
            change.result()


class LivePages:
    """``streams`` counts them with those of the API, and ends them when the service stops."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        #: By language and by whose calls: what the page was made of last, and the page, for all who see the same.
        self._made: dict[tuple[str, frozenset[str] | None], tuple[Mapping[str, Any], str]] = {}

    async def calls(self, visit: Visit) -> Answer:
        """The calls in progress."""
        return Shown("live.html.j2", {**_told(visit), "held": _held(visit)})

    async def call_events(self, visit: Visit) -> Answer:
        """The same, whenever something changes."""
        front, policy = visit.ask.front, await visit.ask.policy()

        def sees(call: LiveCall) -> bool:
            return visit.ask.bearer.sees(call.controller)

        with self._streams.place(visit.ask, "live"), front.live.watch() as watch:
            return await self._stream(visit, Gathered(watch, sees), lambda: self._calls(visit, policy))

    def _calls(self, visit: Visit, policy: Policy | None) -> str:
        whose = visit.words.language, visit.ask.bearer.controllers
        of = {**_told(visit), "controllers": policy.controllers if policy else ()}
        made, text = self._made.get(whose, ({}, ""))
        if made != of:
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            text = rendering.page("live_calls.html.j2", visit.words, policy, of)
            self._made[whose] = of, text
        return text

    async def agent(self, visit: Visit) -> Answer:
        """The agent's own calls, what is known of them, and a button for each right."""
        return Shown("agent.html.j2", {**_of_agent(visit), "held": _held(visit)})

    async def agent_events(self, visit: Visit) -> Answer:
        """The same, whenever a card comes or the call goes on."""
        front, policy, session = visit.ask.front, await visit.ask.policy(), visit.session
        shown: set[UUID] = set()

        def keep(card: AgentCard) -> None:
            if visit.ask.bearer.sees(card.controller):
                _keep(session, card)

        def concerns(call: LiveCall) -> bool:
            # one that is shown may have become another's
            return call.call_id in shown or _is_mine(visit, call)

        def told() -> str:
            of = _of_agent(visit)
            shown.clear()
            shown.update(call.call_id for call, _ in of["calls"])
            return rendering.page("agent_calls.html.j2", visit.words, policy, of)

        mine = _agent(visit)
        with (
            self._streams.place(visit.ask, mine),
            front.cards.watch(mine) as cards,
            front.live.watch() as live,
        ):
            return await self._stream(visit, OfAgent(cards, Gathered(live, concerns), keep), told)

    async def _stream(
        self, visit: Visit, watch: Gathered | OfAgent, make: Callable[[], str]
    ) -> web.StreamResponse:
        """What ``make`` makes, whenever it is another than before."""
        before = ""

        def told(_: None) -> str | None:
            nonlocal before
            text = make()
            if text == before:
                return None
            before = text
            return _event(text)

        return await self._streams.stream(visit.ask, watch, told, every=RECHECK_SECONDS)


async def voice(visit: Visit) -> Answer:
    """Have the right registered that the callee has told the agent of, with what it does at once."""
    path: CallPath = visit.ask.path
    body: RightBody = visit.ask.body
    front = visit.ask.front
    if path.id not in {call.call_id for call in _mine(visit)}:
        raise not_there()
    if front.voicing is None or not front.voicing.voice(path.id, body.right):
        raise Refusal(409, "nobody talks in that call any more: have the request entered by hand")
    right = visit.words.term("right", body.right)
    return Moved(f"{PATH}/agent", visit.words("agent.voiced", right=right))


def _held(visit: Visit) -> bool:
    query: HoldQuery | None = visit.ask.query
    return query is not None and query.live == "off"


def _told(visit: Visit) -> Mapping[str, Any]:
    calls = [call for call in visit.ask.front.live.now() if visit.ask.bearer.sees(call.controller)]
    return {"calls": calls[:MOST_SHOWN], "count": len(calls)}


def _of_agent(visit: Visit) -> Mapping[str, Any]:
    cards = {card.call_id: card for card in visit.session.cards}
    calls = [(call, cards.get(call.call_id)) for call in _mine(visit)]
    return {"calls": calls, "csrf": visit.session.csrf, "rights": _RIGHTS, "agent": _agent(visit)}


def _mine(visit: Visit) -> Sequence[LiveCall]:
    """The calls that name the agent, and those that its cards are of: a fixed phone of a campaign is named by the card alone."""
    return [call for call in visit.ask.front.live.now() if _is_mine(visit, call)]


def _is_mine(visit: Visit, call: LiveCall) -> bool:
    return visit.ask.bearer.sees(call.controller) and (
        call.agent == _agent(visit) or call.call_id in {card.call_id for card in visit.session.cards}
    )


def _agent(visit: Visit) -> str:
    """Whose page it is: the token's."""
    agent = visit.ask.bearer.agent
    if agent is None:
        raise Refusal(403, "that page is not for your role")
    return agent


def _keep(session: Session, card: AgentCard) -> None:
    others = [each for each in session.cards if each.call_id != card.call_id]
    session.cards = (*others[1 - _CARDS_KEPT :], card)


def _event(html: str) -> str:
    """A fragment of a page; what it holds is escaped as the page is."""
    return "event: page\n" + "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
