"""What the handlers of the HTTP API work with: the ports (:class:`Front`) and one request (:class:`Ask`).

Each handler says in its signature which of the ports it may touch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel

from ccari.gating.labels import unnumbered
from ccari.office.claimants import access_target
from ccari.office.naming import the_controller
from ccari.office.processing.record import Installed
from ccari.office.subjects import SubjectWork
from ccari.policy.blocks import WHY
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.ports.access import Bearer, Bearers
from ccari.ports.accesses import Access, AccessLog, Looked
from ccari.ports.cards import CardRack
from ccari.ports.evidence import Proving
from ccari.ports.forwarding import ForwardLog
from ccari.ports.holds import HoldStore
from ccari.ports.keying import Digests, ListSecrets, Secrets, Sought
from ccari.ports.listening import Listening
from ccari.ports.lists import ConsentStore, ContactStore, ListWork
from ccari.ports.live import LiveCalls
from ccari.ports.overview import OverviewStore
from ccari.ports.placing import Placing
from ccari.ports.policies import PolicyBook, PolicyRecords
from ccari.ports.recordings import RecordingShelf, RecordingTag
from ccari.ports.records import CallJournal, CallRecords
from ccari.ports.repeats import RepeatStore
from ccari.ports.requests import RequestRegister
from ccari.ports.sounds import Prompts
from ccari.ports.subjects import Subjects
from ccari.ports.suppressions import RegisterStore, SuppressionStore
from ccari.ports.voicing import Voicing
from ccari.ports.webhooks import DeliveryLog
from ccari.web.access import Keeper
from ccari.web.problems import Refusal


class BearerFacts(Protocol):
    async def facts_and_bearer(
        self, question: Question, sought: Sought, sha256: bytes
    ) -> tuple[Facts, int | None, Bearer | None]:
        """The gate's facts about a number, the newest policy revision, and the bearer of the token with that fingerprint (None if there
        is no such token, or it was revoked). Raises StoreError if the database fails.
        """
        ...


class Vouched(Protocol):
    async def __call__(self) -> ListSecrets:
        """The secrets for a look-up, after checking that they include every secret under which something is stored, even one made by
        another node. Raises SecretError if not.
        """
        ...


class ListsOf(Protocol):
    def __call__(self, policy: Policy, vouched: ListSecrets, /) -> ListWork:
        """The work on long lists under a policy, with the secrets for it."""
        ...


class Ports(Protocol):
    """What every handler may touch: the policy in force, and the records of what is shown to whom."""

    @property
    def book(self) -> PolicyBook: ...
    @property
    def accesses(self) -> AccessLog: ...
    @property
    def journal(self) -> CallJournal: ...


class NumberPorts(Ports, Protocol):
    """The same for a handler that looks a number up."""

    @property
    def vouched(self) -> Vouched: ...


@dataclass(frozen=True, slots=True)
class Front:
    """All the ports that the API answers from. ``placing``: None if calls cannot be placed; ``voicing``: None if no calls are run; ``linked``:
    False while Asterisk is away, so that ``live`` lacks the calls that go on there.

    ``installed``: what records of processing say of this installation.
    ``secrets``: the same as ``vouched`` without its check, for the gate, whose query for the facts also returns which secrets there are.
    """

    bearers: Bearers
    book: PolicyBook
    facts: BearerFacts
    records: CallRecords
    suppressions: SuppressionStore
    registers: RegisterStore
    contacts: ContactStore
    consents: ConsentStore
    lists: ListsOf
    policies: PolicyRecords
    requests: RequestRegister
    shelf: RecordingShelf
    listening: Listening
    journal: CallJournal
    holds: HoldStore
    evidence: Proving
    subjects: Subjects
    giving: SubjectWork
    webhooks: DeliveryLog
    forwards: ForwardLog
    repeats: RepeatStore
    secrets: Secrets
    vouched: Vouched
    prompts: Prompts
    cards: CardRack
    live: LiveCalls
    accesses: AccessLog
    overview: OverviewStore
    installed: Installed
    placing: Placing | None
    voicing: Voicing | None = None
    linked: Callable[[], bool] = lambda: True


_Ports_co = TypeVar("_Ports_co", bound=Ports, covariant=True)


@dataclass(frozen=True, slots=True)
class Ask(Generic[_Ports_co]):
    """One request, permitted to its bearer's role. ``path``, ``query`` and ``body``: validated models of its route."""

    front: _Ports_co
    doorkeeper: Keeper
    request: web.Request
    bearer: Bearer
    path: Any
    query: Any
    body: Any

    @property
    def who(self) -> str:
        """The bearer's name, as histories and records show it."""
        return f"token:{self.bearer.name}"

    @property
    def controllers(self) -> list[str] | None:
        """The controllers whose rows may be shown; None: all."""
        return None if self.bearer.controllers is None else sorted(self.bearer.controllers)

    async def narrowed(self, controller: str | None) -> list[str] | None:
        """The controllers whose rows are asked for: the named one, which must be declared and visible to the bearer; else all that the
        bearer sees (None: all).
        """
        if controller is None:
            return self.controllers
        return [the_controller(await self.policy_in_force(), controller).id]

    async def note(self, looked: Looked, target: Mapping[str, str], why: str = "") -> None:
        """Record what is about to be shown, and to whom. Raises StoreError: then it must not be shown.

        ``why``: a free text, or the reference of the request that it is shown on.
        """
        if why != target.get("request"):
            why = unnumbered(why)
        await self.front.accesses.note(Access(looked, self.who, target, why))

    async def note_number(self, known_as: Mapping[str, Digests], looked_in: str, why: str) -> None:
        """Like :meth:`note`, for a number that is looked up, for each controller (:func:`ccari.office.claimants.known_as`)."""
        for controller, digests in known_as.items():
            await self.note(Looked.NUMBER_CHECKED, access_target(controller, digests, looked_in), why)

    async def note_recording(self, looked: Looked, tag: RecordingTag, why: str = "") -> None:
        """Like :meth:`note`, for a recording that is given out; also recorded in the journal of its call."""
        await self.note(looked, tag.access_target, why)
        given = {"recording": str(tag.recording_id), "by": self.who}
        await self.front.journal.append(tag.call_id, looked.value, given)

    async def policy(self) -> Policy | None:
        """The policy in force, without the controllers and registers that the bearer may not see (invariant 7)."""
        book = self.front.book
        await book.reload()
        return self.seen(book.policy) if book.policy is not None else None

    def seen(self, policy: Policy) -> Policy:
        """The part of a policy that the bearer may see, with the registers that the visible controllers' campaigns use."""
        if self.bearer.controllers is None:
            return policy
        sees = self.bearer.sees
        campaigns = tuple(campaign for campaign in policy.campaigns if sees(campaign.controller))
        heeded = {register for campaign in campaigns for register in campaign.registers}
        return policy.model_copy(
            update={
                "controllers": tuple(each for each in policy.controllers if sees(each.id)),
                "registers": tuple(each for each in policy.registers if each.id in heeded),
                "campaigns": campaigns,
            }
        )

    async def policy_in_force(self) -> Policy:
        """Like :meth:`policy`. Raises Refusal (409) if none was ever applied."""
        policy = await self.policy()
        if policy is None:
            raise Refusal(HTTPStatus.CONFLICT, WHY[Block.NO_POLICY])
        return policy


_Content_co = TypeVar("_Content_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Reply(Generic[_Content_co]):
    """An answer in JSON. ``location``: the ``Location`` header of what was created."""

    content: _Content_co
    location: str | None = None
