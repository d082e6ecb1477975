"""What a service opens once, and whatever lets calls or people in shares."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ccari.calls.board import Board
from ccari.calls.cards import Rack
from ccari.config import Settings
from ccari.metrics.meter import Metrics
from ccari.sounds.soundboard import Soundboard, open_copies, open_soundboard
from ccari.store.journal_key import JournalKey
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.replaying import Replayer, SpoolingCallStore
from ccari.store.secrets import SecretStore


@dataclass(frozen=True, slots=True)
class Parts:
    """``call_store`` keeps rights in the ``local_journal`` while the database is away; the ``replayer`` registers them from there."""

    settings: Settings
    store: Store
    secrets: SecretStore
    prompts: Soundboard
    book: Book
    local_journal: LocalJournalFiles
    call_store: SpoolingCallStore
    replayer: Replayer
    cards: Rack
    board: Board
    metrics: Metrics

    @property
    def exports(self) -> Path:
        """Where what is kept of a person lies while it is given out."""
        return self.settings.data_dir / "exports"


async def open_parts(settings: Settings, store: Store) -> Parts:
    """With the policy in force read.

    Raises
    ------
    CcariError
        If a secret is lost that something is kept under, or the database cannot be asked.
    """
    secrets = await store.key_versions.vouch(SecretStore(settings.keys_dir))
    prompts, book, metrics = open_soundboard(settings, open_copies(settings)), Book(store.policies), Metrics()
    await book.reload()
    waiting, kept = LocalJournalFiles(settings.data_dir, JournalKey(settings.keys_dir).read), asyncio.Event()
    return Parts(
        settings, store, secrets, prompts, book, waiting, SpoolingCallStore(store.database, waiting, kept, store.journals),
        Replayer(waiting, store.calls, kept, metrics), Rack(), Board(), metrics,
    )  # fmt: skip
