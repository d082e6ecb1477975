"""asyncpg's errors, and those of the network, as ccari's own: in words for whoever runs the service, and without what a row holds."""

import contextlib
from collections.abc import Iterator

import asyncpg

from ccari.errors import RefusedError, StoreError, why
from ccari.store.connecting import UNWRITABLE

#: SQLSTATE classes whose messages are about connections, roles, databases, tables, disks and limits, and never quote a row.
_QUOTABLE = frozenset({"08", "28", "3D", "3F", "42", "53", "54", "55", "57", "58"})
_LOST = "the connection to the database was lost"
_NO_ROOM = ": check max_connections there, and the CONNECTION LIMIT of its user"
#: The remedy for a missing privilege.
ANOTHER_OWNER = "make it the database's owner (ALTER DATABASE … OWNER TO …), and restore a dump as this user"


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn asyncpg's errors into StoreError. The server's message is left out where it may quote a row."""
    try:
        yield
    except (TimeoutError, asyncpg.QueryCanceledError):
        raise StoreError("the database did not answer in time") from None
    except asyncpg.IntegrityConstraintViolationError as error:
        raise RefusedError(
            f"the database refused a row: {error.constraint_name or type(error).__name__}"
        ) from None
    except asyncpg.DataError as error:
        raise RefusedError(f"the database refused a value: {type(error).__name__}") from None
    except asyncpg.InvalidPasswordError:
        raise StoreError(
            "the database refused the user or password: check [database] url and password_file"
        ) from None
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise StoreError(f"the database refused the user: {error.args[0]}") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreError(denied(error.args[0])) from None
    except asyncpg.ReadOnlySQLTransactionError:
        raise StoreError(UNWRITABLE) from None
    except (
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.ConnectionFailureError,
        asyncpg.InternalClientError,
    ):
        # asyncpg raises InternalClientError if the server's last message came outside any query
        raise StoreError(_LOST) from None
    except asyncpg.PostgresError as error:
        words = error.args[0] if str(error.sqlstate)[:2] in _QUOTABLE else type(error).__name__
        advice = _NO_ROOM if isinstance(error, asyncpg.TooManyConnectionsError) else ""
        raise StoreError(f"the database failed: {words}{advice}") from None
    except asyncpg.InterfaceError as error:
        # ending the transaction raises this in place of the original error
        raise StoreError(
            _LOST if "connection is closed" in str(error) else f"the database failed: {type(error).__name__}"
        ) from None
    except BrokenPipeError:
        # about standard output, whose reader is done (``| head``): for a broken connection asyncpg has its own error
        raise
    except OSError as error:
        raise StoreError(f"the database cannot be reached: {why(error)}") from None


def unprivileged(denied: str) -> str:
    """Says in words that the database's user lacks a privilege."""
    return f"the database's user may not do what ccari needs ({denied})"


def denied(words: str) -> str:
    """What PostgreSQL's message means. It also reports a file that it cannot open or write, as on a disk that became read-only, as a lack
    of privileges.
    """
    if words.startswith("could not "):
        return f"the database failed: {words}"
    return f"{unprivileged(words)}: {ANOTHER_OWNER}"
