"""How an article of the law, a day and a number of days are written, in each language in which people are answered."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from importlib import resources
from typing import Any

from ccari.ports.subjects import AnswerLanguage

#: In the form used in a date: in Ukrainian, the genitive.
_MONTHS = {
    "de": (
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ),
    "uk": (
        "січня", "лютого", "березня", "квітня", "травня", "червня", "липня", "серпня", "вересня", "жовтня", "листопада", "грудня",
    ),
}  # fmt: skip
#: What precedes a paragraph and a point: (3)(e).
_PARTS = {"de": ("Abs.", "lit."), "pl": ("ust.", "lit.")}
#: What precedes the number or letter of an article, a paragraph or a point; and what follows those, up to the
#: name of the regulation.
_BEFORE = re.compile(
    r"(\b(?:Article|[Aa]rt\.|Abs\.|ust\.|lit\.)|[Сс]татт(?:я|і|ею)|[Пп]ункт) (?=\d|\(?[a-z]\b)"
)
_BEHIND = re.compile(r" (?=(?:Abs\.|ust\.|lit\.|GDPR\b|RODO\b|DSGVO\b))")
#: The space after a one-letter word, which may not end a line in Polish and Ukrainian; but the particles
#: ``б`` and ``ж`` may not begin one.
_ONE_LETTER = re.compile(r"(?<=(?<![\w’])[^\W\d_бж]) (?=\w)| (?=[бж]\b)")
_NO_BREAK = "\N{NO-BREAK SPACE}"
#: The language in which a country's authority works, besides English, where people are answered in it too.
_OF_COUNTRIES: Mapping[str, AnswerLanguage] = {"AT": "de", "DE": "de", "LI": "de", "PL": "pl"}


def of_country(country: str) -> AnswerLanguage | None:
    """The language of the supervisory authority of a country (ISO 3166 alpha-2); None if it is English, or one in which nobody is answered."""
    return _OF_COUNTRIES.get(country)


def article(language: str, article: str) -> str:
    """An article as lawyers write it: ``17(3)(e)`` is ``17 ust. 3 lit. e`` in Polish and ``17 Abs. 3 lit. e`` in German."""
    if language not in _PARTS:
        return article
    paragraph, point = _PARTS[language]
    return re.sub(r"\(([a-z])\)", rf" {point} \1", re.sub(r"\((\d+)\)", rf" {paragraph} \1", article))


def day(language: str, of: date) -> str:
    """A day as in the text of a letter, such as ``5 March 2026``. Its parts stay on one line."""
    if language == "pl":
        return numeric_day(language, of)
    number, month, year = f"{of.day}", _MONTHS[language][of.month - 1], f"{of.year}"
    parts = {
        "de": (f"{number}.", month, year),
        "en": (number, month, year),
        "uk": (number, month, year, "року"),
    }
    return _NO_BREAK.join(parts[language])


def numeric_day(language: str, of: date) -> str:
    """A day as in a table. In English it is the long form, as figures alone do not say which is the month."""
    return day(language, of) if language == "en" else f"{of:%d.%m.%Y}"


def plural(language: str, count: int) -> str:
    """Which form of a noun goes with a count: ``one``, ``many``, or in Ukrainian also ``few``: 1 день, 2 дні, 5 днів, 11 днів, 21 день."""
    if language != "uk":
        return "one" if count == 1 else "many"
    last = count % 10 if count % 100 not in range(11, 15) else 0
    return "one" if last == 1 else "few" if last in range(2, 5) else "many"


def words_of(package: str) -> Mapping[str, Mapping[str, Any]]:
    """What the ``words.toml`` of a package says, by language, each of them :func:`bound`."""
    found = tomllib.loads(resources.files(package).joinpath("words.toml").read_text("utf-8"))
    return {language: _all_bound(language, words) for language, words in found.items()}


def _all_bound(language: str, words: Any) -> Any:
    if isinstance(words, str):
        return bound(language, words)
    if isinstance(words, list):
        return [_all_bound(language, each) for each in words]
    return {name: _all_bound(language, told) for name, told in words.items()}


def bound(language: str, text: str) -> str:
    """The text with no-break spaces, so that no line ends within the citation of an article, or where the
    language's typography forbids it.
    """
    text = _BEHIND.sub(_NO_BREAK, _BEFORE.sub(rf"\1{_NO_BREAK}", text))
    return _ONE_LETTER.sub(_NO_BREAK, text) if language in {"pl", "uk"} else text
