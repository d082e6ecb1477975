"""Pages that update themselves: the calls in progress, and the agent's page. A script takes each update from a stream; without
scripts the page is reloaded.
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

#: Changes within this time are sent as one update: nobody reads faster.
GATHER_SECONDS = 0.5
#: A heartbeat that the page's script can see, unlike a comment: the script reports when heartbeats stop.
BEAT = "event: beat\ndata: \n\n"
#: The most calls shown, the oldest first. The page gives the total.
MOST_SHOWN = 200
#: An agent takes one call at a time, and may still be writing up the last one.
_CARDS_KEPT = 4
#: How many rendered pages of calls in progress are cached, one per language and set of controllers.
_MOST_CACHED = 64
#: On the agent's page every right can be entered, not only those with a feature code in the campaign.
_RIGHTS = tuple(Right)


class RightBody(Body):
    right: Right


class HoldQuery(Given):
    """``live``: ``off`` for a page that does not update itself, for people whose browser has no script to pause it."""

    live: Literal["off"] | None = None


class Gathered:
    """Changes of the live calls that the page ``concerns``, batched. The first batch comes at once: the current state of the calls."""

    def __init__(self, watch: LiveWatch, concerns: Callable[[LiveCall], bool]) -> None:
        self._watch = watch
        self._concerns = concerns
        self._begun = False

    async def next(self) -> None:
        """Wait for a change, then a moment longer for others. Raises FellBehindError."""
        if not self._begun:
            self._begun = True
            return
        while not self._concerns(await self._watch.next()):
            pass
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                while True:
                    await self._watch.next()


class OfAgent:
    """Changes of an agent's page: a new card, which is passed to ``keep``, or a change of the live calls."""

    def __init__(self, cards: Watch, live: Gathered, keep: Callable[[AgentCard], None]) -> None:
        self._cards = cards
        self._live = live
        self._keep = keep

    async def next(self) -> None:
        """Wait for one of the two. Raises FellBehindError."""
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
    """``streams``: limits the pages' streams together with the API's, and ends them when the service stops."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        #: By language and set of controllers, whose viewers see the same: what the page was last rendered from, and the page.
        self._rendered: dict[tuple[str, frozenset[str] | None], tuple[Mapping[str, Any], str]] = {}

    async def calls(self, visit: Visit) -> Answer:
        """The calls in progress."""
        return Shown("live.html.j2", {**_calls_in_progress(visit), "held": _held(visit)})

    async def call_events(self, visit: Visit) -> Answer:
        """The stream of updates of that page."""
        front, policy = visit.ask.front, await visit.ask.policy()

        def sees(call: LiveCall) -> bool:
            return visit.ask.bearer.sees(call.controller)

        with self._streams.place(visit.ask, "live"), front.live.watch() as watch:
            return await self._stream(visit, Gathered(watch, sees), lambda: self._calls(visit, policy))

    def _calls(self, visit: Visit, policy: Policy | None) -> str:
        key = visit.words.language, visit.ask.bearer.controllers
        fields = {**_calls_in_progress(visit), "controllers": policy.controllers if policy else ()}
        rendered_from, text = self._rendered.get(key, ({}, ""))
        if rendered_from != fields:
            if len(self._rendered) >= _MOST_CACHED:
                self._rendered.clear()
            text = rendering.page("live_calls.html.j2", visit.words, policy, fields)
            self._rendered[key] = fields, text
        return text

    async def agent(self, visit: Visit) -> Answer:
        """The agent's own calls with their cards, and a button for each right."""
        return Shown("agent.html.j2", {**_agents_calls(visit), "held": _held(visit)})

    async def agent_events(self, visit: Visit) -> Answer:
        """The stream of updates of that page: whenever a card comes, or a call changes."""
        front, policy, session = visit.ask.front, await visit.ask.policy(), visit.session
        shown: set[UUID] = set()

        def keep(card: AgentCard) -> None:
            if visit.ask.bearer.sees(card.controller):
                _keep(session, card)

        def concerns(call: LiveCall) -> bool:
            # includes a call that is shown but has passed to a colleague
            return call.call_id in shown or _is_own(visit, call)

        def render() -> str:
            fields = _agents_calls(visit)
            shown.clear()
            shown.update(call.call_id for call, _ in fields["calls"])
            return rendering.page("agent_calls.html.j2", visit.words, policy, fields)

        agent = _agent(visit)
        with (
            self._streams.place(visit.ask, agent),
            front.cards.watch(agent) as cards,
            front.live.watch() as live,
        ):
            return await self._stream(visit, OfAgent(cards, Gathered(live, concerns), keep), render)

    async def _stream(
        self, visit: Visit, watch: Gathered | OfAgent, render: Callable[[], str]
    ) -> web.StreamResponse:
        """Send the output of ``render`` at each change, if it differs from the last."""
        last, linked = "", visit.ask.front.linked()

        def event_of(_: None) -> str | None:
            nonlocal last, linked
            text, linked = render(), visit.ask.front.linked()
            if text == last:
                return None
            last = text
            return _event(text)

        def beat() -> str:
            # that Asterisk is away changes no call on the board if there is none
            moved = visit.ask.front.linked() is not linked
            return (event_of(None) if moved else None) or BEAT

        return await self._streams.stream(visit.ask, watch, event_of, every=RECHECK_SECONDS, beat=beat)


async def voice(visit: Visit) -> Answer:
    """Register a right that the callee has voiced to the agent, with its immediate effect."""
    path: CallPath = visit.ask.path
    body: RightBody = visit.ask.body
    front = visit.ask.front
    if path.id not in {call.call_id for call in _own_calls(visit)}:
        raise not_there()
    if front.voicing is None or not front.voicing.voice(path.id, body.right):
        raise Refusal(409, "nobody is talking in this call any more: have the request entered by hand")
    right = visit.words.term("right", body.right)
    return Moved(f"{PATH}/agent", visit.words("agent.voiced", right=right))


def _held(visit: Visit) -> bool:
    query: HoldQuery | None = visit.ask.query
    return query is not None and query.live == "off"


def _calls_in_progress(visit: Visit) -> Mapping[str, Any]:
    calls = [call for call in visit.ask.front.live.now() if visit.ask.bearer.sees(call.controller)]
    return {"calls": calls[:MOST_SHOWN], "count": len(calls), "linked": visit.ask.front.linked()}


def _agents_calls(visit: Visit) -> Mapping[str, Any]:
    cards = {card.call_id: card for card in visit.session.cards}
    calls = [(call, cards.get(call.call_id)) for call in _own_calls(visit)]
    return {
        "calls": calls, "csrf": visit.session.csrf, "rights": _RIGHTS, "agent": _agent(visit), "linked": visit.ask.front.linked(),
    }  # fmt: skip


def _own_calls(visit: Visit) -> Sequence[LiveCall]:
    """The calls that name the agent, and those that the agent has cards for: only the card names a campaign's fixed phone."""
    return [call for call in visit.ask.front.live.now() if _is_own(visit, call)]


def _is_own(visit: Visit, call: LiveCall) -> bool:
    return visit.ask.bearer.sees(call.controller) and (
        call.agent == _agent(visit) or call.call_id in {card.call_id for card in visit.session.cards}
    )


def _agent(visit: Visit) -> str:
    """The agent whose page it is, by the token. Raises Refusal (403) if the token has none."""
    agent = visit.ask.bearer.agent
    if agent is None:
        raise Refusal(403, "this page is not for your role")
    return agent


def _keep(session: Session, card: AgentCard) -> None:
    """Keep a card in the session, replacing an earlier card of the same call."""
    others = [each for each in session.cards if each.call_id != card.call_id]
    session.cards = (*others[1 - _CARDS_KEPT :], card)


def _event(html: str) -> str:
    """The event with a fragment of a page, escaped when it was rendered."""
    return "event: page\n" + "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
