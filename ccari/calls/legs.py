"""The channels that one call makes in Asterisk, and the bridge that connects the two parties."""

import asyncio
import contextlib
import math
from collections.abc import Mapping
from typing import Any

from ccari.calls.ari import PJSIP, TRANSFERS, Ari
from ccari.calls.dialplan import Dialplan
from ccari.calls.events import Ids
from ccari.calls.transport import REQUEST_SECONDS, Refused
from ccari.errors import AsteriskError
from ccari.gating.terms import Terms
from ccari.gating.variables import AGENT_OF, CALL, NUMBER
from ccari.policy.call import Direction, Outcome, Party

#: Asterisk hangs up a callee's channel that is not told to dial within this time of its creation. A request
#: that the network holds up is carried out when it arrives. By then we may have given it up, for want of an
#: answer within this time, and the number may have been barred since (invariant 1).
DIAL_SECONDS = REQUEST_SECONDS
#: A dial is not sent in the last seconds before that: it would ring a telephone for an instant.
_TO_SPARE_SECONDS = 2.0
#: The variable that says after how many seconds from now Asterisk hangs up a channel. ``ast_call`` does not dial a channel whose time is
#: over.
_LIMIT = "TIMEOUT(absolute)"


class TooLate(AsteriskError):  # noqa: N818 - a state, told as such
    """Nobody was dialled, because it was too late for that."""


class Legs:
    """The channels and the bridge of one call. ``ids`` names them. Failures raise AsteriskError."""

    def __init__(self, ari: Ari, ids: Ids, dialplan: Dialplan) -> None:
        self._ari = ari
        self._ids = ids
        self._dialplan = dialplan
        self._bridge_made = False
        #: True from just before the two are connected until the agent hands the callee over.
        self.have_met = False
        self._destroyed: set[str] = set()
        #: When the callee's channel was asked for, by the loop's clock: before Asterisk made it.
        self._asked_at = math.inf

    def take_note(self, event: Mapping[str, Any]) -> None:
        """Learn from an ARI event which channels are gone."""
        if event["type"] == "ChannelDestroyed":
            self._destroyed.add(event["channel"]["id"])

    def resume(self) -> None:
        """Take up a talk, whose bridge already exists."""
        self._bridge_made = self.have_met = True

    async def create_agent(self, terms: Terms) -> None:
        """Create the agent's channel, which is not rung yet. Their phone will show the callee's number, if that is known."""
        variables = self._variables(terms, terms.agent_string)
        if terms.number is not None:
            # the number that the agent's phone shows
            variables["CONNECTEDLINE(num,i)"] = terms.number.e164
        if not terms.agent_string.startswith(f"{PJSIP}/"):
            variables[AGENT_OF] = str(self._ids.call)
        first = self._ids.direction is Direction.AGENT_FIRST and not self._ids.agents
        originator = None if first else self._ids.callee
        await self._ari.create_channel(
            self._ids.agent, terms.agent_string, args="agent", originator=originator, variables=variables
        )

    async def create_callee(self, terms: Terms) -> None:
        """Create the callee's channel, which is not dialled yet. Asterisk hangs it up unless it is dialled within :data:`DIAL_SECONDS`."""
        dialled = terms.campaign.dial_string(terms.known_number)
        variables = {**self._variables(terms, dialled), _LIMIT: str(DIAL_SECONDS)}
        # a run that takes the talk up reads the number here, to know whose rights are pressed; Asterisk knows it anyway
        variables[NUMBER] = terms.known_number.e164
        if terms.campaign.caller_id is not None:
            # an outgoing PJSIP channel puts this into its From header
            variables["CONNECTEDLINE(num,i)"] = terms.campaign.caller_id
        originator = None if self._ids.direction is Direction.CALLEE_FIRST else self._ids.agent
        self._asked_at = asyncio.get_running_loop().time()
        await self._ari.create_channel(
            self._ids.callee, dialled, args="callee", originator=originator, variables=variables
        )

    async def dial_callee(self, terms: Terms) -> None:
        """Send the INVITE. Raises :class:`TooLate` without sending it if the channel's time is nearly over."""
        waited = asyncio.get_running_loop().time() - self._asked_at
        if waited > DIAL_SECONDS - _TO_SPARE_SECONDS:
            raise TooLate(f"the callee's channel was made {waited:.1f} s ago, which is too long to dial it")
        # Asterisk rings a little longer than the call's own timer, which should end the ringing
        await self._ari.dial(self._ids.callee, seconds=terms.campaign.ring_seconds + 5)
        try:
            await self._ari.set_unless_gone(self._ids.callee, _LIMIT, _longest(terms))
        except Refused as refusal:
            # the callee was dialled, so this must not pass for a refusal to dial
            raise AsteriskError(str(refusal)) from refusal

    def _variables(self, terms: Terms, endpoint: str) -> dict[str, str]:
        """The variables of every channel that we make. Asterisk hangs it up in the end, even if no service is
        left to do so.
        """
        variables = {_LIMIT: _longest(terms), CALL: str(self._ids.call)}
        if endpoint.startswith(f"{PJSIP}/"):
            variables[TRANSFERS] = "ari-only"
        return variables

    async def bridge(self) -> None:
        """Connect the two. The bridge is made the first time."""
        self.have_met = True
        if not self._bridge_made:
            # set before the request: even if the reply is lost, there may be a bridge
            self._bridge_made = True
            await self._ari.create_bridge(self._ids.bridge)
        await self._ari.add_to_bridge(self._ids.bridge, self._ids.agent, self._ids.callee)

    async def part(self, *, beside: bool) -> None:
        """Take the callee out of the bridge; the agent stays in it. ``beside``: as in :meth:`Ari.take_from_bridge`."""
        await self._ari.take_from_bridge(self._ids.bridge, self._ids.callee, beside=beside)

    async def replace_agent(self, former: str, terms: Terms, *, at_home: bool, beside: bool) -> None:
        """Part the callee from the ``former`` agent (``beside``: as in :meth:`part`), release that agent's
        channel, and create one for the new agent. ``at_home``: the former channel is the dialplan's.
        """
        self.have_met = False
        try:
            await self.part(beside=beside)
        finally:
            await self._release(former, at_home=at_home)
        await self.create_agent(terms)

    async def _release(self, former: str, *, at_home: bool) -> None:
        """Release the former agent. A phone that hangs up as it asks for the transfer is already gone."""
        with contextlib.suppress(AsteriskError):
            await self._ari.answer_transfer(former, made=True)
        with contextlib.suppress(AsteriskError):
            if at_home:
                await self._dialplan.take_back(former, Outcome.BRIDGED, "transferred")
            else:
                await self._ari.hang_up(former)

    async def let_go(self, *, gated: bool) -> None:
        """Hang up every channel that was made, and destroy the bridge. ``gated``: the gate allowed the call;
        otherwise no channel was made.
        """
        ids = self._ids
        made = [ids.channel(party) for party in Party if party is not ids.home_party] if gated else []
        for channel in (*made, *ids.former_agents):
            if channel not in self._destroyed:
                with contextlib.suppress(AsteriskError):
                    await self._ari.hang_up(channel)
        if self._bridge_made:
            with contextlib.suppress(AsteriskError):
                await self._ari.destroy_bridge(ids.bridge)


def _longest(terms: Terms) -> str:
    return str(60 * terms.campaign.longest_minutes)
