"""Databases of a test's own on the session's server."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg


async def new_database(dsn: str, name: str) -> str:
    """Create an empty database beside that of ``dsn``; returns its DSN."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
