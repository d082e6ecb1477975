"""The dialplan's side of one call: the channel that it has handed over, what it is told, and how it gets its channel back."""

import contextlib

from ccari.calls.client import PJSIP, Ari
from ccari.calls.events import Ids
from ccari.errors import AsteriskError
from ccari.policy.call import Outcome

#: The dialplan context that listens for a machine and comes back: see dialplan/extensions_ccari.conf.
MACHINE_CONTEXT = "ccari-amd"


class Dialplan:
    """``ari`` and ``ids``: of the call. What fails raises AsteriskError."""

    def __init__(self, ari: Ari, ids: Ids) -> None:
        self._ari = ari
        self._ids = ids
        #: What a channel's variables are known to be.
        self._told: dict[tuple[str, str], str] = {}

    async def is_withheld(self) -> bool:
        """True if whoever calls does not want their number shown, though the network may tell it."""
        shown = await self._ari.variable(self._ids.callee, "CALLERID(num-pres)")
        return not shown.startswith("allowed")

    async def answer(self, technology: str) -> None:
        """Answer the channel that it has handed over, whose REFERs are ours from then on."""
        if self._ids.home is None:
            raise AssertionError("the dialplan has handed over no channel")
        if technology == PJSIP:
            await self._ari.take_transfers(self._ids.home)
        await self._ari.answer(self._ids.home)

    async def detect_machine(self) -> None:
        """Lend it the callee's channel."""
        await self._ari.continue_in_dialplan(self._ids.callee, MACHINE_CONTEXT)

    async def tell(self, outcome: Outcome, reason: str) -> None:
        """What has become of the call, unless the channel was given back before."""
        if self._ids.home is not None and self._ids.home_party is not None:
            await self._tell(self._ids.home, outcome, reason)

    async def take_back(self, channel: str, outcome: Outcome, reason: str) -> None:
        """Give it its channel; untold of the outcome rather than not at all, in silence."""
        with contextlib.suppress(AsteriskError):
            await self._tell(channel, outcome, reason)
        await self._ari.continue_in_dialplan(channel)

    async def _tell(self, channel: str, outcome: Outcome, reason: str) -> None:
        told = {"CCARI_CALL": str(self._ids.call), "CCARI_OUTCOME": outcome.value, "CCARI_REASON": reason}
        # what it is told again was a quarter of all requests of a call
        new = {name: value for name, value in told.items() if self._told.get((channel, name)) != value}
        if new:
            for name in new:
                # not known until the answer: Asterisk may have set it all the same
                self._told.pop((channel, name), None)
            await self._ari.set_variables(channel, new)
            self._told |= {(channel, name): value for name, value in new.items()}
