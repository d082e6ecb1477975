"""``AGI(agi://HOST:4573/gate,NUMBER,CAMPAIGN)``: one verdict, DENY until proven otherwise.

The shipped dialplan asks ``/gate?agi=VERSION``; your own need not give a version.
"""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from ccari.agi.desk import Desk, Setting
from ccari.agi.session import AgiError, CommandRefusedError, GoneError, Session
from ccari.errors import CcariError
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal
from ccari.gating.labels import NAMELESS, agent_name
from ccari.gating.means import RequestedCall
from ccari.gating.shipped import FASTAGI
from ccari.gating.terms import Terms
from ccari.gating.variables import CALL, NUMBER, REASON
from ccari.policy.call import HANDED_BACK, Direction, Outcome
from ccari.policy.call.reaching import outcome_of
from ccari.policy.chain import Entry
from ccari.policy.gate import Block
from ccari.ports.metering import Way

#: Time-out from the connection to the verdict: the agent waits, and the dialplan gives up soon after.
ANSWER_SECONDS = 3.0


async def gate(session: Session, desk: Desk) -> None:
    """Answer whether one call may be made, and close its row: what becomes of the call is not reported here.

    The token is spent with the verdict, because the dialplan dials at once. So an allowed call counts as an
    attempt even if the agent has hung up meanwhile.

    Raises
    ------
    AgiError
        If the dialplan did not acknowledge the verdict. DENY was set first, and stands unless the verdict arrived.
    """
    deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
    await session.set_variable("CCARI_VERDICT", "DENY")
    asked = _asked(session)
    visit = _Visit(asked, desk)
    block = await visit.verdict(deadline)
    try:
        if block is None and asyncio.get_running_loop().time() >= deadline:
            # the machine may have been suspended, and the dialplan may have gone on
            block = Block.STORE_UNAVAILABLE
        await _set_verdict(session, visit, block, desk.setting)
    except AgiError as error:
        await visit.close(block, failure=error, may_be_told=visit.is_told and not session.hung_up)
        raise
    session.end()
    if version := session.query.get("agi"):
        desk.dialplans.seen(FASTAGI, version)
    await visit.close(block)


def _asked(session: Session) -> RequestedCall:
    agent = agent_name(session.head.get("agi_channel", ""))
    match session.arguments:
        case (number, campaign):
            return RequestedCall(Direction.OUTBOUND, number, campaign or NAMELESS, agent)
        case _:
            # bad arguments: for example, a comma in the number turns two arguments into three
            return RequestedCall(Direction.OUTBOUND, None, "", agent)


async def _set_verdict(session: Session, visit: "_Visit", block: Block | None, setting: Setting) -> None:
    variables = {CALL: str(visit.call), REASON: block.value if block else ""}
    if block is None and not session.hung_up:
        # the dialled leg inherits it, so that the rights menu on that leg knows who was called
        variables |= {f"__{NUMBER}": visit.number, "CCARI_VERDICT": "ALLOW"}
        await setting.learn(session)
        visit.is_told = True
    await setting.set(session, variables)
    if block is None and session.hung_up:
        raise GoneError("the channel has hung up")


class _Visit:
    """One call at the gate."""

    def __init__(self, asked: RequestedCall, desk: Desk) -> None:
        self.call = uuid4()
        self.number = ""
        #: ALLOW is on its way to the dialplan.
        self.is_told = False
        self._desk = desk
        self._journal = Journal(self.call, asked.agent, desk.meter.call(Way.FASTAGI_GATE, Direction.OUTBOUND))
        self._journal.bind(way="fastagi")
        self._gatekeeper = Gatekeeper(asked, desk, self._journal)

    async def verdict(self, deadline: float) -> Block | None:
        """Why the call may not be made; None if it may, and its token is spent."""
        try:
            async with asyncio.timeout_at(deadline):
                terms = await self._gatekeeper.ask()
                if not isinstance(terms, Terms):
                    return terms
                self.number = terms.known_number.e164
                self._journal.note("call_gated", {})
                return await self._gatekeeper.spend_token(terms)
        except (CcariError, TimeoutError) as error:
            self._journal.note("gate_failed", {"reason": str(error) or "timeout"})
            return Block.STORE_UNAVAILABLE

    async def close(
        self, block: Block | None, failure: AgiError | None = None, *, may_be_told: bool = False
    ) -> None:
        """End the call's row. ``failure``: why the dialplan did not acknowledge the verdict. ``may_be_told``:
        it may have received it all the same, and have dialled.
        """
        outcome, reason = _end(block, failure, may_be_told=may_be_told)
        if block is not None:
            self._journal.note("call_blocked", {"reason": block.value})
        self._journal.note("call_ended", {"outcome": outcome, "reason": reason})
        if self._journal.is_open:
            await self._journal.persistently(lambda entries: self._write_end(outcome, reason, entries))
        else:
            # the database did not answer the gate, and may be away for hours: this visit must not take up a session for as long
            self._desk.unrecorded.add(self.call, lambda: self._put_on_record(outcome, reason))

    async def _put_on_record(self, outcome: str, reason: str) -> None:
        if not self._journal.is_open:
            # the call's row may or may not be there
            await self._gatekeeper.put_on_record()
        await self._journal.durably(lambda entries: self._write_end(outcome, reason, entries))

    async def _write_end(self, outcome: str, reason: str, entries: Sequence[Entry]) -> None:
        await self._desk.store.close(self.call, outcome, reason, entries)


def _end(block: Block | None, failure: AgiError | None, *, may_be_told: bool) -> tuple[str, str]:
    if block is not None:
        return outcome_of(block).value, block.value
    if failure is None:
        return HANDED_BACK, ""
    if may_be_told and not isinstance(failure, CommandRefusedError):
        # the acknowledgement was lost, or is late
        return HANDED_BACK, "untold"
    return (
        (Outcome.AGENT_HANGUP.value, "")
        if isinstance(failure, GoneError)
        else (Outcome.FAILED.value, "untold")
    )
