"""Time stamps from the configured authority."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from aiohttp import encode_basic_auth

from ccari.config import Settings, TimeStampsSection
from ccari.errors import ConfigError
from ccari.peers import client
from ccari.ports.metering import UNMETERED, Meter
from ccari.recordings.evidence.authority import authority
from ccari.recordings.evidence.stamper import Known, Stamper
from ccari.store.opened import Store
from ccari.tasks import beside


@contextlib.asynccontextmanager
async def open_stamper(settings: Settings, store: Store, meter: Meter = UNMETERED) -> AsyncIterator[Stamper]:
    """Has seals time-stamped. Raises ConfigError if no authority is set, or its certificates or the password cannot be read."""
    section = settings.time_stamps
    if section.url is None or section.certificates is None:
        raise ConfigError("no time-stamping authority is set: set [time_stamps] url and certificates")
    known = partial(_known, section, section.certificates)
    # so that a fault shows at once
    known()
    async with client() as session:
        every = timedelta(minutes=section.every_minutes)
        yield Stamper(store.time_stamps, known, session, str(section.url), every, meter)


def _known(section: TimeStampsSection, certificates: Path) -> Known:
    login = "" if section.username is None else encode_basic_auth(section.username, section.password())
    return Known(authority(certificates), login)


@contextlib.asynccontextmanager
async def time_stamping(settings: Settings, store: Store, meter: Meter) -> AsyncIterator[None]:
    """Have seals time-stamped while the context lasts, if an authority is set. Raises as :func:`open_stamper` does."""
    if settings.time_stamps.url is None:
        yield
        return
    async with open_stamper(settings, store, meter) as stamper, beside(stamper.run):
        yield
