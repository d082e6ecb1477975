"""Asks the gate for one call: writes its row, reads the facts of the number, asks ``policy.gate``, and spends
the dial token.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from ccari.errors import ConfigError, RefusedError, SoundError
from ccari.gating.drafting import Drafter, NoTerms
from ccari.gating.findings import findings
from ccari.gating.journal import Journal
from ccari.gating.labels import campaign_name
from ccari.gating.means import Means, RequestedCall
from ccari.gating.terms import Terms
from ccari.policy import pacing
from ccari.policy.call import Direction
from ccari.policy.gate import Block, Facts
from ccari.policy.pacing import Lately
from ccari.ports.calls import RefusedCall
from ccari.ports.metering import Step

_log = structlog.get_logger()

#: What a journal says of the policy that its call was refused under.
OF_REVISION = frozenset({"revision", "policy_sha256"})


class Gatekeeper:
    """Asks the gate for one call: first :meth:`ask` or :meth:`admit`, then :meth:`spend_token` if it is to be dialled."""

    def __init__(self, asked: RequestedCall, means: Means, journal: Journal) -> None:
        self._asked = asked
        self._means = means
        self._journal = journal
        self._asked_at = datetime.now(UTC)
        self._drafter = Drafter(asked, means, journal)

    async def ask(self) -> Terms | Block:
        """The terms of an allowed call, or why it is blocked. Either way, writes the call's row.

        Raises
        ------
        StoreError
            If the database cannot say: then nothing may be dialled.
        """
        with self._journal.meter.gate(Step.ASK):
            return await self._on_record(self._ask)

    async def admit(self) -> Terms | Block:
        """The terms of an inbound call. A caller is let in even if their number may not be called, or is withheld.

        Raises StoreError as :meth:`ask` does.
        """
        with self._journal.meter.gate(Step.ADMIT):
            return await self._on_record(self._admit)

    async def _on_record(self, answer: Callable[[], Awaitable[Terms | Block]]) -> Terms | Block:
        """What ``answer`` gives. If that fails before the call's row is written, write a row that records the refusal.

        Raises StoreError. Then the row may still be written when the call ends.
        """
        try:
            return await answer()
        except (ConfigError, SoundError) as error:
            _log.error("gate_unfit", call_id=str(self._journal.call_id), reason=str(error))
            block = Block.PROMPTS_MISSING if isinstance(error, SoundError) else Block.STORE_UNAVAILABLE
        except NoTerms as none:
            block = none.block
        finally:
            if not self._journal.is_open and (declared := self._drafter.declared):
                self._journal.know(declared.asserted(self._asked.direction))
        await self.put_on_record()
        return block

    async def put_on_record(self) -> None:
        """Write a row without a number for the call, unless it has a row. It has a controller if the policy declares its campaign.

        Raises
        ------
        StoreError
            If it could not be written.
        """
        asked, declared = self._asked, self._drafter.declared
        campaign = declared.campaign if declared else None
        refused = RefusedCall(
            self._journal.call_id,
            uuid4(),
            self._means.asterisk,
            asked.agent,
            campaign.id if campaign else campaign_name(self._means.book.policy, asked.campaign),
            self._asked_at,
            asked.direction.value,
            declared.revision if declared else None,
            campaign.controller if campaign else None,
            campaign.legal_basis.value if campaign else None,
        )
        try:
            await self._means.store.open_refused(refused)
        except RefusedError:
            # a database that was restored lacks the revision that the call was refused under
            self._journal.retract(OF_REVISION)
            await self._means.store.open_refused(replace(refused, revision=None))
        self._journal.opened()

    async def spend_token(self, terms: Terms) -> Block | None:
        """Ask the gate again, and spend the call's token. None: dial now. Otherwise: why not.

        The number's digests are computed again: since the first answer a secret may have been added, and the number barred under it.

        Raises
        ------
        StoreError, ConfigError
            If that cannot be known: then nothing may be dialled.
        """
        opened = replace(
            terms.opened, keyed=self._means.secrets.digests(terms.controller.id, terms.known_number),
            listed_as=self._means.secrets.listed_as((each.id for each in terms.registers), terms.known_number),
        )  # fmt: skip
        store = self._means.store
        # the last facts judged: the store may read them more than once
        judged: Facts | None = None

        def judge(facts: Facts) -> Block | None:
            nonlocal judged
            judged = facts
            self._means.secrets.heed(facts.secrets, opened.digests)
            return terms.judge(facts)

        with self._journal.meter.gate(Step.DIAL):
            try:
                return await self._journal.durably(
                    lambda entries: store.spend_token(opened, terms.question(), judge, entries)
                )
            finally:
                if judged is not None:
                    self._journal.know(findings(judged))

    async def _ask(self) -> Terms | Block:
        terms, facts = await self._open(needs_number=True)
        block = terms.judge(facts) or await self._pace(terms)
        return block or replace(terms, informed=terms.has_informed(facts))

    async def _pace(self, terms: Terms) -> Block | None:
        """Block a callee-first call if too many of the campaign's calls were abandoned lately. Raises StoreError."""
        cap, call, store = terms.campaign.abandoned, terms.opened, self._means.store
        if call.direction != Direction.CALLEE_FIRST or cap is None:
            return None

        def may(lately: Lately) -> bool:
            return pacing.may_dial(cap, lately, datetime.now(UTC))

        lately = await store.lately(call, cap.of_calls)
        allowed = may(lately)
        if allowed and pacing.is_over(cap, lately):
            allowed = await store.let_through(call, cap.of_calls, may)
        return None if allowed else Block.ABANDONED_CAPPED

    async def _admit(self) -> Terms | Block:
        terms, facts = await self._open(needs_number=False)
        return replace(terms, informed=terms.has_informed(facts))

    async def _open(self, *, needs_number: bool) -> tuple[Terms, Facts]:
        """Write the call's row under the newest policy. Gives its terms, and the facts of the number. Raises NoTerms."""
        book, written = self._means.book, dict[str, str]()
        while True:
            terms = await self._drafter.draft(needs_number=needs_number)
            # if no answer comes, the row has these terms or the earlier ones, so its journal must not say which
            if outdated := {name for name, _ in written.items() - terms.asserted.items()}:
                self._journal.retract(outdated)
            try:
                facts, newest = await self._means.store.open(terms.opened, terms.question())
            except RefusedError:
                # the database was restored, and may lack the policy that was read
                await book.reload()
                if book.revision == terms.opened.revision:
                    raise
                continue
            written = terms.asserted
            self._journal.know(findings(facts) | written)
            self._journal.opened()
            if terms.opened.keyed is not None:
                self._means.secrets.heed(facts.secrets, terms.opened.keyed)
            if newest == terms.opened.revision:
                break
            # a newer policy was applied a moment ago, and counts
            await book.reload()
        self._journal.bind(number=terms.opened.number_masked, agent=terms.opened.agent)
        return terms, facts
