"""Everything kept about one person: exporting it, and erasing it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from ccari.policy.erasure import ErasureTerms, Plan, Thing
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.holds import Subject

#: The languages in which people are answered: those of letters, and of the page of an export.
AnswerLanguage = Literal["de", "en", "pl", "uk"]
ANSWER_LANGUAGES: tuple[AnswerLanguage, ...] = get_args(AnswerLanguage)


@dataclass(frozen=True, slots=True)
class Mandate:
    """The request on which data are exported or erased. ``digests``: its number's, under every version of the
    secret that existed while it was open.

    ``begun``: an erasure was carried out on it, but could not reach everything.
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
    """The rows about one person, as given out. None of them names an employee, Art 15(4).

    ``recordings``: with ``file``, their path below the recordings folder, which only the writer of the export
    needs. ``kept_for_claims``, here and in each recording: a legal hold keeps something beyond its date;
    ``kept_for_requests`` in each recording: a request of the person does. ``accesses``: each access to the
    person's data with this controller, or to their calls, recordings or requests; when, and what for. Those
    before ``accesses_expired_before`` have expired, except those that something keeps; None if none has.
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
    accesses_expired_before: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose data to erase. ``number``: in E.164. ``pattern``: a regular expression that finds it in free
    text. ``masked``: as lists show it.

    ``forwarded``: requests are forwarded to the controller.
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
        """Raises NoRequestError if there is no such request."""
        ...

    async def holdings(self, subject: Subject, listed_as: Sequence[tuple[str, bytes]]) -> Holdings:
        """Everything kept, as of one moment. ``listed_as``: register and digest of the number, where it may be listed."""
        ...

    async def note(self, mandate: Mandate, who: str, words: str) -> None:
        """Note in the request's journal what was done on it. Raises RequestError if it was closed meanwhile, or the identity's level was
        changed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A ZIP of everything kept about a person, deleted once given out. ``words``: for the request's journal."""

    file: Path
    sha256: str
    words: str


class Erasures(Protocol):
    """An erasure in steps, each a transaction. If the process is killed between two, the next run finishes the erasure.

    Each method raises StoreError if the database fails.
    """

    async def things(self, wanted: Wanted) -> Sequence[Thing]:
        """Everything kept about the person. Each thing comes after those it depends on."""
        ...

    async def under_way(self, wanted: Wanted) -> int | None:
        """The id of an erasure on this request that has begun but not ended."""
        ...

    async def begin(self, wanted: Wanted, who: str) -> int:
        """Begin an erasure, and make sure that no list brings the number back from now on. Gives the erasure's id. Raises RequestError if
        the request has changed since it was read as a mandate.
        """
        ...

    async def erase_calls(self, wanted: Wanted, erasure: int, terms: ErasureTerms, who: str) -> int:
        """Take the person out of some of the calls that have no recording left. Gives how many; 0: there are no more."""
        ...

    async def erase_rest(self, wanted: Wanted, erasure: int, terms: ErasureTerms) -> None:
        """Delete everything that is neither a call nor a recording."""
        ...

    async def clear_traces(self, erasure: int) -> Mapping[str, Any]:
        """Have PostgreSQL release the space of the deleted rows, as far as it lets us. Gives what it did, for the report."""
        ...

    async def end(
        self, wanted: Wanted, erasure: int, left: Plan, traces: Mapping[str, Any], who: str
    ) -> dict[str, Any]:
        """Record what was done, also in the request's journal. Gives the report."""
        ...
