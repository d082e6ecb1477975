"""What the pages say, in the languages that they speak: one catalogue each, with the same keys."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from string import Formatter
from typing import Any

#: Of the console itself. Letters have the same.
LANGUAGES = ("en", "pl")
DEFAULT = "en"
_MOST_PREFERENCES = 20
#: What a field of something said may be: without what parts it from the next, unless it goes on to the end.
_PART = "(?:(?![:;] ).)+?"
_SHAPES = {
    "reference": r"[\w-]+-\d{4}-\d{6,9}", "n": r"\d+", "most": r"\d+", "level": r"L\d", "state": "[a-z ]+", "event": r"\w+",
    "right": r"\w+", "choices": "'.+", "fault": ".+", "error": ".+", "why": ".+", "command": ".+", "pattern": ".+",
    "basis": r"\w+", "mode": r"\w+", "detail": r"\w+", "deletion": r"\w+", "recording_state": r"\w+",
}  # fmt: skip
#: Those that are words of the law or of the field; where something is said of two, the second begins with ``other_``.
_TERMS = frozenset({"state", "event", "right", "basis", "mode", "detail", "deletion", "recording_state"})
_OTHER = "other_"
#: Fields of a journal that hold such words, and of which kinds.
_DETAILS: Mapping[str, tuple[str, ...]] = {
    "right": ("right",), "action": ("action", "right"), "stage": ("stage",), "direction": ("direction",), "outcome": ("outcome",),
    "mode": ("mode",), "recording_basis": ("basis",), "recorded": ("answer",), "silent": ("answer",), "why": ("deletion",),
    "language": ("language",),
}  # fmt: skip


class Words:
    """A catalogue: ``words("requests.title")``, with ``{name}`` filled in; ``n`` chooses the plural."""

    def __init__(self, language: str, said: Mapping[str, str | list[str]]) -> None:
        self.language = language
        self.said = said
        self._patterns = _patterns(said)

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
        """As lawyers of the language write it: ``17(3)(e)`` is ``17 ust. 3 lit. e`` in Polish."""
        if self.language != "pl":
            return article
        return re.sub(r"\(([a-z])\)", r" lit. \1", re.sub(r"\((\d+)\)", r" ust. \1", article))

    def said_of(self, english: str) -> str:
        """What the law and the API say in English, in the words of the catalogue; as it is where it has none.

        What is told of a thing (``renewals.csv: line 7: it is empty``) stays before it.
        """
        if self._said_in_one(english) is None and "; " in english:
            return "; ".join(self.said_of(each) for each in english.split("; "))
        parts = english.split(": ")
        for cut in range(len(parts)):
            found = self._said_in_one(": ".join(parts[cut:]))
            if found is not None:
                return ": ".join([*(self._said_in_one(each) or each for each in parts[:cut]), found])
        return english

    def detail(self, name: str, value: object) -> str:
        """One field of a journal's entry, such as ``stage: hears the notice``."""
        text = str(value)
        told = self.reason(text) if name == "reason" else self._found(_DETAILS.get(name, ()), text) or text
        return f"{self.term('detail', name)}: {told}"

    def reason(self, name: str) -> str:
        """Why a call was blocked, or ended as it did: a word of the gate's, of the call's, or an error as it was told."""
        found = self._found(("block", "ended", "right"), name)
        if found is not None:
            return found
        what, _, how = name.rpartition("_")
        if f"stage.{what}" in self.said and how in {"timeout", "failed"}:
            return self(f"ended.at_{how}", stage=self.term("stage", what))
        if what == "cause":
            return self("ended.cause", n=how)
        return self.said_of(name) if " " in name else name.replace("_", " ")

    def _found(self, kinds: tuple[str, ...], name: str) -> str | None:
        return next((self.term(each, name) for each in kinds if f"{each}.{name}" in self.said), None)

    def _said_in_one(self, english: str) -> str | None:
        found = self.said.get(f"said.{english}")
        if isinstance(found, str):
            return found
        for pattern, text in self._patterns:
            match = pattern.fullmatch(english)
            if match:
                return text.format(**{name: self._field(name, of) for name, of in match.groupdict().items()})
        return None

    def _field(self, name: str, value: str) -> str:
        kind = name.removeprefix(_OTHER)
        if kind in _TERMS:
            return self.term(kind, value.replace(" ", "_"))
        if name == "choices":
            return value.replace(" or ", f" {self('frame.or')} ")
        return self.said_of(value) if name == "fault" else value


def _patterns(said: Mapping[str, str | list[str]]) -> list[tuple[re.Pattern[str], str]]:
    """What is said with ``{name}`` in it, and what it is in English: the longest first, which says most of what it fits."""
    found = []
    for key in sorted(said, key=len, reverse=True):
        text = said[key]
        if key.startswith("said.") and "{" in key and isinstance(text, str):
            pieces = Formatter().parse(key.removeprefix("said."))
            made = (
                re.escape(each)
                + (f"(?P<{name}>{_SHAPES.get(name.removeprefix(_OTHER), _PART)})" if name else "")
                for each, name, _, _ in pieces
            )
            found.append((re.compile("".join(made)), text))
    return found


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
