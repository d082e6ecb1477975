"""What holds for every test."""

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.unit.store.server import (
    administrator,
    calls,
    database,
    dsn,
    empty,
    quick,
    reachable,
    server,
    store,
)

# the stories say what differs, wherever they are played
pytest.register_assert_rewrite("tests.unit.interleaving.contract")

#: Here, so that all folders of tests share a worker's server: a fixture that each of them imports is one of each.
__all__ = ["administrator", "calls", "database", "dsn", "empty", "quick", "reachable", "server", "store"]


def pytest_configure() -> None:
    """Have exceptions in log lines written plainly: coloured by rich, they took two fifths of a worker's time. And have Hypothesis fail no
    example for its time: a busy machine takes longer than its 200 ms.
    """
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


def pytest_collection_finish() -> None:
    """Look no more for garbage among the eight thousand tests, all of which each worker has."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """How logs are written after a test that changed it."""
    root, structured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structured)
