"""Who is signed in: a browser that has shown a token gets a cookie in its place, and the token is forgotten."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic

from aiohttp import web

from ccari.ports.access import Bearer
from ccari.ports.cards import AgentCard

COOKIE = "ccari_session"
#: Where the cookie is sent to, and nowhere else.
PATH = "/console"
#: A session ends when nothing was asked for so long, and in any case after a working day.
IDLE_SECONDS, LONGEST_SECONDS = 45 * 60.0, 12 * 3600.0
#: Of all people together, and of one token; the one that was used least lately goes first.
MOST_SESSIONS, MOST_SESSIONS_EACH = 2000, 20


@dataclass(slots=True)
class Session:
    """``token`` is the fingerprint of the token that was shown: it is looked up at each request, and no longer good once
    that was revoked. ``csrf`` is in each form, and no other site can know it. ``told``: what the next page tells, once. ``cards``:
    those that came to an agent who watches, the newest last. ``entering``: held while a form is worked on that is to be done once.
    """

    bearer: Bearer
    token: bytes = field(repr=False)
    began: float
    used: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    told: tuple[str, ...] = ()
    entering: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    cards: tuple[AgentCard, ...] = ()


class Sessions:
    """In memory: a service that is started anew asks people to sign in anew. Cookies are known by their hash."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, bearer: Bearer, token: bytes) -> str:
        """The value of the cookie of a new session."""
        now, cookie = self._clock(), secrets.token_urlsafe(32)
        same = [key for key, each in self._open.items() if each.bearer.name == bearer.name]
        for key in same[: max(0, len(same) + 1 - MOST_SESSIONS_EACH)]:
            del self._open[key]
        while len(self._open) >= MOST_SESSIONS:
            self._open.popitem(last=False)
        self._open[_key(cookie)] = Session(bearer, token, now, now)
        return cookie

    def of(self, request: web.Request) -> Session | None:
        """The session that the request belongs to; None: there is none, or it is over."""
        key, now = _key(request.cookies.get(COOKIE, "")), self._clock()
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
        """For a page that goes on by itself, which counts as use: whether the session has not ended meanwhile."""
        now = self._clock()
        if now - session.began > LONGEST_SECONDS or all(each is not session for each in self._open.values()):
            return False
        session.used = now
        return True

    def end(self, session: Session) -> None:
        for key in [key for key, each in self._open.items() if each is session]:
            del self._open[key]


def _key(cookie: str) -> bytes:
    return sha256(cookie.encode(errors="replace")).digest()
