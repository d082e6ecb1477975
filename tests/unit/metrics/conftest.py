"""A database of the test's own."""

from tests.unit.store.conftest import database, dsn, empty, reachable, server, store

__all__ = ["database", "dsn", "empty", "reachable", "server", "store"]
