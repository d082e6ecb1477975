"""Each job of the console, done by somebody in a real browser: with the mouse, or with nothing but the keyboard."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Error, Page, expect

from ccari.ports.access import Role
from ccari.ports.live import Taped
from ccari.web.front import Front
from tests.browser.conftest import Opened
from tests.browser.test_appearance import faults, scrolls_sideways
from tests.browser.world import TALK
from tests.unit.store import made
from tests.unit.web.test_events import card
from tests.unit.web.test_live_calls import board

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Of Tab, to get anywhere on a page of ours.
MOST_STEPS = 120


async def to(page: Page, name: str, role: str = "") -> None:
    """Go to what is called so with the Tab key alone, as somebody who sees where they are."""
    for _ in range(MOST_STEPS):
        await page.keyboard.press("Tab")
        here = await page.evaluate(
            "(() => { const e = document.activeElement; const l = e.labels && e.labels[0];"
            "  return [e.tagName.toLowerCase(), (e.getAttribute('aria-label') || (l || e).innerText || '').trim()]; })()"
        )
        if here[1].startswith(name) and role in {"", here[0]}:
            return
    raise AssertionError(f"Tab never comes to {name!r}")


async def follow(page: Page) -> None:
    """Press Enter, and wait for the page that it leads to."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def text(page: Page) -> str:
    return await page.locator("main").inner_text()


async def test_a_request_cannot_be_worked_by_keyboard_alone(opened: Opened) -> None:
    page = await opened(Role.DPO)
    await to(page, "Requests")
    await follow(page)
    await to(page, "Enter a request")
    await follow(page)
    await to(page, "Right", "select")
    await page.keyboard.type("restriction")
    await to(page, "Number", "input")
    await page.keyboard.type(made.NUMBER.e164)
    await to(page, "Controller", "select")
    await page.keyboard.type("ACME")
    await to(page, "Note", "textarea")
    await page.keyboard.type("a letter")
    await to(page, "Enter", "button")
    await follow(page)
    note = page.locator(".note.good")
    await expect(note).to_be_focused()
    await expect(note).to_contain_text("is entered")
    for step, label, words, then in (
        ("Verify the identity", "How it was established", "identity card", "identity being checked"),
        ("Extend", "Reason", "three archives", "extended"),
        ("Fulfil and close", "What was done", "restricted", "fulfilled"),
    ):
        await to(page, step, "summary")
        await page.keyboard.press("Enter")
        if step == "Verify the identity":
            await to(page, "Identity", "select")
            await page.keyboard.type("L2")
        await to(page, label, "textarea")
        await page.keyboard.type(words)
        await to(page, step, "button")
        await follow(page)
        await expect(page.locator(".note.good")).to_contain_text(then)
    assert "The request is closed." in await text(page)
    await page.context.close()


async def test_somebody_cannot_skip_to_the_content(opened: Opened) -> None:
    page = await opened(Role.AUDITOR)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await page.context.close()


async def test_a_letter_cannot_be_taken_over(opened: Opened, url: str) -> None:
    page = await opened(Role.DPO, language="pl")
    await page.goto(f"{url}/console/requests/ACME-2026-000001")
    await page.get_by_role("link", name="Zawiadomienie o odmowie").click()
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Pobierz jako tekst").click()
    saved = await (await coming.value).path()
    letter = saved.read_text("utf-8")
    assert "art. 17 RODO" in letter
    assert "ACME-2026-000001" in letter
    await page.context.close()


async def test_a_number_is_shown_before_it_is_asked_for(opened: Opened, url: str) -> None:
    page = await opened(Role.DPO)
    await page.goto(f"{url}/console/requests/ACME-2026-000002")
    assert not re.search(r"\+48\d{9}", await page.content())
    await page.get_by_text("Show the whole number").click()
    await page.get_by_label("What for?").fill("to call back")
    await page.get_by_role("button", name="Show it").click()
    await page.get_by_text("shown whole; that is on record").wait_for()
    assert re.search(r"\+48\d{9}", await text(page))
    assert not re.search(r"\d{9}", page.url.partition("/console")[2].replace("ACME-2026-000002", ""))
    await page.context.close()


async def test_a_number_cannot_be_looked_up_barred_and_freed(opened: Opened, url: str) -> None:
    page = await opened(Role.DPO)
    await page.goto(f"{url}/console/suppressions")
    for summary, button, extra in (
        ("Bar a number", "Bar a number", ""), ("Lift a number's bars", "Lift a number's bars", "Why they may be lifted"),
    ):  # fmt: skip
        await page.get_by_text(summary, exact=True).first.click()
        form = page.locator("details[open] form")
        await form.get_by_label("Number").fill("600 999 888")
        await form.get_by_label("Controller").select_option("acme")
        if extra:
            await form.get_by_label(extra).fill("by mistake")
        await form.get_by_role("button", name=button).click()
        await expect(page.locator(".note.good")).to_be_visible()
        check = page.get_by_role("region", name="Look a number up")
        await check.get_by_label("Number").fill("600 999 888")
        await check.get_by_label("Controller").select_option("acme")
        await check.get_by_role("button").click()
        await expect(page.locator(".answer")).to_contain_text("is not barred" if extra else "is barred")
        assert "999" not in page.url
    await page.context.close()


async def test_what_is_wrong_is_not_found_by_keyboard(opened: Opened, url: str, pictures: Path) -> None:
    page = await opened(Role.DPO)
    await page.goto(f"{url}/console/suppressions")
    check = page.get_by_role("region", name="Look a number up")
    await check.get_by_label("Number").fill("12")
    await check.get_by_label("Controller").select_option("acme")
    await check.get_by_role("button").click()
    note = page.locator(".note.bad")
    await expect(note).to_be_focused()
    await page.screenshot(path=pictures / "fault.png")
    assert await faults(page) == []
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/check#number")
    await page.keyboard.type("600")
    await expect(page.locator("#number")).to_have_attribute("aria-invalid", "true")
    await page.context.close()


async def test_a_list_cannot_be_imported(opened: Opened, url: str, tmp_path: Path) -> None:
    page = await opened(Role.OPS)
    await page.goto(f"{url}/console/suppressions/import")
    await page.get_by_label("Controller").select_option("acme")
    await page.get_by_label("File").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": b"number\n600 777 001\n12\n"}
    )
    await page.get_by_role("button", name="Import").click()
    await expect(page.locator("section[autofocus]")).to_contain_text("Nothing was changed")
    assert await faults(page) == []
    await page.get_by_label("Controller").select_option("acme")
    await page.get_by_label("Take the sound lines").check()
    await page.get_by_label("File").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": b"number\n600 777 001\n12\n"}
    )
    await page.get_by_role("button", name="Import").click()
    await expect(page.locator("section[autofocus]")).to_contain_text("The list is taken")
    await page.context.close()


async def test_a_recording_cannot_be_listened_to(
    opened: Opened, url: str, files: Path, pictures: Path
) -> None:
    page = await opened(Role.DPO)
    await page.goto(f"{url}/console/recordings?state=stored")
    await page.locator("tbody th a").first.click()
    await page.get_by_label("What for").fill("complaint 7")
    await page.get_by_label("File with the private key").set_input_files(files / "recordings.identity")
    await page.get_by_role("button", name="Listen").click()
    await page.locator("audio").wait_for()
    heard = await page.evaluate(
        "new Promise((done) => { const a = document.querySelector('audio');"
        " const tell = () => done(a.error ? -1 : a.duration);"
        " if (a.readyState) tell(); else { a.onloadedmetadata = tell; a.onerror = tell; } })"
    )
    assert heard > 0
    # the script moves the place in the picture to where somebody clicks
    await page.locator(".wave").first.click(position={"x": 200, "y": 20})
    await expect(page.locator(".wave .head").first).not_to_have_attribute("d", "M0 0V60")
    await page.screenshot(path=pictures / "recording-played.png", full_page=True)
    assert await faults(page) == []
    await page.set_viewport_size({"width": 390, "height": 900})
    await page.screenshot(path=pictures / "recording-played-narrow.png", full_page=True)
    assert not await scrolls_sideways(page)
    await page.context.close()


async def test_a_change_of_the_policy_cannot_be_read(opened: Opened, url: str) -> None:
    page = await opened(Role.AUDITOR)
    await page.get_by_role("link", name="Campaigns").click()
    await page.get_by_role("link", name="Revision 3").click()
    await expect(page.locator(".diff .plus")).to_contain_text("Umfrage <b>2026</b>")
    await page.get_by_label("Compare with").select_option("1")
    await page.get_by_role("button", name="Compare").click()
    await expect(page.get_by_text("Changed since revision 1")).to_be_visible()
    await page.context.close()


async def test_what_somebody_wrote_runs_in_the_browser(opened: Opened, url: str) -> None:
    page = await opened(Role.DPO)
    for path in (
        "requests/ACME-2026-000003",
        "campaigns",
        "campaigns/3",
        "calls",
        "suppressions",
        "recordings",
    ):
        await page.goto(f"{url}/console/{path}")
        assert await page.title() != "1", path
        assert await page.locator("main img").count() == 0
    await page.context.close()


async def test_a_call_goes_on_and_the_page_does_not(opened: Opened, front: Front) -> None:
    page = await opened(Role.OPS)
    await page.get_by_role("link", name="Live").click()
    row = page.locator("tbody tr").filter(has=page.locator(f'a[href$="{TALK.call_id}"]'))
    await expect(row).to_contain_text("talking")
    # who has come to the call by keyboard is still there when the page has changed
    await row.get_by_role("link").focus()
    board(front).put(replace(TALK, stage="farewell"))
    await expect(row).to_contain_text("last words")
    await expect(row.get_by_role("link")).to_be_focused()
    pause = page.get_by_role("button", name="Pause")
    await pause.click()
    board(front).put(TALK)
    await expect(pause).to_have_class(re.compile("newer"))
    await expect(row).to_contain_text("last words")
    await pause.click()
    await expect(row).to_contain_text("talking")
    await page.context.close()


async def test_an_agent_cannot_register_a_right_by_keyboard_alone(
    opened: Opened, front: Front, pictures: Path
) -> None:
    page = await opened(Role.AGENT)
    async with page.expect_response(re.compile("agent/events")):
        await page.reload()
    await expect(page.locator("[data-shown]")).to_be_visible()
    front.cards.hand_out(replace(card(), call_id=TALK.call_id))
    await expect(page.get_by_text("Z umowy zawartej z ACME.")).to_be_visible()
    await page.screenshot(path=pictures / "agent-card.png", full_page=True)
    assert await faults(page) == []
    place = page.locator(f'[id="right-{TALK.call_id}-restriction"]')
    await place.focus()
    # the page changes under the agent's fingers, who stays where they were
    board(front).put(replace(TALK, recording=Taped.PAUSED))
    await expect(page.locator("section").get_by_text("recording paused")).to_be_visible()
    # of which screen readers are told in a few words
    await expect(page.get_by_role("status")).to_contain_text("talking, recording paused")
    await expect(place).to_be_focused()
    await follow(page)
    await expect(page.locator(".note.good")).to_contain_text("Passed on: restriction")
    await expect(place).to_be_disabled()
    board(front).put(TALK)
    await page.context.close()


async def test_a_page_does_not_say_that_it_is_no_longer_live(opened: Opened, url: str, front: Front) -> None:
    page = await opened(Role.OPS)
    async with page.expect_response(re.compile("live/events")):
        await page.get_by_role("link", name="Live").click()
    stale = page.locator("[data-stale]")
    await expect(page.locator("[data-shown]")).to_be_visible()
    await expect(stale).to_be_hidden()
    other = await page.context.new_page()
    await other.goto(f"{url}/console/live")
    await other.get_by_role("button", name="Sign out").click()
    await other.locator("#token").wait_for()
    for stage in ("farewell", "talk") * 10:
        # it is looked whether the session goes on when there is something to be told
        board(front).put(replace(TALK, stage=stage))
        with contextlib.suppress(Error):
            await stale.wait_for(timeout=1000)
            break
    await expect(stale).to_be_visible()
    board(front).put(TALK)
    await page.context.close()
