"""What the pages say, in the languages that they speak: one catalogue each, with the same keys."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

#: Of the console itself. Letters have the same.
LANGUAGES = ("en", "pl")
DEFAULT = "en"
_MOST_PREFERENCES = 20


class Words:
    """A catalogue: ``words("requests.title")``, with ``{name}`` filled in; ``n`` chooses the plural."""

    def __init__(self, language: str, said: Mapping[str, str | list[str]]) -> None:
        self.language = language
        self.said = said

    def __call__(self, key: str, /, **fields: object) -> str:
        """Raises KeyError for a key that no catalogue has, which a test looks for."""
        found = self.said[key]
        if isinstance(found, list):
            found = found[_plural(self.language, int(str(fields["n"])))]
        return found.format(**fields) if fields else found

    def term(self, kind: str, name: object) -> str:
        """A word of the law or of the field, as the database has it; itself where no catalogue has it, in words."""
        found = self.said.get(f"{kind}.{name}")
        return found if isinstance(found, str) else str(name).replace("_", " ")

    def article(self, article: str) -> str:
        """As lawyers of the language write it: ``21(2)`` is ``21 ust. 2`` in Polish."""
        return re.sub(r"\((\d+)\)", r" ust. \1", article) if self.language == "pl" else article

    def said_of(self, english: str) -> str:
        """What the law and the API say in English, in the words of the catalogue; as it is where it has none.

        What is told of a thing (``ACME-2026-000001 is extended: the request is closed``) stays before it.
        """
        parts = english.split(": ")
        for cut in range(len(parts)):
            found = self.said.get(f"said.{': '.join(parts[cut:])}")
            if isinstance(found, str):
                return ": ".join([*parts[:cut], found])
        return english


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str | list[str]]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _plural(language: str, n: int) -> int:
    """Of the forms of a catalogue, for so many: one and more; in Polish one, a few, many."""
    if language == "pl":
        few = n % 10 in {2, 3, 4} and n % 100 not in {12, 13, 14}
        return 0 if n == 1 else 1 if few else 2
    return 0 if n == 1 else 1


def _read(language: str) -> Words:
    text = resources.files("ccari.web.console").joinpath("texts", f"{language}.toml").read_text("utf-8")
    return Words(language, dict(_flat(tomllib.loads(text))))


CATALOGUES: Mapping[str, Words] = {language: _read(language) for language in LANGUAGES}


def preferred(accept_language: str) -> str:
    """The language of those that we speak which a browser likes best (RFC 9110, 12.5.4); else English."""
    liked: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:_MOST_PREFERENCES]:
        name, _, weight = part.strip().partition(";")
        language = name.strip().partition("-")[0].lower()
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in LANGUAGES and quality > 0:
            liked.append((-quality, language))
    return min(liked, key=lambda each: each[0], default=(0.0, DEFAULT))[1]
