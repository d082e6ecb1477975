"""What the service asks of the interpreter once it has begun."""

import gc
from collections.abc import Iterator

import pytest

from ccari.app.interpreter import settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_all_modules_are_looked_through_for_garbage_in_the_middle_of_calls() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000
