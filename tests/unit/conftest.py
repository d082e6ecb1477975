"""How long a database or a disk may take in the tests here: the machine has others to serve."""

from collections.abc import Iterator

import pytest

from tests.unit.store.server import as_in_service, patience

__all__ = ["patience"]


@pytest.fixture
def bounded(patience: None) -> Iterator[None]:
    """They have no longer than in service, for a test of that bound; to be used before a database is opened."""
    with as_in_service():
        yield
