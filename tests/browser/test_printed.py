"""Documents that people print, as Chromium lays them out on paper."""

from dataclasses import replace

import pytest
from playwright.async_api import Browser

from ccari.office.processing.page import page
from ccari.office.processing.record import RECORD_LANGUAGES, RecordLanguage
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
