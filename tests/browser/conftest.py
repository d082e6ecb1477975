"""One service with a console, and one Chromium, for all browser tests."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, StorageState, async_playwright, expect

from ccari.ports.access import Bearer, Role, fingerprint
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.web.front import Front
from ccari.web.server import application
from tests.browser.world import furnish
from tests.unit.store.made import elsewhere
from tests.unit.store.server import execute, patiently
from tests.unit.web.api import listening

#: Time for a page to load; Chromium shares two cores with the other tests.
SECONDS = 60.0
WIDTHS = {"wide": 1280, "narrow": 390}

Shade = Literal["light", "dark"]
Opened = Callable[..., Awaitable[Page]]
Pictures = Callable[[Page, str], Awaitable[None]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def centre(server: str) -> AsyncIterator[Store]:
    """The browser tests' own database, in which nothing has happened yet."""
    await execute(server, "CREATE DATABASE browsed TEMPLATE template")
    dsn = elsewhere(server, "browsed")
    with patiently():
        async with open_database(dsn) as database:
            yield Store(dsn, database)
    await execute(server, "DROP DATABASE browsed WITH (FORCE)")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the centre's keys and recordings."""
    return tmp_path_factory.mktemp("centre")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(centre: Store, files: Path) -> Front:
    return await furnish(centre, files)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def url(front: Front) -> AsyncIterator[str]:
    """The address of the console."""
    async with listening(application({}, front)) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    # Chromium without windows, extensions and people's settings: its pages are the same, for half of the processor time
    path = shutil.which("chromium-headless-shell")
    assert path, "there is no chromium-headless-shell: make setup installs it"
    # expectations have a time-out of their own, whatever the context's is
    expect.set_options(timeout=SECONDS * 1000)
    async with async_playwright() as playwright:
        # the tests run as root, and Chromium's own sandbox does not work for root
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Takes a named picture of a page if a folder for pictures is given: one takes as long as some tests."""
    given = os.environ.get("CCARI_SCREENSHOTS")

    async def take(page: Page, name: str) -> None:
        if given:
            await page.screenshot(path=Path(given) / f"{name}.png", full_page=True)

    return take


async def token_of(store: Store, role: Role, name: str, *controllers: str) -> str:
    """A new token, as ``ccari token create`` makes it."""
    made = f"ccari_{secrets.token_urlsafe(32)}"
    agent = "anna" if role is Role.AGENT else None
    await store.tokens.add(
        Bearer(name, role, agent, frozenset(controllers) or None), fingerprint(made), "test", None
    )
    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def opened(centre: Store, url: str, chromium: Browser) -> AsyncIterator[Opened]:
    """A page of somebody who is signed in, in the session that its role shares, or in a new one (``anew``) for a test
    that ends it.
    """
    sessions: dict[Role, StorageState] = {}

    async def open_page(
        role: Role = Role.DPO, *, width: int = WIDTHS["wide"], language: str = "en", shade: Shade = "light",
        anew: bool = False,
    ) -> Page:  # fmt: skip
        context = await chromium.new_context(
            viewport={"width": width, "height": 900}, locale=language, accept_downloads=True,
            color_scheme=shade, reduced_motion="reduce", storage_state=None if anew else sessions.get(role),
        )  # fmt: skip
        context.set_default_timeout(SECONDS * 1000)
        page = await context.new_page()
        # from the start: a listener added when a file is to be chosen may be too late
        page.on("filechooser", lambda _: None)
        await page.goto(f"{url}/console")
        if anew or role not in sessions:
            name = f"{role}-{secrets.token_hex(3)}"
            await page.locator("#token").focus()
            await page.keyboard.type(await token_of(centre, role, name))
            await page.keyboard.press("Enter")
            await page.get_by_text(name).wait_for()
        if not anew:
            sessions[role] = await context.storage_state()
        return page

    yield open_page
    for context in chromium.contexts:
        await context.close()
