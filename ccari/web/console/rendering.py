"""Templates, what they are made with, and the files that they name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declaration import Policy
from ccari.web.console.words import LANGUAGES, Words

_HERE = resources.files("ccari.web.console")
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

#: Nothing is loaded but our own files, nothing is sent but to us, and nobody shows us in a frame.
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of ours. ``version`` changes with what is in it, so that a browser may keep what it has."""

    body: bytes
    kind: str
    version: str


def _assets() -> dict[str, Asset]:
    found = {}
    for file in _HERE.joinpath("static").iterdir():
        kind = _KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            body = file.read_bytes()
            found[file.name] = Asset(body, kind, sha256(body).hexdigest()[:12])
    return found


ASSETS = _assets()


async def asset(request: web.Request) -> web.Response:
    """One of our files. With its version in the URL it never changes."""
    found = ASSETS.get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    kept = "public, max-age=31536000, immutable" if request.query.get("v") == found.version else "no-cache"
    return web.Response(
        body=found.body, content_type=found.kind, charset="utf-8",
        headers={"cache-control": kept, "x-content-type-options": "nosniff"},
    )  # fmt: skip


def _asset_url(name: str) -> str:
    return f"/console/static/{name}?v={ASSETS[name].version}"


_ENVIRONMENT = Environment(
    loader=PackageLoader("ccari.web.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["said_of"] = lambda english, words: words.said_of(english)
_ENVIRONMENT.globals.update(asset=_asset_url, languages=LANGUAGES)


def page(template: str, words: Words, policy: Policy | None, told: Mapping[str, Any]) -> str:
    """The page, escaped throughout. Times are those of the controllers' clocks, and say which."""
    zones = {each.id: TIME_ZONES[each.country] for each in policy.controllers} if policy else {}
    return _ENVIRONMENT.get_template(template).render(
        t=words, term=words.term, language=words.language, today=datetime.now(UTC), when=_when(zones),
        zone_of=lambda controller: zones.get(controller or "", ""), day=_day, length=_length,
        clocks=_clocks(zones), common=_common(zones), **told,
    )  # fmt: skip


def _when(zones: Mapping[str, str]) -> Callable[..., str]:
    def when(moment: datetime | None, controller: str | None = None, *, seconds: bool = False) -> str:
        if moment is None:
            return "–"
        zone = zones.get(controller or "", "UTC")
        local = moment.astimezone(ZoneInfo(zone))
        told = f"{local:%Y-%m-%d %H:%M:%S}" if seconds else f"{local:%Y-%m-%d %H:%M}"
        return f"{told} UTC" if zone == "UTC" else told

    return when


def _common(zones: Mapping[str, str]) -> str | None:
    """A controller by whose clock all others count too, for what is none's alone; None: there is no such."""
    return next(iter(zones)) if len(set(zones.values())) == 1 else None


def _clocks(zones: Mapping[str, str]) -> str:
    """By which clock the times of a page are, each of its row's controller."""
    if _common(zones) is not None:
        return next(iter(zones.values()))
    of = {zone: [each for each, its in zones.items() if its == zone] for zone in zones.values()}
    return ", ".join(f"{zone} ({', '.join(whose)})" for zone, whose in of.items()) or "UTC"


def _day(moment: date | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "–"


def _length(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "–"
    seconds = milliseconds // 1000
    return f"{seconds // 60}:{seconds % 60:02}"
