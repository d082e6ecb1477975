"""Sessions of the console: a browser that shows a token gets a cookie instead, and the token is not kept."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic

from aiohttp import hdrs, web

from ccari.ports.access import Bearer
from ccari.ports.cards import AgentCard

COOKIE = "ccari_session"
#: The only path that the cookie is sent to.
PATH = "/console"
#: A session ends when it has not been used for this long, and in any case after a working day.
IDLE_SECONDS, LONGEST_SECONDS = 45 * 60.0, 12 * 3600.0
#: The most sessions in all, and per token. Beyond that, the least recently used one ends.
MOST_SESSIONS, MOST_SESSIONS_EACH = 2000, 20
#: The most pages per session with unread messages: tabs that were closed while a form was being sent.
MOST_UNTOLD = 20


@dataclass(slots=True)
class Session:
    """A signed-in person.

    ``token``: the token's fingerprint. It is looked up at each request, so the session ends when the token is revoked. ``began``,
    ``used``: by the clock of :class:`Sessions`. ``csrf``: a secret in each form, which no other site knows. ``messages``: what the next
    page shows, once, whichever it is. ``entering``: held while a form that must take effect only once is handled. ``cards``: those that
    came to a watching agent, the newest last.
    """

    bearer: Bearer
    token: bytes = field(repr=False)
    began: float
    used: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    messages: tuple[str, ...] = ()
    entering: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    cards: tuple[AgentCard, ...] = ()
    _untold: dict[str, str] = field(default_factory=dict, repr=False)

    def tell(self, path: str, said: str) -> None:
        """Make the page at ``path`` show this once. Another tab, which may be fetched first, is about something else."""
        self._untold.pop(path, None)
        if said:
            self._untold[path] = said
        while len(self._untold) > MOST_UNTOLD:
            del self._untold[next(iter(self._untold))]

    def told(self, path: str) -> tuple[str, ...]:
        """The messages for the page at ``path``, which are then used up."""
        said = self._untold.pop(path, "")
        messages, self.messages = self.messages, ()
        return (*messages, said) if said else messages


class Sessions:
    """The sessions, in memory: after a restart of the service people must sign in again. Cookies are stored as hashes."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, bearer: Bearer, token: bytes, messages: tuple[str, ...] = ()) -> str:
        """Begin a session, whose first page shows ``messages``. Returns the value of its cookie."""
        now, cookie = self._clock(), secrets.token_urlsafe(32)
        same = [key for key, each in self._open.items() if each.bearer.name == bearer.name]
        for key in same[: max(0, len(same) + 1 - MOST_SESSIONS_EACH)]:
            del self._open[key]
        while len(self._open) >= MOST_SESSIONS:
            self._open.popitem(last=False)
        self._open[_key(cookie)] = Session(bearer, token, now, now, messages=messages)
        return cookie

    def of(self, request: web.Request) -> Session | None:
        """The session that the request belongs to; None if there is none, or it is over."""
        key, now = _key(cookie_of(request, COOKIE)), self._clock()
        session = self._open.get(key)
        if session is None:
            return None
        if now - session.used > IDLE_SECONDS or now - session.began > LONGEST_SECONDS:
            del self._open[key]
            return None
        session.used = now
        self._open.move_to_end(key)
        return session

    def goes_on(self, session: Session) -> bool:
        """Whether the session is still alive, for a page that updates itself. Asking counts as using the session."""
        now = self._clock()
        if now - session.began > LONGEST_SECONDS or all(each is not session for each in self._open.values()):
            return False
        session.used = now
        return True

    def end(self, session: Session) -> None:
        for key in [key for key, each in self._open.items() if each is session]:
            del self._open[key]


def cookie_of(request: web.Request, name: str) -> str:
    """The value of one of our cookies, the last of that name; "" if there is none. aiohttp would parse all of them: 19 ms for a header full
    of cookies, as measured, in which no call goes on.
    """
    for each in reversed(request.headers.get(hdrs.COOKIE, "").split(";")):
        its, _, value = each.partition("=")
        if its.strip() == name:
            return value.strip()
    return ""


def _key(cookie: str) -> bytes:
    return sha256(cookie.encode(errors="replace")).digest()
