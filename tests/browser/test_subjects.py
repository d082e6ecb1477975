"""A letter with a number in it, answered in a real browser: what it asked before, and what is done with the person's data."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from ccari.gating.intake import Claim, enter
from ccari.policy.rights import Level, Right
from ccari.ports.requests import Intake
from ccari.web.front import Front
from tests.browser.conftest import WIDTHS, Opened
from tests.browser.test_appearance import faults, scrolls_sideways

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+48600777001"


async def written(front: Front, right: Right) -> str:
    """A request of somebody who was identified."""
    await front.book.reload()
    assert front.book.policy is not None
    claim = Claim(right, NUMBER, "acme", None, None, Intake.LETTER, Level.L2, "identity card")
    done = await enter(front.book.policy, claim, front.requests, front.secrets, "token:officer")
    return str(done["reference"])


async def looked_at(page: Page, pictures: Path, name: str) -> None:
    for width, pixels in WIDTHS.items():
        await page.set_viewport_size({"width": pixels, "height": 900})
        await page.screenshot(path=pictures / f"{name}-{width}.png", full_page=True)
        assert await faults(page) == []
        assert not await scrolls_sideways(page)
    await page.set_viewport_size({"width": WIDTHS["wide"], "height": 900})
    assert "777001" not in (await page.content()).replace(" ", "")


async def test_a_letter_with_a_number_cannot_be_answered(
    opened: Opened, url: str, front: Front, pictures: Path
) -> None:
    erasure, access = await written(front, Right.ERASURE), await written(front, Right.ACCESS)
    page = await opened()
    await page.goto(f"{url}/console/requests")
    await page.get_by_role("link", name="Find by number").click()
    await page.get_by_label("Number").fill(NUMBER)
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator(".answer")).to_contain_text("2 requests")
    await looked_at(page, pictures, "found")
    await page.get_by_role("link", name=erasure).click()
    await page.get_by_role("region", name="The person's data").get_by_role("link").click()
    await expect(page.locator("code").first).to_contain_text(
        f"subject erase NUMBER --request {erasure} --yes"
    )
    await looked_at(page, pictures, "subject-erasure")
    await page.get_by_role("link", name=access).click()
    await page.get_by_role("region", name="The person's data").get_by_role("link").click()
    await looked_at(page, pictures, "subject-access")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download the ZIP").click()
    assert (await download.value).suggested_filename == f"subject-{access}.zip"
    await page.context.close()
