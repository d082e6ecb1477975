"""The gate, and calls: asked for, listed, shown."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from ccari.gating.inquiry import Inquiry
from ccari.policy.blocks import WHY
from ccari.policy.gate import Block, Facts, Question
from ccari.ports.access import Role
from ccari.ports.accesses import Looked
from ccari.ports.keying import Digests
from ccari.ports.placing import Order
from ccari.ports.records import WantedCalls
from ccari.web.access import no_token, shown
from ccari.web.front import Ask, Reply
from ccari.web.models.calls import CallOrder, CallPage, CallPath, CallPlaced, CallShown, CallsQuery
from ccari.web.models.fields import Moment
from ccari.web.models.gate import GateAnswer, GateAsk
from ccari.web.paging import cursor, cut, place
from ccari.web.problems import Refusal, not_there
from ccari.web.suppressions import narrowed

_PLACE: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[Moment, UUID])


async def gate(ask: Ask) -> Reply:
    """May this number be called now, and if not, why. Nothing is dialled, counted or kept."""
    body: GateAsk = ask.body
    front = ask.front
    vouching = _Vouching(ask)
    inquiry = Inquiry(front.book, vouching, front.secrets, front.prompts, ask.bearer.sees)
    found = await inquiry.answer(body.number, body.campaign)
    if not vouching.has_vouched:
        await vouching.vouch()
    # a dialler asks before each call, and sees nobody; afterwards, for the policy is the newest by now
    if ask.bearer.role is not Role.DIALER and (whose := inquiry.subject(body.number, body.campaign)):
        await ask.note(Looked.NUMBER_GATED, whose)
    return Reply(GateAnswer.model_validate(found))


class _Vouching:
    """:class:`FactStore` whose look tells, too, whether the token is still its bearer's: two questions take twice the time."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.has_vouched = False

    async def facts(
        self, question: Question, digests: Digests, listed_as: Sequence[tuple[str, bytes]]
    ) -> tuple[Facts, int | None]:
        ask = self._ask
        facts, newest, found = await ask.front.facts.facts_and_bearer(
            question, digests, listed_as, shown(ask.request)
        )
        self._heed(still=found == ask.bearer)
        return facts, newest

    async def vouch(self) -> None:
        """By a question of its own, where the look was not needed."""
        self._heed(still=await self._ask.doorkeeper.still(self._ask.request, self._ask.bearer))

    def _heed(self, *, still: bool) -> None:
        if not still:
            raise no_token()
        self.has_vouched = True


async def place_call(ask: Ask) -> Reply:
    """Ask the gate, and begin the call if it allows it. A call that it blocks is on record too."""
    body: CallOrder = ask.body
    if ask.bearer.controllers is not None:
        policy = await ask.policy()
        if policy is None or policy.campaign(body.campaign) is None:
            # another controller's is as unknown as one that there is not
            raise _blocked(Block.UNKNOWN_CAMPAIGN)
    if ask.front.placing is None:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "placing calls is not possible here: this service runs without Asterisk",
        )
    placed = await ask.front.placing.place(Order(body.number, body.campaign, body.agent))
    if placed.block is not None:
        raise _blocked(placed.block, placed.call_id)
    return Reply(CallPlaced(id=placed.call_id), location=f"/v1/calls/{placed.call_id}")


def _blocked(block: Block, call: UUID | None = None) -> Refusal:
    # the gate has not answered where it could not be asked: that may be tried again
    status = HTTPStatus.SERVICE_UNAVAILABLE if block is Block.STORE_UNAVAILABLE else HTTPStatus.CONFLICT
    return Refusal(status, WHY[block], reason=block, call=call)


async def list_calls(ask: Ask) -> Reply:
    """Calls, the newest first."""
    query: CallsQuery = ask.query
    wanted = WantedCalls(
        query.campaign,
        query.outcome,
        query.since,
        await narrowed(ask, query.controller),
        place(query.after, _PLACE),
    )
    rows = await ask.front.records.list_calls(query.limit + 1, wanted)
    page, after = cut(rows, query.limit, lambda row: cursor(row["opened_at"], row["id"]))
    return Reply(CallPage.model_validate({"items": page, "next": after}))


async def show_call(ask: Ask) -> Reply:
    """One call with its journal, and whether that is whole."""
    path: CallPath = ask.path
    record = await ask.front.records.show_call(path.id)
    if not ask.bearer.sees(record.call["controller"]):
        raise not_there()
    if ask.bearer.role is not Role.DIALER:
        # a dialler asks again and again how the calls ended that it has placed, and sees nobody
        await ask.note(Looked.CALL_SHOWN, record.at_what)
    shown: dict[str, Any] = {
        **record.call, "events": record.events, "recorded": record.recorded, "recordings": record.recordings,
        "whole": record.fault is None, "fault": record.fault,
    }  # fmt: skip
    return Reply(CallShown.model_validate(shown))
