"""Every page, wide and narrow, light and dark, in both languages: nothing may keep anybody from using it."""

import re
from itertools import product
from typing import Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from ccari.ports.access import Role
from ccari.ports.subjects import ANSWER_LANGUAGES
from ccari.store.opened import Store
from tests.browser.conftest import WIDTHS, Opened, Pictures, Shade
from tests.browser.hands import lost

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = {
    Role.DPO: (
        "/console/subjects", "/console/requests", "/console/requests/new", "/console/requests/find", "/console/requests/ACME-2026-000001", "/console/requests/ACME-2026-000001/subject", "/console/requests/ACME-2026-000004",
        "/console/requests/ACME-2026-000001/letters/refused", "/console/nowhere",
        "/console/overview?days=30", "/console/live?live=off", "/console/live", "/console/calls/find", "/console/calls", "/console/calls/*", "/console/recordings", "/console/recordings/*", "/console/suppressions", "/console/suppressions/import", "/console/campaigns", "/console/campaigns/3",
    ),
    Role.AGENT: ("/console/agent",),
}  # fmt: skip
#: The impacts that shut somebody out; the others are advice.
GRAVE = {"serious", "critical"}
PDF_PAGE = re.compile(rb"/Type\s*/Page\b")
#: The digits of a SHA-256.
_HASH = 64
#: Words of a table that are broken over more than one line.
BROKEN = """
() => {
  const found = [], texts = document.createTreeWalker(document.querySelector("tbody"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) for (const word of texts.currentNode.data.matchAll(/[\\p{L}\\d:-]+/gu)) {
    const range = document.createRange();
    range.setStart(texts.currentNode, word.index);
    range.setEnd(texts.currentNode, word.index + word[0].length);
    if (new Set([...range.getClientRects()].map((each) => each.top)).size > 1) found.push(word[0]);
  }
  return found;
}
"""


async def faults(page: Page) -> list[str]:
    """The violations that axe finds, as rule and place."""
    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
        for each in found.response["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


async def scrolls_sideways(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


async def first(page: Page, below: str) -> str:
    """The target of the first link in the page's list."""
    found = await page.locator(f'tbody a[href^="{below}"]').first.get_attribute("href")
    assert found
    return found


@pytest.mark.parametrize(
    ("width", "language", "shade"),
    [("wide", "en", "light"), ("narrow", "pl", "dark")],
)
async def test_a_page_keeps_somebody_out(
    opened: Opened, url: str, pictures: Pictures, width: str, language: str, shade: Shade
) -> None:
    for role, paths in PAGES.items():
        page = await opened(role, width=WIDTHS[width], language=language, shade=shade)
        for path in paths:
            # a star stands for the first item of the list before it
            there = path if "*" not in path else await first(page, path.replace("*", ""))
            await page.goto(url + there)
            name = urlsplit(path).path.removeprefix("/console/").replace("/*", "-one").replace("/", "-")
            await pictures(page, f"{name}-{width}-{language}-{shade}")
            assert await page.get_attribute("html", "lang") == language
            await page.evaluate(
                "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            )
            assert await faults(page) == [], path
            assert not await scrolls_sideways(page), path
            assert await lost(page) == [], path
        await page.context.close()


async def test_a_page_scrolls_sideways_where_it_is_enlarged_four_times(opened: Opened, url: str) -> None:
    # 1280 pixels at 400 % (WCAG 1.4.10)
    page = await opened(width=320, language="pl")
    for path in PAGES[Role.DPO]:
        await page.goto(url + (path if "*" not in path else await first(page, path.replace("*", ""))))
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert not await scrolls_sideways(page), path
    await page.context.close()


async def test_larger_letters_that_the_browser_was_told_to_use_are_not_used(opened: Opened, url: str) -> None:
    page = await opened()
    devtools = await page.context.new_cdp_session(page)
    sizes = "[document.body, ...document.querySelectorAll('main *')].map((each) => parseFloat(getComputedStyle(each).fontSize))"
    for path in PAGES[Role.DPO]:
        there = url + (path if "*" not in path else await first(page, path.replace("*", "")))
        found = []
        for pixels in (16, 32):
            await devtools.send("Page.setFontSizes", {"fontSizes": {"standard": pixels, "fixed": pixels}})
            await page.goto(there)
            await page.evaluate(
                "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            )
            assert not await scrolls_sideways(page), path
            found.append(await page.evaluate(sizes))
        # on such a narrow screen, some texts are less than twice as large
        assert all(large > 1.5 * small for small, large in zip(*found, strict=True)), path
    await page.context.close()


async def test_the_form_to_sign_in_keeps_somebody_out(opened: Opened, url: str, pictures: Pictures) -> None:
    page = await opened(anew=True)
    await page.get_by_role("button", name="Sign out").click()
    await page.locator("#token").wait_for()
    for width in WIDTHS.values():
        await page.set_viewport_size({"width": width, "height": 900})
        await pictures(page, f"sign-in-{width}")
        assert await faults(page) == []
        assert not await scrolls_sideways(page)
    await page.context.close()


async def test_what_is_wrong_with_a_journal_is_not_printed(opened: Opened, url: str, centre: Store) -> None:
    changed = "UPDATE calls SET events = events + $1 WHERE id = (SELECT id FROM calls ORDER BY opened_at LIMIT 1) RETURNING id"
    page = await opened()
    await page.emulate_media(media="print")
    (call,) = await centre.database.rows(changed, 1)
    try:
        await page.goto(f"{url}/console/calls/{call['id']}")
        await expect(page.get_by_text("The call's journal is not intact")).to_be_visible()
        await expect(page.get_by_role("navigation")).to_be_hidden()
    finally:
        await centre.database.rows(changed, -1)
    await page.context.close()


async def test_the_list_of_requests_breaks_words_or_scrolls_sideways(
    opened: Opened, url: str, pictures: Pictures
) -> None:
    page = await opened(language="pl")
    for width in (1280, 1024):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto(f"{url}/console/requests")
        await pictures(page, f"requests-{width}-pl")
        assert not await scrolls_sideways(page)
        assert await page.evaluate(BROKEN) == []
    await page.context.close()


@pytest.mark.parametrize(
    ("media", "width"),
    # what A4 leaves between the margins of browsers, at 96 pixels an inch
    [("screen", 768), ("print", 718)],
    ids=["tablet, or 1280 pixels enlarged", "paper"],
)
async def test_a_list_breaks_words_or_is_cut_off(
    opened: Opened, url: str, pictures: Pictures, media: Literal["screen", "print"], width: int
) -> None:
    page = await opened(width=width, language="pl")
    await page.emulate_media(media=media)
    for path in ("requests", "calls", "recordings", "suppressions", "campaigns"):
        await page.goto(f"{url}/console/{path}")
        await pictures(page, f"{path}-{media}-{width}")
        assert not await scrolls_sideways(page), path
        # a reference may be broken at its hyphens
        assert [each for each in await page.evaluate(BROKEN) if "-" not in each] == [], path
    await page.context.close()


async def test_a_day_in_the_overviews_table_is_broken_over_two_lines(opened: Opened, url: str) -> None:
    page = await opened(width=WIDTHS["narrow"], language="pl")
    await page.goto(f"{url}/console/overview?days=30")
    await page.locator("summary").click()
    # the first table of the page
    assert await page.evaluate(BROKEN) == []
    assert not await scrolls_sideways(page)
    await page.context.close()


async def test_a_letter_scrolls_sideways_or_takes_more_than_a_page_in_a_language(
    opened: Opened, url: str, pictures: Pictures
) -> None:
    page = await opened(width=320)
    drafts = set()
    # an erasure, an access and an objection
    for reference in ("ACME-2026-000001", "ACME-2026-000002", "ACME-2026-000009"):
        await page.goto(f"{url}/console/requests/{reference}")
        drafts |= set(
            await page.locator('a[href*="/letters/"]').evaluate_all("all => all.map((each) => each.pathname)")
        )
    assert {each.rpartition("/")[2] for each in drafts} >= {"receipt", "identity", "extended", "refused"}
    for draft, language in product(sorted(drafts), ANSWER_LANGUAGES):
        await page.goto(f"{url}{draft}?language={language}")
        await expect(page.locator("article.letter")).to_have_attribute("lang", language)
        assert not await scrolls_sideways(page), (draft, language)
        for each in await page.locator("article.letter .reference").all():
            assert await each.evaluate("each => each.getClientRects().length") == 1, (draft, language)
        await page.emulate_media(media="print")
        await pictures(page, f"{draft.replace('/', '-')}-{language}")
        assert len(PDF_PAGE.findall(await page.pdf(format="A4", prefer_css_page_size=True))) == 1, (
            draft,
            language,
        )
        await page.emulate_media(media="screen")
    await page.context.close()


async def test_a_count_in_the_ten_thousands_reads_as_two(opened: Opened, url: str) -> None:
    page = await opened(Role.OPS)
    for width in (1280, 1024, *WIDTHS.values(), 320):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto(f"{url}/console/overview?days=30")
        counts = page.locator("table.bars td.amount, .tiles dd:not(.quiet)")
        # stands for a month of a large centre, which would take a minute to create
        await counts.evaluate_all("(all) => { for (const each of all) each.textContent = '1234567'; }")
        lines = await counts.evaluate_all(
            "(all) => all.map((each) => { const range = document.createRange(); range.selectNodeContents(each);"
            " return range.getClientRects().length; })"
        )
        assert set(lines) == {1}, width
        # nor does it extend beyond its own area
        assert await counts.evaluate_all(
            "(all) => all.every((each) => each.scrollWidth <= each.clientWidth)"
        ), width
        assert not await scrolls_sideways(page), width
    await page.context.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
async def test_the_journal_of_a_call_breaks_words_or_times_beside_a_hash(
    opened: Opened, url: str, pictures: Pictures, width: int
) -> None:
    page = await opened(width=width, language="pl")
    pressed = f"{url}/console/requests/ACME-2026-000001"
    await page.goto(pressed)
    call = await page.locator('a[href^="/console/calls/"]').first.get_attribute("href")
    for name, where in (("request", pressed), ("call", f"{url}{call}")):
        await page.goto(where)
        await pictures(page, f"journal-of-{name}-{width}")
        broken = set(await page.evaluate(BROKEN))
        hashes = {each for each in broken if len(each) == _HASH}
        assert hashes, "the test needs a hash that does not fit on one line"
        assert broken == hashes, where
    await page.context.close()
