"""Campaigns and revisions in the console: what changed is shown, and nothing of another controller's."""

from http import HTTPStatus

from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.console.campaigns import _differences
from tests.unit.web.api import TWO, Api
from tests.unit.web.console.browsing import Visitor, signed_in

HOME = "/console/campaigns"
MARKUP = "<script>alert(1)</script>"
CHANGED = TWO.replace('purpose = "odnowienie umowy"', f"purpose = '{MARKUP}'")


async def test_a_revision_of_old_is_said_to_be_in_force(api: Api, visitor: Visitor, store: Store) -> None:
    newest = [await store.policies.apply(f"{TWO}# {each}\n", "cli:anna") for each in range(3)][-1]
    await signed_in(api, visitor, Role.OPS)
    first = await visitor.get(f"{HOME}?limit=2")
    assert first.words.count("in force") == 1
    assert f"Revision {newest} in force" in first.words
    then = await visitor.get(f"{HOME}?limit=2&after={newest - 1}")
    assert f"Revision {newest - 2}" in then.words
    assert "in force" not in then.words


async def test_a_change_of_the_policy_is_not_shown(api: Api, visitor: Visitor, store: Store) -> None:
    number = await store.policies.apply(CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.OPS)
    home = await visitor.get(HOME)
    assert MARKUP not in home.text
    assert f"{HOME}/{number}" in home.text
    seen = await visitor.get(f"{HOME}/{number}")
    assert MARKUP not in seen.text
    assert seen.text.count('<tr class="plus">') == 1
    assert seen.text.count('<tr class="minus">') == 1
    assert "cli:anna" in seen.words
    assert "odnowienie umowy" in seen.words
    first = await visitor.get(f"{HOME}/{number}?against=1")
    assert "Changed since revision 1" in first.words
    assert "There is no difference" in (await visitor.get(f"{HOME}/{number}?against={number}")).words
    assert (await visitor.get(f"{HOME}/99")).status == HTTPStatus.NOT_FOUND
    assert (await visitor.get(f"{HOME}/1?against=99")).status == HTTPStatus.NOT_FOUND


async def test_a_token_of_one_controller_sees_anothers_campaigns(
    api: Api, visitor: Visitor, store: Store
) -> None:
    number = await store.policies.apply(CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.AUDITOR, "other")
    for path in (HOME, f"{HOME}/{number}", f"{HOME}/{number}?against=1"):
        seen = await visitor.get(path)
        assert seen.status == HTTPStatus.OK
        assert "renewals" not in seen.text
        assert "ACME" not in seen.text
        assert "alert(1)" not in seen.text
    assert "umfrage" in (await visitor.get(HOME)).words


def test_a_difference_lacks_a_line_or_has_a_wrong_number() -> None:
    old = [f"line {each}" for each in range(20)]
    new = [*old[:10], "new", *old[11:]]
    told = [(each.sign, each.old, each.new, each.text) for each in _differences(old, new)]
    assert told[0] == ("…", None, None, "")
    assert ("-", 11, None, "line 10") in told
    assert ("+", None, 11, "new") in told
    assert (" ", 8, 8, "line 7") in told
    assert len(told) == 9
    assert list(_differences(old, old)) == []
