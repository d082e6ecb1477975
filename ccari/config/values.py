"""What a value of the settings may be: an address, a path, a file with a password."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from ccari.errors import ConfigError
from ccari.regular import open_regular

#: Editors on Windows may put it at the beginning of a file.
BOM = "\ufeff"
#: The value that turns an address off.
OFF = "off"
#: The value of ``[asterisk] spool`` for a spool on another host.
FETCHED = Path("ari")
#: A host, which may be an IPv6 address in brackets, and a port.
ADDRESS = r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}"
#: Where ARI is by default.
HERE = "http://127.0.0.1:8088"
_PORTS = range(1, 65536)


def _a_port(listen: str) -> str:
    # uvloop would silently use the last 16 bits of a larger number
    if int(listen.rpartition(":")[2]) not in _PORTS:
        raise ValueError(f"the port must be {_PORTS.start} to {_PORTS.stop - 1}")
    return listen


def off_or_a_port(listen: str) -> str:
    return listen if listen == OFF else _a_port(listen)


def off_or_a_url(url: str) -> str:
    if url == OFF:
        return url
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and (parts.port is None or parts.port in _PORTS)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"is not a URL: it must look like {HERE}, or http://[::1]:8088")
    return url


def _a_path(path: object) -> object:
    """Refuse what is not a path; an empty or a relative one, because the service and a command run in different folders, and each would
    have a database and keys of its own; and a path that only a shell understands, for which a folder of that name would be created.
    """
    if not isinstance(path, str | Path):
        raise ValueError("must be a path in quotes")  # noqa: TRY004 - pydantic tells of no TypeError
    if path == "":
        raise ValueError("is empty: name a path, or leave it out")
    if "\0" in str(path):
        raise ValueError("has a character that is in no path")
    if str(path).startswith("~"):
        raise ValueError("begins with ~, which only a shell understands: write out the whole path")
    if not Path(path).is_absolute():
        raise ValueError("must be a whole path, from / on: another folder is meant wherever ccari is run")
    return path


def ari_or_a_path(path: object) -> object:
    return path if isinstance(path, str | Path) and Path(path) == FETCHED else _a_path(path)


Listen = Annotated[str, Field(pattern=rf"^{ADDRESS}$"), AfterValidator(_a_port)]
Place = Annotated[Path, BeforeValidator(_a_path)]
PerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


#: The URL parameter that names the password's file. The password may change while the service runs.
PASSWORD_FILE = "password_file"  # noqa: S105 - a name


def password_in(file: Path, section: str) -> str:
    """The password in a section's file. Raises ConfigError if it cannot be read."""
    setting = f"[{section}] password_file {file}"
    try:
        with open_regular(file) as opened:
            password = opened.read().decode("utf-8").removeprefix(BOM).strip()
    except OSError as error:
        raise ConfigError(f"{setting}: {error.strerror}: make it, readable by ccari's user only") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{setting} is not UTF-8 text: put only the password in it") from None
    if not password:
        raise ConfigError(f"{setting} is empty: put the password in it")
    return password
