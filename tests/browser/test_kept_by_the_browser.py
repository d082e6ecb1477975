"""What a browser leaves on its own disk after somebody has used the console: that disk may be anyone's, and outlives
the visit.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, async_playwright

from ccari.policy.rights import Right
from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.browser.conftest import SECONDS, token_of
from tests.browser.hands import Mouse
from tests.browser.test_subjects import written
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+48600777003"
NOTE = "she called twice in autumn"
#: The page that is opened last: Chromium writes down open pages in order, so once this one is on disk, all are.
LAST = "/console/overview?period=month"


@pytest_asyncio.fixture(loop_scope="session")
async def kept(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """A browser that keeps its usual data, in ``tmp_path``: the whole of Chromium, as people have it."""
    path = shutil.which("chromium")
    assert path, "there is no chromium: make setup installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=path, args=["--no-sandbox"], locale="en"
        )
        browser.set_default_timeout(SECONDS * 1000)
        yield browser
        await browser.close()


def files_holding(folder: Path, words: str) -> list[str]:
    """In the body of a request, or in a field of a page, which Chromium writes in UTF-16."""
    spellings = words.encode(), words.replace(" ", "+").encode(), words.encode("utf-16le")
    files = [each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()]
    return [each.name for each in files if any(one in _content(each) for one in spellings)]


def _content(file: Path) -> bytes:
    """Empty if the browser has removed the file meanwhile."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


async def signed_in(browser: BrowserContext, url: str, centre: Store) -> Page:
    page = browser.pages[0]
    await page.goto(f"{url}/console")
    await page.locator("#token").fill(await token_of(centre, Role.DPO, "at-home"))
    await page.locator("#token").press("Enter")
    await page.get_by_text("at-home").first.wait_for()
    return page


async def test_a_browser_keeps_the_private_key_or_a_number_on_its_disk(
    kept: BrowserContext, centre: Store, front: Front, url: str, files: Path, tmp_path: Path
) -> None:
    reference = await written(front, Right.ACCESS, NUMBER)
    at = Mouse(await signed_in(kept, url, centre))
    page, key = at.page, (files / "recordings.identity").read_text().splitlines()[-1]
    assert key.startswith("AGE-SECRET-KEY-1")

    await page.goto(f"{url}/console/recordings?state=stored")
    await at.follow("20", "tbody a")
    await at.fill("Reason for listening", "complaint 7")
    await page.locator("#identity").fill(key)
    await at.follow("Listen", "button")
    await page.locator("audio").wait_for()

    for finding in ("calls", "requests"):
        await page.goto(f"{url}/console/{finding}/find")
        await at.fill("Number", NUMBER)
        await at.follow("Find", "button")

    # a refused form: the page is shown again, as the answer to the request
    await page.goto(f"{url}/console/requests/new")
    await page.select_option("#right", Right.ACCESS.value)
    await page.select_option("#controller", index=1)
    await page.locator("#number").fill(f"{NUMBER}0000")
    await page.locator("#note").fill(NOTE)
    await at.follow("Enter", "button")
    await page.goto(f"{url}/console/requests/{reference}")
    await page.locator("summary", has_text="Show the whole number").click()
    await page.locator("#number-reason").fill("to call back")
    await at.follow("Show it", "button")

    await page.goto(url + LAST)
    profile = tmp_path / "profile"
    await until(lambda: bool(files_holding(profile / "Default" / "Sessions", LAST)), within=SECONDS)
    assert {words: files_holding(profile, words) for words in (key, NUMBER[1:], NOTE)} == {
        key: [], NUMBER[1:]: [], NOTE: [],
    }  # fmt: skip
