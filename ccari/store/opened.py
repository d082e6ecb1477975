"""Opens the database of the settings, with a repository for each kind of row."""

import contextlib
from collections.abc import AsyncIterator

from ccari.config import Settings
from ccari.store.accesses import Accesses
from ccari.store.calls import PostgresCallStore
from ccari.store.consents import Consents
from ccari.store.contacts import Contacts
from ccari.store.controllers import Controllers
from ccari.store.database import Database
from ccari.store.deletions import Deletions
from ccari.store.embedded import embedded_postgres
from ccari.store.erasures import Erasures
from ccari.store.forwards import Forwards
from ccari.store.holds import Holds
from ccari.store.journals import Journals
from ccari.store.key_versions import KeyVersions
from ccari.store.limits import Limits
from ccari.store.migrating import open_database
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


class Store:
    """The database and its repositories."""

    def __init__(self, dsn: str, database: Database) -> None:
        self.dsn = dsn
        self.database = database
        self.journals = Journals(database)
        self.calls = PostgresCallStore(database, self.journals)
        self.recordings = Recordings(database, self.journals)
        self.policies = Policies(database)
        self.suppressions = Suppressions(database)
        self.registers = Registers(database)
        self.contacts = Contacts(database)
        self.consents = Consents(database)
        self.controllers = Controllers(database)
        self.key_versions = KeyVersions(database)
        self.requests = Requests(database)
        self.forwards = Forwards(database)
        self.records = Records(database)
        self.tokens = Tokens(database)
        self.repeats = Repeats(database)
        self.holds = Holds(database)
        self.deletions = Deletions(database)
        self.limits = Limits(database)
        self.seals = Seals(database)
        self.time_stamps = TimeStamps(database)
        self.subjects = Subjects(database)
        self.erasures = Erasures(database)
        self.accesses = Accesses(database)
        self.overview = Overviews(database)
        self.webhooks = Webhooks(database)

    @contextlib.asynccontextmanager
    async def as_of_now(self) -> AsyncIterator["Store"]:
        """The store as it is now, for reading, one statement at a time (:meth:`Database.as_of_now`): what is read of it fits together,
        whatever is written meanwhile.
        """
        async with self.database.as_of_now() as database:
            yield Store(self.dsn, database)


@contextlib.asynccontextmanager
async def database_dsn(settings: Settings) -> AsyncIterator[str]:
    """The DSN of ``[database] url``, or of the embedded server, which runs until the context ends and is restarted if it dies before."""
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
        yield Store(dsn, database)
