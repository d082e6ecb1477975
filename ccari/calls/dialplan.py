"""The dialplan's side of one call: answer the channel it handed over, set the outcome, and give the channel back."""

import asyncio
import contextlib

from ccari.calls.ari import PJSIP, Ari
from ccari.calls.events import Ids
from ccari.errors import AsteriskError
from ccari.gating.variables import CALL, OUTCOME, REASON
from ccari.policy.call import Outcome

#: The dialplan context that runs AMD and comes back: see dialplan/extensions_ccari.conf.
MACHINE_CONTEXT = "ccari-amd"
#: 1 if the far end has put the call on hold.
_ON_HOLD = "CHANNEL(rtp,hold)"
#: How long Asterisk may take to answer; it is part of the time within which a call must be answered.
LOOK_SECONDS = 1.0


class Dialplan:
    """The dialplan's side of one call. Failures raise AsteriskError."""

    def __init__(self, ari: Ari, ids: Ids) -> None:
        self._ari = ari
        self._ids = ids
        #: The variables already set, by channel and name.
        self._set_before: dict[tuple[str, str], str] = {}

    async def is_withheld(self) -> bool:
        """True if the caller withholds their number; the network may have sent it all the same."""
        shown = await self._ari.variable(self._ids.callee, "CALLERID(num-pres)")
        return not shown.startswith("allowed")

    async def is_on_hold(self, technology: str) -> bool:
        """True if the caller has put the call on hold; False if Asterisk does not say.

        Asterisk reports a hold as it happens, but not one that began before the dialplan handed the channel
        over. It can be asked only about PJSIP channels.
        """
        if technology != PJSIP:
            return False
        with contextlib.suppress(AsteriskError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._ari.variable(self._ids.callee, _ON_HOLD) == "1"
        return False

    async def answer(self, technology: str) -> None:
        """Answer the channel that the dialplan handed over. From then on its REFERs come to us."""
        if self._ids.home is None:
            raise AssertionError("the dialplan has handed over no channel")
        if technology == PJSIP:
            await self._ari.take_transfers(self._ids.home)
        await self._ari.answer(self._ids.home)

    async def detect_machine(self) -> None:
        """Send the callee's channel to the dialplan, which runs AMD and sends it back."""
        await self._ari.continue_in_dialplan(self._ids.callee, MACHINE_CONTEXT)

    async def tell(self, outcome: Outcome, reason: str, *, beside: bool = False) -> None:
        """Set the outcome on the dialplan's channel, unless it was given back already. ``beside``: as in
        :meth:`Ari.set_variables`.
        """
        if self._ids.home is not None and self._ids.home_party is not None:
            await self._set_outcome(self._ids.home, outcome, reason, beside=beside)

    async def take_back(self, channel: str, outcome: Outcome, reason: str, *, beside: bool = False) -> None:
        """Set the outcome and give the dialplan its channel back, even if setting the outcome fails: nobody
        may be left in silence.
        """
        with contextlib.suppress(AsteriskError):
            await self._set_outcome(channel, outcome, reason, beside=beside)
        await self._ari.continue_in_dialplan(channel)

    async def _set_outcome(self, channel: str, outcome: Outcome, reason: str, *, beside: bool) -> None:
        values = {CALL: str(self._ids.call), OUTCOME: outcome.value, REASON: reason}
        # skip variables already set: repeating them was a quarter of all requests of a call
        new = {
            name: value for name, value in values.items() if self._set_before.get((channel, name)) != value
        }
        if new:
            for name in new:
                # if the request fails, Asterisk may or may not have set the variable
                self._set_before.pop((channel, name), None)
            await self._ari.set_variables(channel, new, beside=beside)
            self._set_before |= {(channel, name): value for name, value in new.items()}
