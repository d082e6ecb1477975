"""What the service asks of the interpreter once it has begun."""

import gc
from collections.abc import Iterator

import pytest

from ccari.app.interpreter import settle


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """What tests/conftest.py has frozen counts again, as in a service that has just loaded it."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_all_modules_are_looked_through_for_garbage_in_the_middle_of_calls() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000
