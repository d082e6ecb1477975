"""Each file of these tests has a laboratory of its own, which it may break, and a PostgreSQL of its own if it asks for
one.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.faults.postgres import OwnPostgres, own_postgres
from tests.integration.conftest import dsn, folder, ground, policy_file, sounds
from tests.integration.ground import Ground

__all__ = ["dsn", "folder", "ground", "policy_file", "postgres", "sounds"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def postgres(ground: Ground, policy_file: Path) -> AsyncIterator[OwnPostgres]:
    folder = ground.folder / "own"
    folder.mkdir(mode=0o711)
    ground.folder.chmod(0o711)
    async with own_postgres(folder) as made:
        await ground.service(url=made.dsn).succeeds("policy", "apply", str(policy_file))
        yield made
