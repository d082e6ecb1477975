"""What these tests share. The machine has other work, so a database or a disk may be slow."""

from collections.abc import Iterator

import pytest

from tests.unit.store.kept import shelf
from tests.unit.store.server import as_in_service, patience

__all__ = ["patience", "shelf"]


@pytest.fixture
def bounded(patience: None) -> Iterator[None]:
    """The time limits of the service, for a test of such a limit; to be used before a database is opened."""
    with as_in_service():
        yield
