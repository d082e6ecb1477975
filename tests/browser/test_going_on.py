"""Pages that update themselves while somebody uses them."""

import contextlib
import re
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Error, expect

from ccari.policy.call import Stage
from ccari.policy.rights import Right
from ccari.ports.access import Role
from ccari.ports.live import Taped
from ccari.web.front import Front
from tests.browser.conftest import SECONDS, Opened, Pictures
from tests.browser.hands import Keyboard, Mouse
from tests.browser.test_appearance import faults
from tests.browser.test_jobs import Made, by_either
from tests.browser.world import TALK
from tests.unit.web.test_events import card
from tests.unit.web.test_live_calls import board, live

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The page's stream, for a test that must know what has arrived.
NOTED = "window.EventSource = class extends EventSource { constructor(url) { super(url); window.source = this; } };"
#: From now on, ``told`` appears when the page has received the next change.
TOLD = "window.told = new Promise((done) => { source.addEventListener('page', () => done(), { once: true }); }); 0"

#: ``refused`` appears when the page knows that its last request was refused. The browser sometimes reports such a
#: request as finished, and sometimes as failed.
REFUSED = """
window.EventSource = class extends EventSource {
  constructor(url) {
    super(url);
    window.refused = new Promise((done) => { this.addEventListener('error', () => done(), { once: true }); });
  }
};
"""

#: Firefox does not make a button active that is pressed with the space bar (tried with 153).
NOTHING_IS_ACTIVE = """
const found = Element.prototype.querySelector;
Element.prototype.querySelector = function (what) { return what === ":active" ? null : found.call(this, what); };
"""

#: ``stale`` is true once the page has said that it is not live, even briefly.
STALE = """
(() => {
  const note = document.querySelector("[data-stale]");
  window.stale = !note.hidden;
  new MutationObserver(() => { window.stale ||= !note.hidden; }).observe(note, { attributes: true });
})()
"""


@by_either
async def test_a_call_goes_on_and_the_page_does_not(opened: Opened, front: Front, hand: Made) -> None:
    at = hand(await opened(Role.OPS))
    page = at.page
    await at.follow("Live")
    row = page.locator("tbody tr").filter(has=page.locator(f'a[href$="{TALK.call_id}"]'))
    await expect(row).to_contain_text("talking")
    if isinstance(at, Keyboard):
        await at.to("+48", f'[id="call-{TALK.call_id}"] a')
    board(front).put(replace(TALK, stage=Stage.FAREWELL))
    await expect(row).to_contain_text("last announcement")
    if isinstance(at, Keyboard):
        # the focus is still on the call when the page has changed
        await expect(row.get_by_role("link")).to_be_focused()
    pause = page.get_by_role("button", name="Pause")
    await at.press("Pause")
    board(front).put(TALK)
    await expect(pause).to_have_class(re.compile("newer"))
    await expect(row).to_contain_text("last announcement")
    await at.press("Pause")
    await expect(row).to_contain_text("talking")
    await page.context.close()


async def test_without_scripts_a_button_that_does_nothing_is_shown(
    opened: Opened, chromium: Browser, url: str
) -> None:
    signed_in = (await opened(Role.OPS)).context
    context = await chromium.new_context(
        java_script_enabled=False, storage_state=await signed_in.storage_state(), locale="en"
    )
    context.set_default_timeout(SECONDS * 1000)
    page = await context.new_page()
    await page.goto(f"{url}/console/live")
    pause = page.get_by_text("Pause", exact=True).filter(visible=True)
    await expect(pause).to_have_attribute("href", "/console/live?live=off")
    await context.close()
    await signed_in.close()


async def test_the_keyboard_is_lost_with_a_call_that_ends(opened: Opened, front: Front) -> None:
    hand = Keyboard(await opened(Role.OPS))
    page = hand.page
    gone, stays = live("talk"), live("talk")
    for call in (gone, stays):
        board(front).put(call)
    await hand.follow("Live")
    await hand.to("+48", f'[id="call-{gone.call_id}"] a')
    board(front).put(replace(gone, stage=Stage.CLOSED))
    await expect(page.locator(f'[id="call-{stays.call_id}"]')).to_be_focused()
    await hand.to("+48", f'[id="call-{stays.call_id}"] a')
    board(front).put(replace(stays, stage=Stage.CLOSED))
    await expect(page.locator(f'[id="call-{stays.call_id}"]')).to_have_count(0)
    await expect(page.locator("[data-events] :focus")).to_have_count(1)
    await page.context.close()


async def test_an_agent_who_goes_on_pressing_registers_what_nobody_wants(
    opened: Opened, front: Front
) -> None:
    hand = Keyboard(await opened(Role.AGENT))
    page = hand.page
    async with page.expect_response(re.compile("agent/events")):
        await page.reload()
    await expect(page.locator("[data-shown]")).to_be_visible()
    call = f'[id="call-{TALK.call_id}"]'
    await hand.to("restriction", f"{call} button")
    board(front).put(replace(TALK, rights=(Right.RESTRICTION,)))
    await expect(page.locator(call)).to_be_focused()
    await hand.to("portability", f"{call} button")
    board(front).put(replace(TALK, stage=Stage.FAREWELL))
    await expect(page.locator(call)).to_be_focused()
    board(front).put(TALK)
    await expect(page.locator(f"{call} button").first).to_be_enabled()
    await expect(page.locator(call)).to_be_focused()
    await page.context.close()


async def test_an_agent_cannot_register_a_right_by_keyboard_alone(
    opened: Opened, front: Front, pictures: Pictures
) -> None:
    hand = Keyboard(await opened(Role.AGENT))
    page = hand.page
    async with page.expect_response(re.compile("agent/events")):
        await page.reload()
    await expect(page.locator("[data-shown]")).to_be_visible()
    front.cards.hand_out(replace(card(), call_id=TALK.call_id))
    await expect(page.get_by_text("Z umowy zawartej z ACME.")).to_be_visible()
    await pictures(page, "agent-card")
    assert await faults(page) == []
    place = page.locator(f'[id="right-{TALK.call_id}-restriction"]')
    await hand.to("restriction", f'[id="call-{TALK.call_id}"] button')
    # the page changes while the agent types, and the focus stays where it was
    board(front).put(replace(TALK, recording=Taped.PAUSED))
    await expect(page.locator("section").get_by_text("recording paused")).to_be_visible()
    # screen readers are told about it in a few words
    await expect(page.get_by_role("status")).to_contain_text("talking, recording paused")
    await expect(place).to_be_focused()
    await hand.follow("restriction", "button")
    await expect(page.locator(".note.good")).to_contain_text("Sent: restriction")
    await expect(place).to_be_disabled()
    board(front).put(TALK)
    await page.context.close()


@pytest.mark.parametrize(
    ("hand", "script"),
    [(Mouse, ""), (Keyboard, ""), (Keyboard, NOTHING_IS_ACTIVE)],
    ids=["mouse", "keyboard", "keyboard in Firefox"],
)
async def test_nothing_comes_of_a_click_during_which_the_page_changes(
    opened: Opened, front: Front, hand: Made, script: str
) -> None:
    at = hand(await opened(Role.AGENT))
    page = at.page
    await page.add_init_script(NOTED + script)
    await page.reload()
    await expect(page.locator("[data-shown]")).to_be_visible()
    by_keyboard = isinstance(at, Keyboard)
    right = Right.RECTIFICATION if by_keyboard else Right.HUMAN_REVIEW
    call = page.locator(f'[id="call-{TALK.call_id}"]')
    button = call.locator(f'button[value="{right}"]')

    async def changes(to: Taped) -> None:
        """While the button is pressed."""
        await button.focus()
        await button.hover()
        await (page.keyboard.down("Space") if by_keyboard else page.mouse.down())
        await page.evaluate(TOLD)
        board(front).put(replace(TALK, recording=to))
        await page.evaluate("told")

    # somebody who changes their mind sees what has changed
    await changes(Taped.PAUSED)
    if by_keyboard:
        await page.keyboard.press("Tab")
        await page.keyboard.up("Space")
    else:
        await page.mouse.move(0, 0)
        await page.mouse.up()
    await expect(call).to_contain_text("recording paused")
    await changes(Taped.ON)
    async with page.expect_navigation():
        await (page.keyboard.up("Space") if by_keyboard else page.mouse.up())
    await expect(page.locator(".note.good")).to_contain_text("Sent:")
    await expect(button).to_be_disabled()
    board(front).put(TALK)
    await page.context.close()


async def test_a_page_that_hears_nothing_any_more_seems_to_be_live(
    opened: Opened, url: str, front: Front
) -> None:
    page = await opened(Role.OPS)
    await page.add_init_script(NOTED)
    await page.clock.install()
    await page.goto(f"{url}/console/live")
    await expect(page.locator("[data-shown]")).to_be_visible()
    await page.evaluate(STALE)
    # a quiet minute, in which the server only sends keep-alives
    for _ in range(4):
        await page.clock.fast_forward(15_000)
        await page.evaluate("source.dispatchEvent(new MessageEvent('beat'))")
    assert not await page.evaluate("stale")
    async with page.expect_request(re.compile("live/events")):
        await page.clock.fast_forward(60_000)
    assert await page.evaluate("stale")
    # and it resumes updating by itself
    await expect(page.locator("[data-stale]")).to_be_hidden()
    board(front).put(replace(TALK, stage=Stage.FAREWELL))
    await expect(page.locator(f'[id="call-{TALK.call_id}"]')).to_contain_text("last announcement")
    board(front).put(TALK)
    await page.context.close()


async def test_a_page_gives_up_while_a_proxy_says_that_the_service_is_away(opened: Opened, url: str) -> None:
    page, events = await opened(Role.OPS), re.compile("live/events")
    await page.add_init_script(REFUSED)
    await page.clock.install()
    await page.route(events, lambda route: route.fulfill(status=502))
    await page.goto(f"{url}/console/live")
    for _ in range(2):
        await page.evaluate("refused")
        await expect(page.locator("[data-stale]")).to_be_visible()
        async with page.expect_request(events):
            await page.clock.fast_forward(60_000)
    await page.evaluate("refused")
    await page.unroute(events)
    await page.clock.fast_forward(60_000)
    await expect(page.locator("[data-stale]")).to_be_hidden()
    await page.context.close()


async def test_a_page_does_not_say_that_it_is_no_longer_live(opened: Opened, url: str, front: Front) -> None:
    page = await opened(Role.OPS, anew=True)
    async with page.expect_response(re.compile("live/events")):
        await page.get_by_role("link", name="Live").click()
    # and screen readers say so
    stale = page.get_by_role("alert")
    await expect(page.locator("[data-shown]")).to_be_visible()
    await expect(stale).to_be_hidden()
    other = await page.context.new_page()
    await other.goto(f"{url}/console/live")
    await other.get_by_role("button", name="Sign out").click()
    await other.locator("#token").wait_for()
    for stage in (Stage.FAREWELL, Stage.TALK) * 10:
        # the session is checked when there is something to send
        board(front).put(replace(TALK, stage=stage))
        with contextlib.suppress(Error):
            await stale.wait_for(timeout=1000)
            break
    await expect(stale).to_be_visible()
    board(front).put(TALK)
    await page.context.close()
