"""``/metrics``: open to whoever reaches the port, and so about nobody."""

import asyncio

import aiohttp
from aiohttp.test_utils import make_mocked_request

from ccari.metrics.meter import Metrics
from ccari.web.front import Front
from ccari.web.metrics import ANSWER_SECONDS, Scraped
from ccari.web.server import application
from tests.unit.web.api import listening


async def test_a_scraper_needs_a_token_or_learns_what_others_asked_for(front: Front) -> None:
    metrics = Metrics()
    asked = "/v1/calls/4c3c2a5e-0000-4000-8000-000000000000"
    async with (
        listening(application({}, front, meter=metrics, exposition=metrics)) as url,
        aiohttp.ClientSession() as session,
    ):
        for path in (asked, "/v1/48600100001", "/healthz"):
            async with session.get(url + path):
                pass
        async with session.request("PROPFIND", url + asked):
            pass
        async with session.get(f"{url}/metrics") as told:
            assert (told.status, told.content_type) == (200, "text/plain")
            text = await told.text()
    assert 'ccari_http_request_seconds_count{method="GET",route="/v1/calls/{id}",status="4xx"} 1.0' in text
    assert 'ccari_http_request_seconds_count{method="GET",route="",status="4xx"} 1.0' in text
    assert 'method="other"' in text
    assert "48600100001" not in text
    assert "4c3c2a5e" not in text
    assert "_created" not in text


async def test_whoever_scrapes_without_end_takes_the_loop_from_the_calls() -> None:
    class Counted:
        asked = 0

        async def exposed(self) -> bytes:
            self.asked += 1
            await asyncio.sleep(0)
            return b""

    counted, now = Counted(), [100.0]
    scraped = Scraped(counted, lambda: now[0])
    await asyncio.gather(*(scraped.answer(make_mocked_request("GET", "/metrics")) for _ in range(50)))
    assert counted.asked == 1
    now[0] += ANSWER_SECONDS
    await scraped.answer(make_mocked_request("GET", "/metrics"))
    assert counted.asked == 2
