"""Checks where the settings come from, whether others can read the secrets in them, and which user runs this."""

import os
import pwd
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ccari import config
from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.config import DEFAULT_PATHS, Settings

_READ_BY_OTHERS = 0o004
#: The secrets in the query of a PostgreSQL URL: the user's, and the client key file's (libpq, Connection Parameters).
_SECRET_PARAMETERS = frozenset({"password", "sslpassword"})


def configuration(path: Path | None, settings: Settings) -> Iterator[Finding]:
    """Which file the settings were read from, and whether others can read a password in it. ``path``: the file named by the user, if any."""
    path = path or next((each for each in DEFAULT_PATHS if each.is_file()), None)
    source = (
        str(path.absolute())
        if path
        else "no ccari.toml in this folder or in /etc/ccari: the environment and the defaults are used"
    )
    exposed = [
        each
        for each in (
            path if path and _holds_a_secret(path) else None,
            settings.asterisk.password_file,
            settings.database.password_file,
            settings.time_stamps.password_file,
        )
        if each is not None and each.exists() and each.stat().st_mode & _READ_BY_OTHERS
    ]
    for each in exposed:
        yield warning("configuration", f"{each} holds a password, and everybody can read it",
                      f"chmod o-r {shlex.quote(str(each))}")  # fmt: skip
    if not exposed:
        yield ok("configuration", source)


def user(settings: Settings) -> Iterator[Finding]:
    """Whether this runs as the user of the service, so that it sees what the service would see."""
    name = user_name(os.geteuid())
    try:
        owner = settings.data_dir.stat().st_uid
    except FileNotFoundError:
        yield warning("user", f"{name}; there is no {settings.data_dir}",
                      f"install -d -o USER -m 0711 {shlex.quote(str(settings.data_dir))}, or check data_dir")  # fmt: skip
        return
    if not settings.data_dir.is_dir():
        yield fault("user", f"data_dir {settings.data_dir} is not a folder", "check data_dir")
    elif owner == os.geteuid():
        yield ok("user", name)
    else:
        whose = user_name(owner)
        yield warning("user", f"{name}, but {settings.data_dir} belongs to {whose}: these checks do not show what {whose} cannot do",
                      f"runuser -u {shlex.quote(whose)} -- ccari doctor")  # fmt: skip


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _holds_a_secret(path: Path) -> bool:
    document: dict[str, Any] = config.parsed(path)
    asterisk, database = _table(document.get("asterisk")), _table(document.get("database"))
    webhooks, url = document.get("webhooks"), database.get("url")
    signing = isinstance(webhooks, list) and any("secret" in _table(each) for each in webhooks)
    return signing or bool(asterisk.get("password")) or (isinstance(url, str) and _url_holds_a_secret(url))


def _table(value: object) -> dict[str, Any]:
    """An empty table if it is not a table: the file may be wrong there, and overridden by the environment."""
    return value if isinstance(value, dict) else {}


def _url_holds_a_secret(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        # it cannot be parsed, which a bracket in a password is enough for, so assume that there is a password
        return True
    return bool(parts.password) or not _SECRET_PARAMETERS.isdisjoint(parse_qs(parts.query))
