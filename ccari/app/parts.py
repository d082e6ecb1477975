"""What a service opens once, and everything in it shares."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ccari.calls.board import Board
from ccari.calls.cards import Rack
from ccari.config import Settings
from ccari.keyring.secrets import SecretStore
from ccari.metrics import catalogue
from ccari.metrics.meter import Metrics
from ccari.recordings.evidence.newest import NewestSeal
from ccari.sounds.prompter import Prompter, open_prompter
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.replaying import Replayer, SpoolingCallStore


@dataclass(frozen=True, slots=True)
class Parts:
    """``call_store`` keeps rights in the ``local_journal`` while the database is away; the ``replayer``
    registers them later.
    """

    settings: Settings
    store: Store
    secrets: SecretStore
    prompts: Prompter
    book: Book
    local_journal: LocalJournalFiles
    call_store: SpoolingCallStore
    replayer: Replayer
    newest_seal: NewestSeal
    cards: Rack
    board: Board
    metrics: Metrics

    @property
    def exports(self) -> Path:
        """Where the export of a person's data is kept while it is being sent."""
        return self.settings.data_dir / "exports"


async def open_parts(settings: Settings, store: Store) -> Parts:
    """Open the parts, and read the policy in force.

    Raises
    ------
    CcariError
        If a secret that stored data needs is missing, or the database cannot be asked.
    """
    secrets = await store.key_versions.vouch(SecretStore(settings.keys_dir))
    prompts = open_prompter(settings)
    book, metrics = Book(store.policies), Metrics()
    await book.reload()
    local_journal = LocalJournalFiles.of(settings)
    # the call store sets it when it has put a right into the local journal; the replayer waits for it
    right_kept = asyncio.Event()
    newest_seal = NewestSeal(settings.data_dir, store.seals)
    metrics.read(catalogue.DATABASE_OLDER, lambda: {(): float(newest_seal.refuses)})
    return Parts(
        settings=settings,
        store=store,
        secrets=secrets,
        prompts=prompts,
        book=book,
        local_journal=local_journal,
        call_store=SpoolingCallStore(
            store.database, local_journal, right_kept, store.journals, newest_seal.refuse_older
        ),
        replayer=Replayer(local_journal, store.calls, right_kept, metrics, newest_seal.check),
        newest_seal=newest_seal,
        cards=Rack(),
        board=Board(),
        metrics=metrics,
    )
