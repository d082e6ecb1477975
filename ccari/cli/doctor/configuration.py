"""Where the settings come from, who runs this, and whether others may read what is secret in them."""

import os
import pwd
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import DEFAULT_PATHS, Settings

_READ_BY_OTHERS = 0o004
#: Of a PostgreSQL URL's query: what a server and a client's own key are opened with (libpq, Connection Parameters).
_SECRET_PARAMETERS = frozenset({"password", "sslpassword"})


def configuration(path: Path | None, settings: Settings) -> Iterator[Finding]:
    """The settings were read; ``path`` is the file that was asked for."""
    path = path or next((each for each in DEFAULT_PATHS if each.is_file()), None)
    told = str(path.absolute()) if path else "no file: the environment and the defaults"
    exposed = [
        each
        for each in (
            path if path and _holds_a_secret(path) else None,
            settings.asterisk.password_file,
            settings.database.password_file,
        )
        if each is not None and each.exists() and each.stat().st_mode & _READ_BY_OTHERS
    ]
    for each in exposed:
        yield doubt("configuration", f"{each} holds a password, and everybody can read it",
                    f"chmod o-r {shlex.quote(str(each))}")  # fmt: skip
    if not exposed:
        yield well("configuration", told)


def user(settings: Settings) -> Iterator[Finding]:
    """Whether what is seen here is what the service would see."""
    name = user_name(os.geteuid())
    try:
        owner = settings.data_dir.stat().st_uid
    except FileNotFoundError:
        yield doubt("user", f"{name}; there is no {settings.data_dir}",
                    f"install -d -o USER -m 0711 {shlex.quote(str(settings.data_dir))}, or check data_dir")  # fmt: skip
        return
    if not settings.data_dir.is_dir():
        yield fault("user", f"data_dir {settings.data_dir} is no folder", "check data_dir")
    elif owner == os.geteuid():
        yield well("user", name)
    else:
        whose = user_name(owner)
        yield doubt("user", f"{name}, but {settings.data_dir} is {whose}'s: what {whose} may not do is not seen",
                    f"runuser -u {shlex.quote(whose)} -- ccari doctor")  # fmt: skip


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _holds_a_secret(path: Path) -> bool:
    document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    asterisk, database = _table(document.get("asterisk")), _table(document.get("database"))
    webhooks, url = document.get("webhooks"), database.get("url")
    signing = isinstance(webhooks, list) and any("secret" in _table(each) for each in webhooks)
    return signing or bool(asterisk.get("password")) or (isinstance(url, str) and _url_holds_a_secret(url))


def _table(there: object) -> dict[str, Any]:
    """What is no table though it was to be one, as where the environment says otherwise, holds nothing."""
    return there if isinstance(there, dict) else {}


def _url_holds_a_secret(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        # a bracket in a password is enough: what cannot be read for sure may well hold one
        return True
    return bool(parts.password) or not _SECRET_PARAMETERS.isdisjoint(parse_qs(parts.query))
