"""A store for the FastAGI server to ask."""

from pathlib import Path

import pytest_asyncio

from ccari.agi.desk import Desk
from ccari.keyring.secrets import SecretStore
from ccari.store.opened import Store
from ccari.store.policies import Book
from tests.unit.agi.served import WITH_KEYS, Sounds
from tests.unit.store.made import new_secret


@pytest_asyncio.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    await store.policies.apply(WITH_KEYS, "test")
    book, secrets = Book(store.policies), SecretStore(tmp_path)
    await book.reload()
    new_secret(secrets, "acme")
    return Desk("agi@test", store.calls, secrets, book, Sounds())
