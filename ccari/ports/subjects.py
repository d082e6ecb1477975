"""All that is kept of one person: given out, and erased."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ccari.policy.erasure import Plan, Terms, Thing
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.holds import Subject


@dataclass(frozen=True, slots=True)
class Mandate:
    """The request that something is done on. ``digests``: its number's, under the versions of the secret that there were while it
    was open.

    ``begun``: an erasure was carried out on it, and could not reach everything.
    """

    reference: str
    controller: str
    right: Right
    state: RequestState
    level: Level
    language: str | None
    digests: Sequence[bytes] = field(repr=False)
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Holdings:
    """The rows of one person, as they are given out: nothing that names an employee is among them (15(4)).

    ``recordings``: with ``file``, their path below the recordings folder, which only the writer of the export needs.
    ``kept_for_claims``, of each recording and of anything: a legal hold keeps it beyond its date.
    ``accesses``: each look at the person with this controller, their calls, recordings or requests, when and what for.
    """

    calls: Sequence[Mapping[str, Any]]
    heard: Sequence[Mapping[str, Any]]
    contacts: Sequence[Mapping[str, Any]]
    consents: Sequence[Mapping[str, Any]]
    suppressions: Sequence[Mapping[str, Any]]
    listings: Sequence[Mapping[str, Any]]
    requests: Sequence[Mapping[str, Any]]
    recordings: Sequence[Mapping[str, Any]]
    forwards: Sequence[Mapping[str, Any]]
    kept_for_claims: bool
    accesses: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose data are to be erased. ``number``: in E.164; ``pattern`` finds it in what people write, ``masked`` is what
    lists show.

    ``forwarded``: the controller is told of its requests.
    """

    mandate: Mandate
    subject: Subject
    number: str = field(repr=False)
    pattern: str = field(repr=False)
    masked: str = field(repr=False)
    forwarded: bool = False


class Subjects(Protocol):
    """Each method raises StoreError if the database fails."""

    async def mandate(self, reference: str) -> Mandate:
        """Raise NoRequestError if there is no such request."""
        ...

    async def holdings(self, subject: Subject, listed_as: Sequence[tuple[str, bytes]]) -> Holdings:
        """All of it as at one moment. ``listed_as``: register and digest of the number where it may be listed."""
        ...

    async def note(self, mandate: Mandate, who: str, words: str) -> None:
        """Put what was done on the request into its journal. Raise RequestError if it was closed meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A ZIP of all that is kept of a person, which is gone when it was given out. ``words``: for the request's journal."""

    file: Path
    sha256: str
    words: str


class Erasures(Protocol):
    """An erasure in steps, each whole by itself: whoever is killed between two leaves something that the next run ends.

    Each method raises StoreError if the database fails.
    """

    async def things(self, wanted: Wanted) -> Sequence[Thing]:
        """All that is kept of the person, those that others depend on before them."""
        ...

    async def under_way(self, wanted: Wanted) -> int | None:
        """The erasure of this request that was begun and not ended."""
        ...

    async def report(self, reference: str) -> Mapping[str, Any] | None:
        """What the last erasure of this request reported that has ended."""
        ...

    async def begin(self, wanted: Wanted, who: str) -> int:
        """Its id; see that no list brings the number back from now on."""
        ...

    async def erase_calls(self, wanted: Wanted, erasure: int, terms: Terms, who: str) -> int:
        """Take the person out of calls of which no recording is left, some at a time; 0: there are no more."""
        ...

    async def erase_rest(self, wanted: Wanted, erasure: int, terms: Terms) -> None:
        """Delete what is neither call nor recording."""
        ...

    async def clear_traces(self, erasure: int) -> Mapping[str, Any]:
        """Have the server give up the space where deleted rows lay, as far as it lets us; what it did, for the report."""
        ...

    async def end(
        self, wanted: Wanted, erasure: int, left: Plan, traces: Mapping[str, Any], who: str
    ) -> dict[str, Any]:
        """Put what was done on record, in the request's journal too; gives the report."""
        ...
