"""A page of the console: who may see it, what it accepts, and what it answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, Self, TypeVar
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel

from ccari.ports.access import Role
from ccari.web.console.sessions import Session
from ccari.web.console.words import Words
from ccari.web.front import Ask, Front
from ccari.web.rates import LookUp

#: How many rows of a list are on one page.
PAGE_ROWS = 50


class Wrong(NamedTuple):
    """A fault of a form, in the language of the page. ``field``: the id of the field, if it is known."""

    text: str
    field: str = ""


@dataclass(slots=True)
class Visit:
    """One request by a signed-in person whose role permits it.

    ``form``: the fields of a form, unchecked, and ``file``: the file that came with it. ``faults``: what is wrong with the form; its page
    is shown again with them.
    """

    ask: Ask[Front]
    session: Session
    words: Words
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    file: bytes = field(default=b"", repr=False)
    faults: tuple[Wrong, ...] = ()

    @property
    def role(self) -> Role:
        return self.ask.bearer.role

    def asking(self, *, path: Any = None, query: Any = None, body: Any = None) -> Ask[Front]:
        """The request as a handler of the API gets it. The pages use those handlers, so that the same rules apply."""
        return replace(self.ask, path=path, query=query, body=body)


class Listing(Protocol):
    """The query of a list. ``limit``: the most rows that are wanted."""

    @property
    def limit(self) -> int: ...

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...


_Query = TypeVar("_Query", bound=Listing)


def of_a_page(query: _Query) -> _Query:
    """The query, for no more rows than a page has."""
    return query.model_copy(update={"limit": min(query.limit, PAGE_ROWS)})


def kept_query(visit: Visit, cursor: str = "after") -> str:
    """The query of a list without its cursor, for the link to the next page. ``cursor``: the name of that parameter."""
    kept = [(name, value) for name, value in visit.ask.request.query.items() if value and name != cursor]
    return urlencode(kept)


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer: a page from a template. ``fields``: what the template is filled with."""

    template: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class Moved:
    """An answer: a redirect (303) to another page, which shows the message ``said`` once. ``entered``: the reference of what was entered."""

    to: str
    said: str = ""
    entered: str = ""


Answer = Shown | Moved | web.StreamResponse
Handler = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    ``form``: the model of its form. ``again``: the handler of the page that is shown again if the form has faults. ``ids``: the prefix of
    the form fields' ids. ``file_bytes``: the form has a file of at most this size. ``long``: it may take minutes. ``takes_list``: the
    form has a list, perhaps taking hours; then the handler itself reads the list and the other fields, and checks the CSRF secret.
    ``lasts``: a stream, open while somebody watches. ``looks_up``: the look-up rate that it counts towards. ``once``: a form sent twice,
    as by a double click, takes effect once: see :mod:`once`.
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
