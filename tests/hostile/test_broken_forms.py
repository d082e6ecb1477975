"""Forms with a file, broken in each place: refused as broken, with nothing from them in the log."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
import pytest_asyncio

from ccari.ports.access import Role
from ccari.store.opened import Store
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import Visitor, browser, signed_in

IMPORT, PLAY = "/console/suppressions/import", "/console/recordings/00000000-0000-4000-8000-000000000000/play"
LINES = f"number,reason\r\n{NUMBER},erasure\r\n"
FIELD, END = 'content-disposition: form-data; name="why"', "\r\n--x--\r\n"
FILE = 'content-disposition: form-data; name="file"; filename="list.csv"'
CHARSET = 'content-disposition: form-data; name="_charset_"'
#: Appended to the fields, or in place of the first, where aiohttp looks for a charset.
BROKEN = {
    "a charset that never ends": f"{CHARSET}\r\n\r\n{'x' * 100}{END}",
    "a charset that is no text": f"{CHARSET}\r\n\r\n\udcff{END}",
    "a header that is none": f"{FILE}\r\n{NUMBER}\r\n\r\n{LINES}{END}",
    "a header that is no text": f"{FILE}\r\n\udcff: \udcff\r\n\r\n{LINES}{END}",
    "a header that never ends": f"{FILE}\r\nx: {'x' * 10_000}\r\n\r\n{LINES}{END}",
    "headers that never end": FILE + "\r\nx: y" * 200 + f"\r\n\r\n{LINES}{END}",
    "a form within the form": f"{FILE}\r\ncontent-type: multipart/mixed\r\n\r\n{LINES}{END}",
    "a field that never ends": f"{FIELD}\r\n\r\n{NUMBER}",
    "a file that never ends": f"{FILE}\r\n\r\n{LINES}",
}
#: Those of them that aiohttp takes for a field without a name.
NAMELESS = {
    "no disposition": f"x: y\r\n\r\n{LINES}{END}",
    "a disposition that is none": f"content-disposition: {NUMBER} x; y\r\n\r\n{LINES}{END}",
    "a name that is none": f"content-disposition: form-data; name={NUMBER} x\r\n\r\n{LINES}{END}",
    "a name in no charset": f"content-disposition: form-data; name*=nonsense''{NUMBER}\r\n\r\n{LINES}{END}",
}
pytestmark = [
    pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader"),
    pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionParam"),
    pytest.mark.parametrize("path", [IMPORT, PLAY], ids=["an import", "listening"]),
]


@pytest_asyncio.fixture
async def visitor(api: Api) -> AsyncIterator[Visitor]:
    async with browser() as session:
        yield await signed_in(api, Visitor(api.url, session), Role.DPO)


async def answered(visitor: Visitor, path: str, last: str) -> int:
    """The status of the answer, which contains no number."""
    csrf = (await visitor.get(IMPORT)).form(IMPORT).fields["csrf"]
    given = {} if last.startswith(CHARSET) else {"csrf": csrf, "controller": "acme"}
    fields = "".join(
        f'--x\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in given.items()
    )
    data = f"{fields}--x\r\n{last}".encode(errors="surrogateescape")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    async with visitor.session.post(visitor.url + path, data=data, headers=headers) as answer:
        assert NUMBER not in await answer.text()
        return answer.status


async def test_a_broken_form_makes_it_fail_or_is_taken(
    visitor: Visitor, store: Store, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    for what, last in BROKEN.items():
        assert await answered(visitor, path, last) == HTTPStatus.BAD_REQUEST, what
    assert await store.suppressions.page(None, 10, None) == []
    assert NUMBER not in "".join(capfd.readouterr())


async def test_a_field_without_a_name_makes_it_fail_or_is_taken_for_the_file(
    visitor: Visitor, store: Store, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    refused = {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_FOUND}
    for what, last in NAMELESS.items():
        assert await answered(visitor, path, last) in refused, what
    assert await store.suppressions.page(None, 10, None) == []
    assert NUMBER not in "".join(capfd.readouterr())
