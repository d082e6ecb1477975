"""Campaigns and revisions in the console: what changed is shown, and nothing of another controller's."""

import difflib
import random
from collections.abc import Sequence
from html import unescape
from http import HTTPStatus

import pytest

from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.console.campaigns import _differences
from ccari.web.console.comparing import MOST_AT_ONCE
from tests.unit.store.forging import apply_unread
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
    assert "anna (command line)" in seen.words
    assert "odnowienie umowy" in seen.words
    first = await visitor.get(f"{HOME}/{number}?against=1")
    assert "Changed since revision 1" in first.words
    assert "There is no difference" in (await visitor.get(f"{HOME}/{number}?against={number}")).words
    assert (await visitor.get(f"{HOME}/99")).status == HTTPStatus.NOT_FOUND
    assert (await visitor.get(f"{HOME}/1?against=99")).status == HTTPStatus.NOT_FOUND


async def test_a_revision_that_this_version_refuses_takes_the_page_of_the_next_with_it(
    api: Api, visitor: Visitor, store: Store
) -> None:
    unsound = await apply_unread(store, TWO.replace('id = "umfrage"', 'id = "umfrage"\nformerly = 1'))
    newest = await store.policies.apply(CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.OPS)
    seen = await visitor.get(f"{HOME}/{newest}")
    assert seen.status == HTTPStatus.OK
    assert f"Revision {unsound} cannot be read by this version of ccari" in seen.words
    assert "renewals" in seen.words
    assert 'class="plus"' not in seen.text
    assert "Changed since revision 1" in (await visitor.get(f"{HOME}/{newest}?against=1")).words
    for path in (f"{HOME}/{unsound}", f"{HOME}/{unsound}/record"):
        refused = await visitor.get(path)
        assert refused.status == HTTPStatus.CONFLICT
        assert "is not valid for this version of ccari" in refused.words


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


async def test_a_token_of_one_controller_does_not_see_how_long_looks_are_kept(
    api: Api, visitor: Visitor, store: Store
) -> None:
    await store.policies.apply("accesses_days = 400\n" + CHANGED, "cli:anna")
    number = await store.policies.apply("accesses_days = 800\n" + CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.AUDITOR, "other")
    words = (await visitor.get(f"{HOME}/{number}")).words
    assert '"accesses_days": 400' in unescape(words)
    assert '"accesses_days": 800' in unescape(words)


async def test_a_record_of_processing_names_another_controller_or_is_opened_as_a_page(
    api: Api, visitor: Visitor, store: Store
) -> None:
    number = await store.policies.apply(CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.AUDITOR, "other")
    assert f"{HOME}/{number}/record?controller=other" in (await visitor.get(f"{HOME}/{number}")).text
    for query in ("", "?controller=other"):
        seen = await visitor.get(f"{HOME}/{number}/record{query}")
        assert seen.status == HTTPStatus.OK
        # with a style sheet of its own, which the console's pages may not have
        wanted = f'attachment; filename="record-{number}-other.html"'
        assert seen.headers["content-disposition"] == wanted
        assert "Other GmbH" in seen.words
        assert "ACME" not in seen.text
    denied = await visitor.get(f"{HOME}/{number}/record?controller=acme")
    assert denied.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "ACME" not in denied.text


async def test_the_centres_record_lacks_a_controller_or_a_record_is_of_another_revision(
    api: Api, visitor: Visitor, store: Store
) -> None:
    number = await store.policies.apply(CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.DPO)
    page = (await visitor.get(f"{HOME}/{number}")).text
    for query in ("", "?controller=acme", "?controller=other"):
        assert f'href="{HOME}/{number}/record{query}"' in page
    centre = await visitor.get(f"{HOME}/{number}/record")
    assert f'filename="record-{number}-processor.html"' in centre.headers["content-disposition"]
    assert {"ACME", "Other"} <= set(centre.words.split())
    assert "odnowienie umowy" in (await visitor.get(f"{HOME}/1/record?controller=acme")).words
    newest = await visitor.get(f"{HOME}/{number}/record?controller=acme")
    assert "odnowienie umowy" not in newest.words
    assert MARKUP not in newest.text
    assert (await visitor.get(f"{HOME}/99/record")).status == HTTPStatus.NOT_FOUND


async def test_the_information_for_people_is_anothers_or_of_another_revision_or_in_one_language_only(
    api: Api, visitor: Visitor, store: Store
) -> None:
    number = await store.policies.apply(CHANGED, "cli:anna")
    await signed_in(api, visitor, Role.AUDITOR, "other")
    page = (await visitor.get(f"{HOME}/{number}")).text
    assert "controller=acme" not in page
    for language, title in (
        ("uk", "Як ми використовуємо"),
        ("de", "Wie wir Ihre"),
        ("pl", "Jak wykorzystujemy"),
        ("en", "How your"),
    ):
        path = f"{HOME}/{number}/information?controller=other&amp;language={language}"
        assert f'href="{path}"' in page
        seen = await visitor.get(path.replace("&amp;", "&"))
        assert title in seen.words
        wanted = f'attachment; filename="information-{number}-other-{language}.html"'
        assert seen.headers["content-disposition"] == wanted
        assert "Other GmbH" in seen.words
        assert "ACME" not in seen.text
    for query in (
        "controller=acme&language=pl",
        "controller=other&language=fr",
        "controller=other",
        "language=pl",
    ):
        refused = await visitor.get(f"{HOME}/{number}/information?{query}")
        assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY, query
        assert "ACME" not in refused.text
    await signed_in(api, visitor, Role.DPO)
    query = "controller=acme&language=pl"
    assert "odnowienie umowy" in (await visitor.get(f"{HOME}/1/information?{query}")).words
    newest = await visitor.get(f"{HOME}/{number}/information?{query}")
    assert "odnowienie umowy" not in newest.words
    assert MARKUP not in newest.text
    assert (await visitor.get(f"{HOME}/99/information?{query}")).status == HTTPStatus.NOT_FOUND


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


def _campaigns(count: int, days: int) -> list[str]:
    """As a file declares them, with most of the lines the same in each."""
    same = [f"setting_{each} = {each}" for each in range(30)]
    return [
        line
        for each in range(count)
        for line in (
            "[[campaigns]]",
            f'id = "c{each}"',
            *same[:15],
            f"retention_days = {days}",
            *same[15:],
            "",
        )
    ]


def test_a_change_in_every_campaign_costs_more_than_the_campaigns_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It grew with the cube of the lines, and occupied a turn of those who place calls."""
    looked_at = 0
    find = difflib.SequenceMatcher.find_longest_match

    def counted(
        self: difflib.SequenceMatcher[str], alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:  # fmt: skip
        nonlocal looked_at
        looked_at += ((ahi or 0) - alo) * ((bhi or 0) - blo)
        return find(self, alo, ahi, blo, bhi)

    monkeypatch.setattr(difflib.SequenceMatcher, "find_longest_match", counted)
    old, new = _campaigns(40, 90), _campaigns(40, 60)
    told = list(_differences(old, new))
    assert [each.sign for each in told if each.sign in "+-"] == ["-", "+"] * 40
    assert looked_at <= 40 * 5 * 35**2


def _kept(old: Sequence[str], new: Sequence[str]) -> Sequence[str]:
    """The lines that are said to be the same."""
    told = list(_differences(old, new))
    assert [old[each.old - 1] for each in told if each.old] == [each.text for each in told if each.old]
    assert [new[each.new - 1] for each in told if each.new] == [each.text for each in told if each.new]
    gone = {each.old for each in told if each.sign == "-"}
    come = {each.new for each in told if each.sign == "+"}
    kept = [line for at, line in enumerate(old, 1) if at not in gone]
    assert kept == [line for at, line in enumerate(new, 1) if at not in come]
    return kept


def test_a_long_difference_is_more_than_what_has_changed() -> None:
    old = _campaigns(20, 90)
    without = [*old[:70], *old[105:]]
    assert _kept(old, without) == _kept(without, old) == without
    assert _kept(old, [*old[35:], *old[:35]]) == old[35:]
    assert list(_differences(old, list(old))) == []
    # no line of it occurs only once
    many = [f"line {each % 7}" for each in range(2 * MOST_AT_ONCE)]
    assert _kept(many, [*many[:150], "new", *many[150:]]) == many


def test_a_long_difference_is_another_than_there_is() -> None:
    chance = random.Random(7)
    for _ in range(50):
        old = [f"line {chance.randrange(400)}" for _ in range(MOST_AT_ONCE + 50)]
        new = [line for line in old if chance.random() > 0.2]
        new[30:30] = [f"new {chance.randrange(9)}" for _ in range(60)]
        assert len(_kept(old, new)) > MOST_AT_ONCE / 2
