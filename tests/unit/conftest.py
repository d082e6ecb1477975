"""What the tests here share. The machine has others to serve, so a database or a disk may take long."""

from collections.abc import Iterator

import pytest

from tests.unit.store.kept import shelf
from tests.unit.store.server import as_in_service, patience

__all__ = ["patience", "shelf"]


@pytest.fixture
def bounded(patience: None) -> Iterator[None]:
    """They have no longer than in service, for a test of that bound; to be used before a database is opened."""
    with as_in_service():
        yield
