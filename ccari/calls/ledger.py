"""What one call writes to the database: its row, the notice heard, each right and its end, with its journal's entries."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ccari.calls.desk import Desk
from ccari.calls.order import Order
from ccari.errors import SoundError
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal, persistently
from ccari.gating.registering import register
from ccari.gating.terms import Terms
from ccari.policy import notices
from ccari.policy.call import Direction, Event, Outcome, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.gate import Block
from ccari.ports.requests import Intake
from ccari.ports.sounds import Sound


class SoundsReplaced(SoundError):  # noqa: N818 - what happened
    """The sounds of a notice are no longer those that the call was to play, so nobody can say what was heard."""


class Ledger:
    """What one call writes. Each method also writes the journal's waiting entries, and raises StoreError if it fails."""

    def __init__(self, desk: Desk, journal: Journal) -> None:
        self._call = journal.call_id
        self._desk = desk
        self._journal = journal
        self._gatekeeper: Gatekeeper | None = None

    async def open(self, order: Order) -> Terms | Block:
        """Ask the gate, which writes the call's row. Gives the terms of the call, or why it is blocked."""
        gatekeeper = self._gatekeeper = Gatekeeper(order, self._desk, self._journal)
        inbound = order.direction is Direction.INBOUND
        return await (gatekeeper.admit() if inbound else gatekeeper.ask())

    async def spend_token(self, terms: Terms) -> Block | None:
        """Ask the gate again and spend the dial token. None: dial now, once; otherwise why not."""
        if self._gatekeeper is None:
            raise AssertionError("the gate was not asked")
        return await self._gatekeeper.spend_token(terms)

    async def heard(self, prompts: tuple[str, ...], terms: Terms) -> Terms:
        """Commit that the notice was heard. Gives the terms, now with the notice's version. Also raises :class:`SoundsReplaced`."""
        sounds = [terms.script.sounds[each] for each in prompts]
        await self._look_again(sounds)
        version = terms.script.versions[prompts]
        tells = (
            terms.number is not None
            and not terms.informed
            and notices.information(terms.campaign, inbound=terms.inbound)
        )
        information = terms.information_version if tells else None
        fields = {"notice_version": version, "prompts": ",".join(prompts), "language": terms.language}
        # also note the audio's digests: a prompt recorded anew keeps the version of its words
        self._journal.know({"sounds": ",".join(each.digest for each in sounds)})
        self._journal.note("notice_heard", fields)
        await self._journal.durably(
            lambda entries: self._desk.store.commit_heard(self._call, version, information, entries)
        )
        return replace(terms, heard_version=version)

    async def _look_again(self, played: Sequence[Sound]) -> None:
        """Make sure that the notice's sounds are still those that the gate found. While it rang, a build or an import may have replaced them,
        and Asterisk then played other audio, or other words, than the journal would say.
        """
        try:
            replaced = await self._desk.prompts.replaced(played)
        except SoundError as error:
            raise SoundsReplaced(str(error)) from None
        if replaced:
            raise SoundsReplaced(f"replaced since the gate: {', '.join(each.media for each in replaced)}")

    async def register(self, command: do.RegisterRight, terms: Terms) -> Event:
        """Make a right durable, in the database or on this node. Gives the event that says which."""
        exercise = terms.exercise(command.right, command.key, command.at)
        if command.by is Party.AGENT:
            exercise = replace(exercise, intake=Intake.AGENT, who=terms.opened.agent)
        reference = await register(self._desk.store, self._journal, terms.opened, exercise)
        if reference is None:
            return on.RightSpooled(command.right, exercise.due)
        return on.RightRegistered(command.right, reference, exercise.due)

    async def keep_talk(self, kept: Mapping[str, Any] | None) -> None:
        """Store what is needed to take the talk up after a crash; None: it must not be taken up."""
        await self._journal.durably(lambda entries: self._desk.store.keep_talk(self._call, kept, entries))

    async def leave_talk(self) -> None:
        """Write only the journal's waiting entries: the talk goes on, and the next connection takes it up."""
        await self._journal.persistently(lambda entries: self._desk.store.write(self._call, entries))

    async def close(self, outcome: Outcome, reason: str) -> None:
        """Write the end of the call, trying again for some minutes while the database is away. Does nothing if the gate
        was never asked.
        """
        gatekeeper, store = self._gatekeeper, self._desk.store
        if gatekeeper is None and not self._journal.is_open:
            return

        async def close() -> None:
            if gatekeeper is not None and not self._journal.is_open:
                # the database did not answer the gate, so the call's row may or may not be there
                await gatekeeper.put_on_record()
            await self._journal.durably(lambda entries: store.close(self._call, outcome, reason, entries))

        await persistently(self._call, close)
