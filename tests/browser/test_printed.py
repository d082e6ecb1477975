"""Documents that people print, as Chromium lays them out on paper."""

from dataclasses import replace

import pytest
from playwright.async_api import Browser

from ccari.office.informing import layout
from ccari.office.informing.text import text
from ccari.office.processing.page import page
from ccari.office.processing.record import RECORD_LANGUAGES, RecordLanguage
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from tests.unit.office.test_processing import ACME, POLICY, SOURCE

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What A4 in landscape leaves between margins of 1.5 cm, at 96 pixels an inch.
WIDTH = 1009
#: As long as a purpose may be, without a place where its line can end.
LONG = POLICY.campaigns[0].model_copy(update={"purpose": "W" * 200})


@pytest.mark.parametrize("language", RECORD_LANGUAGES)
async def test_a_record_of_processing_is_cut_off_at_the_edge_of_the_paper(
    chromium: Browser, language: RecordLanguage
) -> None:
    source = replace(SOURCE, policy=POLICY.model_copy(update={"campaigns": (LONG, *POLICY.campaigns)}))
    paper = await chromium.new_page(viewport={"width": WIDTH, "height": 680})
    await paper.emulate_media(media="print")
    for controller in (ACME, None):
        await paper.set_content(page(source, controller, language).decode())
        assert await paper.evaluate("document.documentElement.scrollWidth") <= WIDTH
        # else a short column is as narrow as a letter, and breaks its words anywhere
        narrowest = "Math.min(...[...document.querySelectorAll('thead th')].map(each => each.offsetWidth))"
        assert await paper.evaluate(narrowest) > WIDTH / 8
    await paper.close()


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
async def test_the_information_for_people_is_wider_than_a_telephone_or_its_gaps_are_not_seen(
    chromium: Browser, language: AnswerLanguage
) -> None:
    source = replace(SOURCE, policy=POLICY.model_copy(update={"campaigns": (LONG, *POLICY.campaigns[1:])}))
    held = await chromium.new_page(viewport={"width": 320, "height": 640})
    await held.set_content(layout.page(text(source, ACME, language)).decode())
    assert await held.evaluate("document.documentElement.scrollWidth") <= 320
    colour = "getComputedStyle(document.querySelector('{}')).backgroundColor"
    plain, marked = await held.evaluate(f"[{colour.format('body')}, {colour.format('mark')}]")
    assert plain != marked
    # nothing for the controller alone is on a page that people are given
    await held.emulate_media(media="print")
    assert (
        await held.evaluate("getComputedStyle(document.querySelector('.to-complete')).breakBefore") == "page"
    )
    assert await held.locator("section.apart h2").count() == 1
    await held.close()
