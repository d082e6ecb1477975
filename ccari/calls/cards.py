"""Hand agent cards to those who watch for them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

from ccari.ports.cards import AgentCard, Watch

#: An agent takes one call at a time: a watcher this many cards behind is not reading them.
MOST_WAITING = 8


class _Watch:
    """One watcher. Its queue is bounded, and keeps the newest cards."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[AgentCard] = asyncio.Queue(MOST_WAITING)

    async def next(self) -> AgentCard:
        return await self.waiting.get()


class Rack:
    """:class:`ccari.ports.cards.CardRack` in this process."""

    def __init__(self) -> None:
        self._watching: defaultdict[str, set[_Watch]] = defaultdict(set)

    def is_watched(self, agent: str) -> bool:
        return agent in self._watching

    def hand_out(self, card: AgentCard) -> None:
        for watch in self._watching.get(card.agent, ()):
            if watch.waiting.full():
                watch.waiting.get_nowait()
            watch.waiting.put_nowait(card)

    @contextlib.contextmanager
    def watch(self, agent: str) -> Iterator[Watch]:
        watching = _Watch()
        self._watching[agent].add(watching)
        try:
            yield watching
        finally:
            self._watching[agent].discard(watching)
            if not self._watching[agent]:
                del self._watching[agent]
