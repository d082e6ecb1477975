"""Somebody at the console, with the mouse or with only the keyboard. Both find elements by the words on the screen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from playwright.async_api import ElementHandle, Page

#: The most presses of Tab to reach anything on one of our pages.
MOST_STEPS = 150
#: The most options of a list to choose from.
MOST_OPTIONS = 40

#: Elements among these that have this name: visible ones, by their text.
_NAMED = """
(kinds, name) => [...document.querySelectorAll(kinds)].filter((each) => {
  const label = each.labels && each.labels[0];
  const called = each.getAttribute("aria-label") || (label || each).innerText || "";
  return called.trim().startsWith(name) && each.checkVisibility() && !each.disabled;
})
"""
#: The next of them after the current position, as a reader finds it; else the last one before it.
_NEXT = f"""
([kinds, name]) => {{
  const found = ({_NAMED})(kinds, name), here = document.activeElement;
  const after = found.find((each) => here.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING);
  return after || found.at(-1) || null;
}}
"""
#: The direction to the element with this name from the focus: 0 there, 1 forwards, -1 back; nothing if there is none.
_WAY = f"""
([kinds, name]) => {{
  const found = ({_NAMED})(kinds, name), here = document.activeElement;
  if (found.includes(here)) return 0;
  if (!found.length) return null;
  return found.some((each) => here.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING) ? 1 : -1;
}}
"""
#: What keeps somebody from seeing the focus (WCAG 2.4.7, 2.4.11); "" if nothing does.
UNSEEN = """
() => {
  const here = document.activeElement;
  if (!here || here === document.body) return "";
  const told = here.outerHTML.slice(0, 90), style = getComputedStyle(here), box = here.getBoundingClientRect();
  const width = parseFloat(style.outlineWidth), room = width + parseFloat(style.outlineOffset);
  if (style.outlineStyle === "none" || width < 2) return `nothing shows that the keyboard is here: ${told}`;
  for (let above = here.parentElement; above && above !== document.body; above = above.parentElement) {
    const how = getComputedStyle(above), edge = above.getBoundingClientRect();
    const cutsX = how.overflowX !== "visible" && (box.left - room < edge.left - 1 || box.right + room > edge.right + 1);
    const cutsY = how.overflowY !== "visible" && (box.top - room < edge.top - 1 || box.bottom + room > edge.bottom + 1);
    if (cutsX || cutsY) return `its ring is cut off: ${told}`;
  }
  const seen = [...here.getClientRects()].map((each) => [
    Math.max(each.left, 0), Math.max(each.top, 0), Math.min(each.right, innerWidth), Math.min(each.bottom, innerHeight),
  ]).filter(([left, top, right, bottom]) => right > left && bottom > top);
  if (!seen.length) return `it is out of sight: ${told}`;
  const [left, top, right, bottom] = seen[0];
  const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return here.contains(there) ? "" : `something covers it: ${told}`;
}
"""
#: Everything that the keyboard can reach.
_REACHED = """
[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, audio, [tabindex='0']")]
  .filter((each) => each.checkVisibility() && !each.disabled)
"""
_STEP = f"""
(() => {{
  window.left.delete(document.activeElement);
  return [document.activeElement === document.body, ({UNSEEN})()];
}})()
"""
#: When scrolling to it has finished.
_DRAWN = "new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })"


class Hand(Protocol):
    """``name``: the beginning of the visible text. An element after the current position is preferred to one before
    it.
    """

    page: Page

    async def press(self, name: str, kinds: str = ...) -> None:
        """Press a button or a link, or unfold details."""
        ...

    async def follow(self, name: str, kinds: str = ...) -> None:
        """Press it, and wait for the page that it leads to."""
        ...

    async def fill(self, name: str, words: str) -> None: ...

    async def choose(self, name: str, option: str) -> None: ...

    async def tick(self, name: str) -> None: ...

    async def bring(self, name: str, file: Path) -> None: ...


_PRESSED = "a, button, summary"
_FILLED = "input, textarea"


class Mouse:
    def __init__(self, page: Page) -> None:
        self.page = page

    async def press(self, name: str, kinds: str = _PRESSED) -> None:
        await (await self._next(name, kinds)).click()

    async def follow(self, name: str, kinds: str = _PRESSED) -> None:
        async with self.page.expect_navigation():
            await self.press(name, kinds)

    async def fill(self, name: str, words: str) -> None:
        field = await self._next(name, _FILLED)
        await field.click()
        await field.fill(words)

    async def choose(self, name: str, option: str) -> None:
        field = await self._next(name, "select")
        labels = await field.evaluate("(list) => [...list.options].map((each) => each.text.trim())")
        await field.focus()
        await field.select_option(label=next(each for each in labels if each.startswith(option)))

    async def tick(self, name: str) -> None:
        await (await self._next(name, "input")).check()

    async def bring(self, name: str, file: Path) -> None:
        async with self.page.expect_file_chooser() as coming:
            await self.press(name, "input")
        await (await coming.value).set_files(file)

    async def _next(self, name: str, kinds: str) -> ElementHandle:
        found = (await self.page.evaluate_handle(_NEXT, [kinds, name])).as_element()
        assert found, f"{name!r} is not to be seen"
        return found


class Keyboard:
    """Checks at each press of Tab that the focus is visible."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def press(self, name: str, kinds: str = _PRESSED) -> None:
        await self.to(name, kinds)
        await self.page.keyboard.press("Enter")

    async def follow(self, name: str, kinds: str = _PRESSED) -> None:
        await self.to(name, kinds)
        async with self.page.expect_navigation():
            await self.page.keyboard.press("Enter")

    async def fill(self, name: str, words: str) -> None:
        await self.to(name, _FILLED)
        await self.page.keyboard.type(words)

    async def choose(self, name: str, option: str) -> None:
        await self.to(name, "select")
        await self.page.keyboard.press("Home")
        for _ in range(MOST_OPTIONS):
            chosen = await self.page.evaluate(
                "(({selectedOptions: [one]}) => one ? one.text.trim() : '')(document.activeElement)"
            )
            if chosen.startswith(option):
                return
            await self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrows never come to {option!r}")

    async def tick(self, name: str) -> None:
        await self.to(name, "input")
        await self.page.keyboard.press("Space")

    async def bring(self, name: str, file: Path) -> None:
        await self.to(name, "input")
        async with self.page.expect_file_chooser() as coming:
            await self.page.keyboard.press("Enter")
        await (await coming.value).set_files(file)

    async def to(self, name: str, kinds: str = "*") -> None:
        """Go there with Tab, or back with Shift and Tab."""
        for _ in range(MOST_STEPS):
            unseen = await self.page.evaluate(UNSEEN)
            assert not unseen or not await self.page.evaluate(f"{_DRAWN}.then({UNSEEN})"), unseen
            way = await self.page.evaluate(_WAY, [kinds, name])
            assert way is not None, f"{name!r} is not to be seen"
            if way == 0:
                return
            await self.page.keyboard.press("Tab" if way > 0 else "Shift+Tab")
        raise AssertionError(f"Tab never comes to {json.dumps(name)}")


async def lost(page: Page) -> list[str]:
    """What keeps somebody from reaching everything with Tab, from the top, and from seeing the focus."""
    await page.evaluate(f"window.left = new Set({_REACHED})")
    told: list[str] = []
    for _ in range(MOST_STEPS):
        await page.keyboard.press("Tab")
        over, unseen = await page.evaluate(_STEP)
        if over:
            break
        if unseen:
            told.append(await page.evaluate(f"{_DRAWN}.then({UNSEEN})"))
    missed = await page.evaluate("[...window.left].map((each) => each.outerHTML.slice(0, 90))")
    return [each for each in told if each] + [f"Tab never comes to {each}" for each in missed]


HANDS: dict[str, Callable[[Page], Hand]] = {"mouse": Mouse, "keyboard": Keyboard}
