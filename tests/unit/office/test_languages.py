"""How an article and a day are written in each language."""

from datetime import date

import pytest

from ccari.office import languages
from ccari.ports.subjects import ANSWER_LANGUAGES
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.soundboard import shipped_sounds


@pytest.mark.parametrize(
    ("language", "point", "paragraph", "whole"),
    [
        ("en", "17(3)(e)", "21(2)", "15"),
        ("pl", "17 ust. 3 lit. e", "21 ust. 2", "15"),
        ("de", "17 Abs. 3 lit. e", "21 Abs. 2", "15"),
        ("uk", "17(3)(e)", "21(2)", "15"),
    ],
)
def test_an_article_is_cited_as_in_another_language(
    language: str, point: str, paragraph: str, whole: str
) -> None:
    assert [languages.article(language, each) for each in ("17(3)(e)", "21(2)", "15")] == [
        point, paragraph, whole,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "long", "numeric"),
    [
        ("en", "5 March 2026", "5 March 2026"),
        ("pl", "05.03.2026", "05.03.2026"),
        ("de", "5. März 2026", "05.03.2026"),
        ("uk", "5 березня 2026 року", "05.03.2026"),
    ],
)
def test_a_day_is_written_as_in_another_language(language: str, long: str, numeric: str) -> None:
    written = [each(language, date(2026, 3, 5)) for each in (languages.day, languages.numeric_day)]
    assert [each.replace("\u00a0", " ") for each in written] == [long, numeric]
    assert not any(" " in each for each in written)


@pytest.mark.parametrize("language", [each for each in ANSWER_LANGUAGES if each != "pl"])
def test_a_month_is_written_otherwise_than_it_is_spoken(language: str) -> None:
    """In a letter as on the telephone it is part of a date."""
    said = Catalogue.load(shipped_sounds() / "catalogue.toml")
    spoken = [said.template(f"month_{month}", language) for month in range(1, 13)]
    assert [*languages._MONTHS[language]] == spoken


@pytest.mark.parametrize(
    ("language", "text", "lines"),
    [
        ("en", "as Article 17(3)(e) GDPR says", ["as", "Article_17(3)(e)_GDPR", "says"]),
        ("pl", "o art. 17 ust. 3 lit. e RODO i w domu", ["o_art._17_ust._3_lit._e_RODO", "i_w_domu"]),
        ("de", "a wie Art. 17 Abs. 3 lit. e DSGVO", ["a", "wie", "Art._17_Abs._3_lit._e_DSGVO"]),
        ("uk", "пункт (e) статті 17(3) GDPR у справі", ["пункт_(e)", "статті_17(3)_GDPR", "у_справі"]),
        ("uk", "мала б бути, п’ять", ["мала_б", "бути,", "п’ять"]),
    ],
)
def test_a_citation_is_torn_apart_or_a_line_ends_in_one_letter(
    language: str, text: str, lines: list[str]
) -> None:
    assert languages.bound(language, text).replace("\u00a0", "_").split(" ") == lines
