"""PostgreSQL through asyncpg. Methods that implement a port are documented in ``ccari/ports``; docstrings here cover only how they do it."""
