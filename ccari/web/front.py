"""What the HTTP API answers from, and what one request gives a handler."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web
from pydantic import BaseModel

from ccari.gating.labels import unnumbered
from ccari.gating.subjects import SubjectWork
from ccari.policy.declaration import Policy
from ccari.policy.gate import Facts, Question
from ccari.ports.access import Bearer, Bearers
from ccari.ports.accesses import Access, AccessLog, Looked
from ccari.ports.cards import CardRack
from ccari.ports.evidence import Proving
from ccari.ports.forwarding import ForwardLog
from ccari.ports.holds import HoldStore
from ccari.ports.keying import Digests, ListSecrets, Secrets
from ccari.ports.listening import Listening
from ccari.ports.lists import ConsentStore, ContactStore, ListWork
from ccari.ports.live import LiveCalls
from ccari.ports.overview import OverviewStore
from ccari.ports.placing import Placing
from ccari.ports.policies import PolicyBook, PolicyRecords
from ccari.ports.recordings import RecordingShelf
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
        self, question: Question, digests: Digests, listed_as: Sequence[tuple[str, bytes]], sha256: bytes
    ) -> tuple[Facts, int | None, Bearer | None]:
        """What the gate would be told of a number, the newest policy revision, and who bears the token of that fingerprint:
        None: nobody, or no longer. Raises StoreError if the database fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class Front:
    """``placing`` is None where calls cannot be placed, ``voicing`` where none are run.

    ``vouched`` gives the secrets, once it has seen to it that whoever looks a number up with them finds what was kept under any, or is
    refused: another node may have made one. ``secrets`` are the same without that, for the gate, which is told with each look.
    """

    bearers: Bearers
    book: PolicyBook
    facts: BearerFacts
    records: CallRecords
    suppressions: SuppressionStore
    registers: RegisterStore
    contacts: ContactStore
    consents: ConsentStore
    lists: Callable[[Policy, ListSecrets], ListWork]
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
    #: To be asked before a number is looked up: another node may have made a secret that ``secrets`` lack.
    vouched: Callable[[], Awaitable[ListSecrets]]
    prompts: Prompts
    cards: CardRack
    live: LiveCalls
    accesses: AccessLog
    overview: OverviewStore
    placing: Placing | None
    voicing: Voicing | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a bearer who may make it. ``path``, ``query`` and ``body`` are validated models of its route."""

    front: Front
    doorkeeper: Keeper
    request: web.Request
    bearer: Bearer
    path: Any
    query: Any
    body: Any

    @property
    def who(self) -> str:
        """For what is kept of who did something."""
        return f"token:{self.bearer.name}"

    @property
    def controllers(self) -> list[str] | None:
        """Whose rows may be shown; None: everybody's."""
        return None if self.bearer.controllers is None else sorted(self.bearer.controllers)

    async def note(self, looked: Looked, at_what: Mapping[str, str], why: str = "") -> None:
        """Put on record what is about to be told, and to whom."""
        await self.front.accesses.note(Access(looked, self.who, at_what, unnumbered(why)))

    async def policy(self) -> Policy | None:
        """The policy in force, without the controllers and registers that are none of the bearer's business (invariant 7)."""
        book = self.front.book
        await book.reload()
        return self.seen(book.policy) if book.policy is not None else None

    def seen(self, policy: Policy) -> Policy:
        """What of a policy is the bearer's business; of the registers those that its controllers' campaigns heed."""
        if self.bearer.controllers is None:
            return policy
        sees = self.bearer.sees
        campaigns = tuple(each for each in policy.campaigns if sees(each.controller))
        heeded = {name for each in campaigns for name in each.registers}
        return policy.model_copy(
            update={
                "controllers": tuple(each for each in policy.controllers if sees(each.id)),
                "registers": tuple(each for each in policy.registers if each.id in heeded),
                "campaigns": campaigns,
            }
        )

    async def policy_in_force(self) -> Policy:
        """As :meth:`policy`; Refusal (409) if none was ever applied."""
        policy = await self.policy()
        if policy is None:
            raise Refusal(HTTPStatus.CONFLICT, "no policy has been applied: ccari policy apply FILE")
        return policy


@dataclass(frozen=True, slots=True)
class Reply:
    content: BaseModel
    location: str | None = None
