"""A store for the FastAGI server to ask."""

from tests.unit.store.conftest import calls, database, dsn, empty, reachable, server, store

__all__ = ["calls", "database", "dsn", "empty", "reachable", "server", "store"]
