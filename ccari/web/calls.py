"""The gate and calls over HTTP: asking the gate, and placing, listing and showing calls."""

from http import HTTPStatus
from typing import Any, Protocol
from uuid import UUID

from ccari.gating.inquiry import Inquiry
from ccari.office import claimants
from ccari.policy.blocks import WHY
from ccari.policy.gate import Block, Facts, Question
from ccari.ports.access import Role
from ccari.ports.accesses import Looked
from ccari.ports.keying import Secrets, Sought
from ccari.ports.placing import CallToPlace, Placing
from ccari.ports.records import CallRecords, WantedCalls
from ccari.ports.sounds import Prompts
from ccari.web.access import no_token, token_fingerprint
from ccari.web.front import Ask, BearerFacts, NumberPorts, Ports, Reply
from ccari.web.models.calls import (
    CallOrder,
    CallPage,
    CallPath,
    CallPlaced,
    CallsFound,
    CallShown,
    CallsQuery,
)
from ccari.web.models.gate import GateAnswer, GateAsk
from ccari.web.models.requests import FindBody
from ccari.web.paging import BY_MOMENT, cursor, cut, place
from ccari.web.problems import Refusal, not_there


class GatePorts(Ports, Protocol):
    @property
    def facts(self) -> BearerFacts: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def prompts(self) -> Prompts: ...


class PlacingPorts(Ports, Protocol):
    @property
    def placing(self) -> Placing | None: ...


class CallPorts(NumberPorts, Protocol):
    @property
    def records(self) -> CallRecords: ...


async def gate(ask: Ask[GatePorts]) -> Reply[GateAnswer]:
    """Whether this number may be called now, and if not, why not. Nothing is dialled, counted or stored."""
    body: GateAsk = ask.body
    front = ask.front
    vouching = _Vouching(ask)
    inquiry = Inquiry(front.book, vouching, front.secrets, front.prompts, ask.bearer.sees)
    answer = await inquiry.answer(body.number, body.campaign)
    if not vouching.has_vouched:
        await vouching.vouch()
    # recorded, except for diallers, which ask before each call and show the answer to nobody; after the inquiry, which has read the
    # newest policy
    if ask.bearer.role is not Role.DIALER and (subject := inquiry.subject(body.number, body.campaign)):
        await ask.note(Looked.NUMBER_GATED, subject)
    return Reply(GateAnswer.model_validate(answer))


class _Vouching:
    """A :class:`ccari.gating.inquiry.FactStore` whose query for the facts also checks that the token is still good: two queries would
    take twice as long.
    """

    def __init__(self, ask: Ask[GatePorts]) -> None:
        self._ask = ask
        self.has_vouched = False

    async def facts(self, question: Question, sought: Sought) -> tuple[Facts, int | None]:
        ask = self._ask
        sha256 = token_fingerprint(ask.request)
        facts, newest, bearer = await ask.front.facts.facts_and_bearer(question, sought, sha256)
        self._require(still_good=bearer == ask.bearer)
        return facts, newest

    async def vouch(self) -> None:
        """Check the token with a separate query, if no facts were needed."""
        self._require(still_good=await self._ask.doorkeeper.still(self._ask.request, self._ask.bearer))

    def _require(self, *, still_good: bool) -> None:
        if not still_good:
            raise no_token()
        self.has_vouched = True


async def place_call(ask: Ask[PlacingPorts]) -> Reply[CallPlaced]:
    """Ask the gate, and begin the call if it allows it. A blocked call is put on record too."""
    body: CallOrder = ask.body
    if ask.bearer.controllers is not None:
        policy = await ask.policy()
        if policy is None or policy.campaign(body.campaign) is None:
            # another controller's campaign looks like one that does not exist
            raise _blocked(Block.UNKNOWN_CAMPAIGN)
    if ask.front.placing is None:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "placing calls is not possible here: this service runs without Asterisk",
        )
    placed = await ask.front.placing.place(CallToPlace(body.number, body.campaign, body.agent))
    if placed.block is not None:
        raise _blocked(placed.block, placed.call_id)
    return Reply(CallPlaced(id=placed.call_id), location=f"/v1/calls/{placed.call_id}")


def _blocked(block: Block, call: UUID | None = None) -> Refusal:
    # 503 if the gate could not be asked: the client may then try again
    status = HTTPStatus.SERVICE_UNAVAILABLE if block is Block.STORE_UNAVAILABLE else HTTPStatus.CONFLICT
    return Refusal(status, WHY[block], reason=block, call=call)


async def list_calls(ask: Ask[CallPorts]) -> Reply[CallPage]:
    """Calls, the newest first."""
    query: CallsQuery = ask.query
    wanted = WantedCalls(
        query.campaign,
        query.outcome,
        query.since,
        await ask.narrowed(query.controller),
        place(query.after, BY_MOMENT),
    )
    rows = await ask.front.records.list_calls(query.limit + 1, wanted)
    page, after = cut(rows, query.limit, lambda row: cursor(row["opened_at"], row["id"]))
    return Reply(CallPage.model_validate({"items": page, "next": after}))


async def find(ask: Ask[CallPorts]) -> Reply[CallsFound]:
    """The calls with a number, the newest first, blocked ones too. Who looks, and why, is put on record."""
    body: FindBody = ask.body
    known_as = claimants.known_as(
        await ask.policy_in_force(), await ask.front.vouched(), body.number, body.controller
    )
    await ask.note_number(known_as, "calls", body.why)
    rows = await ask.front.records.of(known_as, body.limit + 1)
    found = {
        "controllers": tuple(known_as), "items": tuple(rows[: body.limit]), "more": len(rows) > body.limit,
    }  # fmt: skip
    return Reply(CallsFound.model_validate(found))


async def show_call(ask: Ask[CallPorts]) -> Reply[CallShown]:
    """One call with its journal, and whether the journal is intact."""
    path: CallPath = ask.path
    record = await ask.front.records.show_call(path.id)
    if not ask.bearer.sees(record.call["controller"]):
        raise not_there()
    if ask.bearer.role is not Role.DIALER:
        # not recorded for a dialler, which polls how the calls that it placed have ended, and shows the answer to nobody
        await ask.note(Looked.CALL_SHOWN, record.access_target)
    fields: dict[str, Any] = {
        **record.call, "events": record.events, "recorded": record.recorded, "recordings": record.recordings,
        "whole": record.fault is None, "fault": record.fault,
    }  # fmt: skip
    return Reply(CallShown.model_validate(fields))
