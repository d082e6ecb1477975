"""Opening the database that the settings name, with a repository for each kind of thing that is kept in it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ccari.config import Settings
from ccari.store.accesses import Accesses
from ccari.store.calls import PostgresCallStore
from ccari.store.consents import Consents
from ccari.store.contacts import Contacts
from ccari.store.database import Database, open_database
from ccari.store.deletions import Deletions
from ccari.store.embedded import embedded_postgres
from ccari.store.erasures import Erasures
from ccari.store.forwards import Forwards
from ccari.store.holds import Holds
from ccari.store.journals import Journals
from ccari.store.key_versions import KeyVersions
from ccari.store.limits import Limits
from ccari.store.overview import Overviews
from ccari.store.policies import Policies
from ccari.store.recordings import Recordings
from ccari.store.records import Records
from ccari.store.registers import Registers
from ccari.store.repeats import Repeats
from ccari.store.requests import Requests
from ccari.store.seals import Seals
from ccari.store.subjects import Subjects
from ccari.store.suppressions import Suppressions
from ccari.store.time_stamps import TimeStamps
from ccari.store.tokens import Tokens
from ccari.store.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Store:
    """The database, and the repositories of what is kept in it."""

    dsn: str = field(repr=False)  # there may be a password in it
    database: Database
    journals: Journals
    calls: PostgresCallStore
    recordings: Recordings
    policies: Policies
    suppressions: Suppressions
    registers: Registers
    contacts: Contacts
    consents: Consents
    key_versions: KeyVersions
    requests: Requests
    forwards: Forwards
    records: Records
    tokens: Tokens
    repeats: Repeats
    holds: Holds
    deletions: Deletions
    limits: Limits
    seals: Seals
    time_stamps: TimeStamps
    subjects: Subjects
    erasures: Erasures
    accesses: Accesses
    overview: Overviews
    webhooks: Webhooks

    @classmethod
    def over(cls, dsn: str, database: Database) -> "Store":
        journals = Journals(database)
        return cls(
            dsn, database, journals, PostgresCallStore(database, journals), Recordings(database, journals), Policies(database), Suppressions(database),
            Registers(database), Contacts(database), Consents(database), KeyVersions(database),
            Requests(database), Forwards(database), Records(database), Tokens(database), Repeats(database),
            Holds(database), Deletions(database), Limits(database), Seals(database),
            TimeStamps(database), Subjects(database), Erasures(database), Accesses(database), Overviews(database), Webhooks(database),
        )  # fmt: skip


@contextlib.asynccontextmanager
async def database_dsn(settings: Settings) -> AsyncIterator[str]:
    """The DSN of ``[database] url``, or of the embedded server, which runs until the context ends, and is started again if it ends
    before that.
    """
    dsn = settings.database.dsn()
    if dsn is not None:
        yield dsn
        return
    async with embedded_postgres(settings.data_dir, revived=True) as dsn:
        yield dsn


@contextlib.asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the database, and apply pending migrations. Raises StoreError."""
    async with database_dsn(settings) as dsn, open_database(dsn) as database:
        yield Store.over(dsn, database)
