"""The catalogue: the words of every prompt in every language, as templates."""

import re
import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ccari.errors import SoundError, not_utf8
from ccari.policy import speech
from ccari.policy.bases import LegalBasis
from ccari.policy.wording import Prompt

#: The telephone keys that a policy can bind.
KEYS = frozenset("0123456789*#")

_T = TypeVar("_T")
_ID = re.compile(r"[a-z][a-z0-9_]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


class Kind(StrEnum):
    """To whom a prompt is spoken, and when."""

    NOTICE = "notice"
    MENU = "menu"
    CONFIRMATION = "confirmation"
    AGENT = "agent"
    #: A digit or a part of a date. Made from [keys] and [numbers]; not an entry of the file.
    NUMBER = "number"


#: The placeholders that templates of each kind may have, filled in from the policy or the call.
PLACEHOLDERS = {
    Kind.NOTICE: frozenset(
        {"controller", "purpose", "recording_purpose", "data_source", "legal_basis_words", "key"}
    ),
    Kind.MENU: frozenset({"key"}),
    Kind.CONFIRMATION: frozenset[str](),
    Kind.AGENT: frozenset[str](),
}
#: The parts of a spoken date in [numbers], with how many words each has.
_NUMBERS = {"day": 31, "month": 12, "year": len(speech.YEARS)}


@dataclass(frozen=True, slots=True)
class Wording:
    """One entry of the catalogue: the same sentence in each language, with the same placeholders."""

    id: str
    kind: Kind
    text: Mapping[str, str]
    placeholders: frozenset[str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The words of all prompts. Once loaded, they are complete and consistent."""

    path: Path
    languages: tuple[str, ...]
    entries: Mapping[str, Wording]
    keys: Mapping[str, Mapping[str, str]]
    legal_bases: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, path: Path) -> "Catalogue":
        """Read and validate a catalogue.

        Raises SoundError, naming the file, the entry and the language, if the file cannot be read or is not TOML; if an entry lacks a
        language, or has a placeholder that is unknown or missing from another language; or if a word list has a gap.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise SoundError(f"{path}: the catalogue of prompts cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SoundError(f"{path}: {not_utf8(error)}") from None
        except tomllib.TOMLDecodeError as error:
            raise SoundError(f"{path}: not a TOML file: {error}") from error
        languages = _languages(path, tables.pop("languages", None))
        keys = _word_list(path, "keys", tables.pop("keys", None), languages, KEYS)
        bases = _word_list(path, "legal_bases", tables.pop("legal_bases", None), languages, LegalBasis)
        numbers = _numbers(path, tables.pop("numbers", None), languages, keys)
        entries = {id_: _entry(path, id_, table, languages) for id_, table in tables.items()}
        return cls(path, languages, entries | numbers, keys, bases)

    def template(self, id: str, language: str) -> str:  # noqa: A002 - as policy.wording.Words names it
        """The words of a prompt, with its {placeholders}. Raises SoundError if there are none."""
        entry = self.entries.get(id)
        if entry is None:
            raise SoundError(f"{self.path}: no entry [{id}]")
        return self._in(language, entry.text)

    def key_word(self, key: str, language: str) -> str:
        """The words for the telephone key ``0``-``9``, ``*`` or ``#``. Raises SoundError if it is not such a key."""
        words = self._in(language, self.keys)
        if key not in words:
            raise SoundError(f"{self.path}: no key {key!r} on a telephone: 0 to 9, * or #")
        return words[key]

    def basis_words(self, basis: str, language: str) -> str:
        """The words for a LegalBasis. Raises SoundError if it is not one."""
        words = self._in(language, self.legal_bases)
        if basis not in words:
            raise SoundError(f"{self.path}: no legal basis {basis!r}: {', '.join(LegalBasis)}")
        return words[basis]

    def fixed(self, language: str) -> list[Prompt]:
        """The prompts that are the same in every campaign: those without placeholders, except those of menus."""
        return [
            Prompt(entry.id, language, self._in(language, entry.text))
            for entry in self.entries.values()
            if entry.kind is not Kind.MENU and not entry.placeholders
        ]

    def _in(self, language: str, by_language: Mapping[str, _T]) -> _T:
        if language not in by_language:
            raise SoundError(
                f"{self.path}: no language {language!r}: it has {', '.join(self.languages)}: give the campaign one of these, or add yours there"
            )
        return by_language[language]


def _languages(path: Path, value: Any) -> tuple[str, ...]:
    match value:
        case [*codes] if codes and all(isinstance(c, str) and _LANGUAGE.fullmatch(c) for c in codes):
            return tuple(codes)
    raise SoundError(f'{path}: languages: write the codes of the languages, as in languages = ["pl", "en"]')


def _entry(path: Path, id_: str, table: Any, languages: tuple[str, ...]) -> Wording:
    where = f"{path}: [{id_}]"
    if not _ID.fullmatch(id_) or not isinstance(table, dict):
        raise SoundError(f"{where}: an entry is a table named with small letters, digits and _")
    if id_ in speech.PROMPTS:
        raise SoundError(f"{where}: made from the word lists [keys] and [numbers]: write it there")
    words = dict(table)
    kind = next((kind for kind in PLACEHOLDERS if kind == words.get("kind")), None)
    if kind is None:
        raise SoundError(f"{where}: kind must be one of {', '.join(PLACEHOLDERS)}")
    del words["kind"]
    if unknown := sorted(words.keys() - set(languages)):
        raise SoundError(f"{where} {unknown[0]}: not one of the languages {', '.join(languages)}")
    found = {language: _placeholders(where, kind, language, words.get(language)) for language in languages}
    first = languages[0]
    for language in languages:
        if odd := sorted(found[first] ^ found[language]):
            raise SoundError(
                f"{where} {language}: {{{odd[0]}}} must be in {first} and {language}, or in neither"
            )
    return Wording(id_, kind, words, found[first])


def _placeholders(where: str, kind: Kind, language: str, text: Any) -> frozenset[str]:
    _speakable(f"{where} {language}", text)
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise SoundError(f"{where} {language}: braces that do not match: {error}") from None
    if any(brace in literal for literal, *_ in parts for brace in "{}"):
        raise SoundError(f"{where} {language}: a brace cannot be spoken")
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in fields:
        if name not in PLACEHOLDERS[kind] or spec or conversion:
            allowed = " ".join(f"{{{p}}}" for p in sorted(PLACEHOLDERS[kind])) or "none"
            raise SoundError(
                f"{where} {language}: {{{name}}} is not known in a {kind}: there may be {allowed}"
            )
    return frozenset(name for name, _, _ in fields)


def _numbers(
    path: Path, table: Any, languages: tuple[str, ...], keys: Mapping[str, Mapping[str, str]]
) -> dict[str, Wording]:
    """The entries for digits, days, months and years, by the ids of policy.speech."""
    spoken: dict[str, list[str]] = {}
    for language, parts in _by_language(path, "numbers", table, languages, _NUMBERS).items():
        words = [keys[language][str(digit)] for digit in range(10)]
        for part, count in _NUMBERS.items():
            where = f"{path}: [numbers.{language}] {part}"
            if not isinstance(parts[part], list) or len(parts[part]) != count:
                raise SoundError(f"{where}: write {count} of them, in order")
            for text in parts[part]:
                _speakable(where, text)
            words += parts[part]
        spoken[language] = words
    return {
        id_: Wording(
            id_, Kind.NUMBER, {language: spoken[language][place] for language in languages}, frozenset()
        )
        for place, id_ in enumerate(speech.PROMPTS)
    }


def _word_list(
    path: Path, name: str, table: Any, languages: tuple[str, ...], wanted: Iterable[str]
) -> dict[str, dict[str, str]]:
    lists: dict[str, dict[str, str]] = _by_language(path, name, table, languages, wanted)
    for language, words in lists.items():
        for word, text in words.items():
            _speakable(f"{path}: [{name}.{language}] {word}", text)
    return lists


def _by_language(
    path: Path, name: str, table: Any, languages: tuple[str, ...], wanted: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The tables of a word list by language, each checked to have exactly the names in ``wanted``."""
    if not isinstance(table, dict):
        raise SoundError(f"{path}: [{name}]: the word list is missing")
    names = {str(w) for w in wanted}
    if table.keys() != set(languages):
        odd = min(table.keys() ^ set(languages))
        raise SoundError(
            f"{path}: [{name}.{odd}]: there must be one table for each of {', '.join(languages)}"
        )
    for language, words in table.items():
        if not isinstance(words, dict) or words.keys() != names:
            odd = min(names ^ (words.keys() if isinstance(words, dict) else set()))
            raise SoundError(
                f"{path}: [{name}.{language}] {odd}: the list must have {', '.join(sorted(names))} and nothing else"
            )
    return table


def _speakable(where: str, text: Any) -> None:
    if not isinstance(text, str) or not text.strip():
        raise SoundError(f"{where}: the words are missing")
    if not text.isprintable():
        raise SoundError(f"{where}: the words must be on one line, without control characters")
