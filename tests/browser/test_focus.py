"""The keyboard focus: it is visible, it reaches everything once, and it moves to messages."""

import pytest
from playwright.async_api import Page, expect

from ccari.ports.access import Role
from tests.browser.conftest import Opened, Pictures
from tests.browser.hands import UNSEEN, Keyboard
from tests.browser.test_appearance import faults, first

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: A page, the form's path, what is filled in, and the field that is wrong.
WRONG = (
    ("requests/new", "new", {"right": "access", "number": "12", "controller": "acme"}, "number"),
    ("requests/ACME-2026-000001", "number", {"reason": " "}, "number-reason"),
    ("requests/ACME-2026-000001", "extend", {"reason": " "}, "extend-reason"),
    ("suppressions", "check", {"number": "12", "controller": "acme"}, "number"),
    ("suppressions", "add", {"number": "12", "controller": "acme"}, "add-number"),
    ("suppressions", "lift", {"number": "12", "controller": "acme", "why": "mistake"}, "lift-number"),
    ("recordings/*", "play", {"why": "complaint", "identity": "none"}, "identity"),
    ("recordings/*", "hold", {"reason": " "}, "reason"),
)


async def on_page(page: Page, url: str, path: str) -> None:
    """Open a page; a star stands for the first item of the list."""
    await page.goto(f"{url}/console/{path.removesuffix('/*')}")
    if path.endswith("/*"):
        await page.goto(url + await first(page, f"/console/{path.removesuffix('*')}"))


async def lead_to(page: Page, field: str) -> None:
    """The error message has the focus, and leads to the field that is wrong."""
    note = page.locator(".note.bad")
    await expect(note).to_be_focused()
    told = await note.locator(f'a[href="#{field}"]').inner_text()
    await Keyboard(page).to(told, ".note.bad a")
    await page.keyboard.press("Enter")
    wrong = page.locator(f"#{field}")
    await expect(wrong).to_be_focused()
    await expect(wrong).to_have_attribute("aria-invalid", "true")
    assert await page.evaluate(UNSEEN) == ""


async def test_what_is_wrong_is_not_found_by_keyboard(opened: Opened, url: str, pictures: Pictures) -> None:
    page = await opened(Role.DPO)
    for path, form, given, field in WRONG:
        await on_page(page, url, path)
        place = page.locator(f'form[action$="/{form}"]')
        await place.evaluate(
            "(form, given) => { form.noValidate = true; if (form.closest('details')) form.closest('details').open = true;"
            " for (const [name, value] of Object.entries(given)) form.elements[name].value = value; }",
            given,
        )
        async with page.expect_navigation():
            await place.locator("button").press("Enter")
        await lead_to(page, field)
    await page.goto(f"{url}/console/requests?due_before=soon#list")
    await pictures(page, "fault")
    assert await faults(page) == []
    await lead_to(page, "f-due_before")
    await page.context.close()


async def test_somebody_cannot_skip_to_the_content(opened: Opened) -> None:
    page = await opened(Role.AUDITOR)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await page.context.close()
