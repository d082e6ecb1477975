"""How fast a campaign may ring callees before it has an agent for them."""

from datetime import UTC, datetime

from ccari.gating.terms import Terms
from ccari.policy import pacing
from ccari.policy.call import Direction
from ccari.policy.gate import Block
from ccari.policy.pacing import Lately
from ccari.ports.calls import CallStore


async def pace(store: CallStore, terms: Terms) -> Block | None:
    """Of a call that rings the callee first: block it if too many of the campaign's were abandoned lately. Raises StoreError."""
    cap, call = terms.campaign.abandoned, terms.opened
    if call.direction != Direction.CALLEE_FIRST or cap is None:
        return None

    def may(lately: Lately) -> bool:
        return pacing.may_dial(cap, lately, datetime.now(UTC))

    lately = await store.lately(call, cap.of_calls)
    allowed = may(lately)
    if allowed and pacing.is_over(cap, lately):
        allowed = await store.let_through(call, cap.of_calls, may)
    return None if allowed else Block.ABANDONED_CAPPED
