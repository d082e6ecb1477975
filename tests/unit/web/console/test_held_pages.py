"""Pages that update by themselves, for those without scripts: they can be paused and continued (WCAG 2.2.2)."""

import re
from http import HTTPStatus

import pytest

from ccari.ports.access import Role
from tests.unit.web.api import Api
from tests.unit.web.console.browsing import Visitor, signed_in

GOES_ON = re.compile(r'<noscript><meta http-equiv="refresh" content="\d+"></noscript>')


@pytest.mark.parametrize(
    ("home", "role"), [("/console/live", Role.OPS), ("/console/agent", Role.AGENT)], ids=["live", "agent"]
)
async def test_a_page_cannot_be_held_without_scripts(
    api: Api, visitor: Visitor, home: str, role: Role
) -> None:
    await signed_in(api, visitor, role, agent="anna" if role is Role.AGENT else None)
    going = await visitor.get(home)
    assert GOES_ON.search(going.text)
    hold = re.search(r'<noscript><a [^>]*href="([^"]+)">Pause</a></noscript>', going.text)
    assert hold
    held = await visitor.get(hold[1])
    assert held.status == HTTPStatus.OK
    assert "refresh" not in held.text
    # nor by the script, which a browser that has one would run
    assert "console.js" not in held.text
    assert "Paused, as it was at " in held.words
    assert f'<a class="button small" href="{home}">Continue</a>' in held.text
    assert (await visitor.get(f"{home}?live=on")).status == HTTPStatus.UNPROCESSABLE_ENTITY
