"""A letter with a number in it, answered in a real browser: the questions before it, and what is done with the person's
data.
"""

import pytest
from playwright.async_api import Browser, Page, expect

from ccari.office.intake import Claim, enter
from ccari.policy.rights import Level, Right
from ccari.ports.requests import Intake
from ccari.recordings.subject.page import page as readable
from ccari.web.front import Front
from tests.browser.conftest import WIDTHS, Opened, Pictures
from tests.browser.hands import HANDS, Keyboard, Mouse
from tests.browser.test_appearance import faults, scrolls_sideways
from tests.unit.recordings.test_subject_page import ACCOUNT, AT, WARSAW

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Whose letters are answered, and the answers.
NUMBERS = {Mouse: "+48600777001", Keyboard: "+48600777002"}


async def written(front: Front, right: Right, number: str) -> str:
    """A request of somebody whose identity was checked."""
    await front.book.reload()
    assert front.book.policy is not None
    claim = Claim(right, number, "acme", None, None, Intake.LETTER, Level.L2, "identity card")
    done = await enter(front.book.policy, claim, front.requests, front.secrets, "token:officer")
    return str(done["reference"])


async def looked_at(page: Page, pictures: Pictures, name: str) -> None:
    for width, pixels in WIDTHS.items():
        await page.set_viewport_size({"width": pixels, "height": 900})
        await pictures(page, f"{name}-{width}")
        assert await faults(page) == []
        assert not await scrolls_sideways(page)
    await page.set_viewport_size({"width": WIDTHS["wide"], "height": 900})
    assert "77700" not in (await page.content()).replace(" ", "")


@pytest.mark.parametrize("hand", [Mouse, Keyboard], ids=HANDS)
async def test_a_letter_with_a_number_cannot_be_answered(
    opened: Opened, front: Front, pictures: Pictures, hand: type[Mouse | Keyboard]
) -> None:
    number = NUMBERS[hand]
    erasure, access = [await written(front, each, number) for each in (Right.ERASURE, Right.ACCESS)]
    at = hand(await opened())
    page = at.page
    await at.follow("Requests")
    await at.follow("Find by number")
    await at.fill("Number", number)
    await at.follow("Find", "button")
    await expect(page.locator(".answer")).to_contain_text("2 requests")
    await expect(page.locator(".answer")).to_be_focused()
    await looked_at(page, pictures, "found")
    await at.follow(erasure)
    await at.follow("Open")
    await expect(page.locator("code").first).to_contain_text(
        f"subject erase NUMBER --request {erasure} --yes"
    )
    await looked_at(page, pictures, "subject-erasure")
    await at.follow(access)
    await at.follow("Open")
    await looked_at(page, pictures, "subject-access")
    async with page.expect_download() as download:
        await at.press("Download the ZIP")
    assert (await download.value).suggested_filename == f"subject-{access}.zip"
    await page.context.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
async def test_the_page_for_a_person_is_wider_than_their_telephone(chromium: Browser, width: int) -> None:
    name = "0f0f0f0f-aaaa-4bbb-8ccc-0123456789ab"
    recording = {
        "started_at": AT, "duration_ms": 61_000, "purpose": "dowód treści rozmowy", "legal_basis": "legitimate_interest",
        "state": "stored", "delete_at": AT, "kept_for_claims": False, "kept_for_requests": False, "audio": f"recordings/{name}.flac",
    }  # fmt: skip
    controller = {
        **ACCOUNT["controller"],
        "dpo": "inspektor.ochrony.danych@acme-ubezpieczenia-wzajemne.example",
    }
    account = {**ACCOUNT, "recordings": [recording] * 3, "controller": controller}
    page = await chromium.new_page(viewport={"width": width, "height": 900})
    await page.set_content(readable(account, "pl", WARSAW).decode())
    await expect(page.get_by_text(name).first).to_be_attached()
    assert not await scrolls_sideways(page)
    await page.close()
