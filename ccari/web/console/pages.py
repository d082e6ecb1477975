"""What a page is: who may see it, what it is asked with, and what it answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel

from ccari.ports.access import Role
from ccari.web.console.sessions import Session
from ccari.web.console.words import Words
from ccari.web.front import Ask
from ccari.web.rates import LookUp


class Wrong(NamedTuple):
    """What is wrong with what was filled in, in the words of the page; ``field``: the id of where, if it is known."""

    text: str
    field: str = ""


@dataclass(slots=True)
class Visit:
    """One request of somebody who is signed in and may make it. ``form``: what was filled in, as it came, with the ``file``
    that came with it; ``faults``: what was wrong with it, in the words of the page, which is then shown again.
    """

    ask: Ask
    session: Session
    words: Words
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    file: bytes = field(default=b"", repr=False)
    faults: tuple[Wrong, ...] = ()

    @property
    def role(self) -> Role:
        return self.ask.bearer.role

    def asking(self, *, path: Any = None, query: Any = None, body: Any = None) -> Ask:
        """The same, as the API's handlers are asked: they tell the pages what they tell programmes, under the same rules."""
        return replace(self.ask, path=path, query=query, body=body)


def kept_query(visit: Visit, cursor: str = "after") -> str:
    """What narrows the list, for the link to its next page, which is named by ``cursor``."""
    kept = [(name, value) for name, value in visit.ask.request.query.items() if value and name != cursor]
    return urlencode(kept)


@dataclass(frozen=True, slots=True)
class Shown:
    """A page made from a template."""

    template: str
    told: Mapping[str, Any] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class Moved:
    """To another page (303), which tells ``said`` once."""

    to: str
    said: str = ""


Answer = Shown | Moved | web.StreamResponse
Handler = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Page:
    """``form``: the model of what is filled in. ``again``: the page that is shown, with what was wrong, when it cannot be
    taken. ``ids``: what the ids of its fields begin with. ``file_bytes``: a file comes with it, of at most so many. ``long``:
    it may take minutes. ``takes_list``: a list comes with it, for hours perhaps; the handler reads it, and what is filled in
    beside it, and checks the secret. ``lasts``: it goes on while somebody looks. ``once``: what comes twice, as by a double click,
    is done once; its form says by what it is known again.
    """

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
    in_path: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    again: Handler | None = None
    ids: str = ""
    file_bytes: int = 0
    long: bool = False
    takes_list: bool = False
    lasts: bool = False
    looks_up: LookUp | None = None
    once: bool = False
