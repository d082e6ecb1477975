"""The words of the pages: a catalogue for each language, all with the same keys."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from string import Formatter
from typing import Any

from ccari.office import languages
from ccari.policy.erasure import What

#: Languages of the console. People are answered in more: ``ccari.ports.subjects.ANSWER_LANGUAGES``.
LANGUAGES = ("en", "pl")
DEFAULT = "en"
_MOST_PREFERENCES = 20
#: Keys ``said.…`` are English sentences of the law and the API, with ``{name}`` for variable parts. This matches the text of a field,
#: which does not extend past a ``: `` or ``; ``.
_PART = "(?:(?![:;] ).)+?"
#: Narrower patterns, for fields of these names.
_SHAPES = {
    "reference": r"[\w-]+-\d{4}-\d{6,9}", "n": r"\d+", "most": r"\d+", "level": r"L\d", "state": "[a-z ]+", "event": r"\w+",
    "right": r"\w+", "choices": "'.+", "fault": ".+", "error": ".+", "why": ".+", "command": ".+", "pattern": ".+",
    "basis": r"\w+", "mode": r"\w+", "detail": r"\w+", "deletion": r"\w+", "recording_state": r"\w+",
}  # fmt: skip
#: Fields whose text is itself a term in the catalogue. If a sentence has two of a kind, the second begins with ``other_``.
_TERMS = frozenset({"state", "event", "right", "basis", "mode", "detail", "deletion", "recording_state"})
_OTHER = "other_"
#: Journal fields whose values are terms in the catalogue, with the kinds of those terms.
_DETAILS: Mapping[str, tuple[str, ...]] = {
    "right": ("right",), "action": ("action", "right"), "stage": ("stage",), "direction": ("direction",), "outcome": ("outcome",),
    "mode": ("mode",), "legal_basis": ("basis",), "recording_basis": ("basis",), "recorded": ("answer",), "silent": ("answer",),
    "why": ("deletion",), "language": ("language",), "party": ("party",), "prompt": ("prompt",),
}  # fmt: skip
#: Journal fields that name who did something.
_ACTORS = frozenset({"by", "who"})
#: What an erasure writes into its request's history: ``erased: 2 calls, 1 contact; kept: 1 consent (Art 7(1), 17(3)(e))``.
_ERASED = re.compile(r"erased: (?P<gone>.+?)(?:; kept: (?P<kept>.+))?")
#: What an export writes there: ``exported: 2 calls, 1 recording, 1 without their audio; sha256 …``.
_EXPORTED = re.compile(
    r"exported: (?P<calls>[0-9]{1,9}) calls?, (?P<recordings>[0-9]{1,9}) recordings?(?:, (?P<without>[0-9]{1,9}) without their audio)?"
    r"; sha256 (?P<sha256>[0-9a-f]{64})"
)
_BETWEEN_THINGS = re.compile(r"[,;] (?=[0-9]+ [A-Za-z])")
_THINGS = re.compile(r"(?P<n>[0-9]{1,9}) (?P<what>[^(]+?)(?: \(Art (?P<article>.+)\))?")
_WHAT = {name: what for what in What for name in what.one_and_several}


class Words:
    """A catalogue: ``words("requests.title", name=…)`` fills in ``{name}``. The field ``n`` chooses the plural."""

    def __init__(self, language: str, said: Mapping[str, str | list[str]]) -> None:
        self.language = language
        self.said = said
        self._patterns = _patterns(said)

    def __call__(self, key: str, /, **fields: object) -> str:
        """The text of a key. Raises KeyError if the catalogue does not have it; a test looks for such keys."""
        text = self.said[key]
        if isinstance(text, list):
            text = text[_plural(self.language, int(str(fields["n"])))]
        return text.format(**fields) if fields else text

    def term(self, kind: str, name: object) -> str:
        """The word for a term of the law or the trade, such as a state. ``name``: as in the database; if the catalogue has no word, it is
        shown itself, with spaces.
        """
        text = self.said.get(f"{kind}.{name}")
        return text if isinstance(text, str) else str(name).replace("_", " ")

    def article(self, article: str) -> str:
        """An article as lawyers of that language write it: ``17(3)(e)`` is ``17 ust. 3 lit. e`` in Polish."""
        return languages.article(self.language, article)

    def said_of(self, english: str) -> str:
        """The translation of an English sentence of the law or the API; the sentence itself if the catalogue has none.

        A prefix such as ``renewals.csv: line 7:`` in ``renewals.csv: line 7: it is empty`` is kept.
        """
        if "; " in english and f"said.{english}" not in self.said:
            sentences = english.split("; ")
            translated = [self._translated(each) for each in sentences]
            # before the whole: free text in the first sentence would match to the end of the last
            if None not in translated:
                return "; ".join(filter(None, translated))
            if self._translated(english) is None:
                return "; ".join(self.said_of(sentence) for sentence in sentences)
        parts = english.split(": ")
        for cut in range(len(parts)):
            ending = self._translated(": ".join(parts[cut:]))
            if ending is not None:
                return ": ".join([*(self._translated(part) or part for part in parts[:cut]), ending])
        return english

    def detail(self, name: str, value: object) -> str:
        """One field of a journal's entry, such as ``stage: hears the notice``."""
        text = str(value)
        if name == "reason":
            shown = self.reason(text)
        elif name in _ACTORS:
            shown = self.actor(text)
        elif name == "prompts":
            shown = " / ".join(self.term("prompt", each) for each in text.split(","))
        else:
            shown = self._term_of(_DETAILS.get(name, ()), text) or text
        return f"{self.term('detail', name)}: {shown}"

    def actor(self, name: str) -> str:
        """Who did something: ``cli:anna``, ``token:crm``, ``housekeeping``. Any other name, such as an agent's, is shown as it is."""
        text, whose = self._way("actor", name)
        return name if text is None else text.format(whose=whose)

    def origin(self, name: str) -> str:
        """How something came: ``import:token:crm``, ``request:letter``, ``call``; or who entered it. The words of an imported list are shown as
        they are, if they are not such a way.
        """
        text, whose = self._way("origin", name)
        if text is None:
            return self.actor(name)
        return text.format(
            whose=self.term("channel", whose) if name.startswith("request:") else self.actor(whose)
        )

    def written(self, reason: str) -> str:
        """The reason of a step in a request's history: what an export or an erasure wrote there, in this language; a person's words as
        they are.
        """
        exported = _EXPORTED.fullmatch(reason)
        if exported is not None:
            return self._exported(exported)
        found = _ERASED.fullmatch(reason)
        if found is None:
            return reason
        nothing = found["gone"] == "nothing"
        gone = self("history.nothing") if nothing else self._things(found["gone"])
        kept = self._things(found["kept"]) if found["kept"] else ""
        if gone is None or kept is None:
            return reason
        erased = self("history.erased", things=gone)
        return f"{erased}; {self('history.kept', things=kept)}" if kept else erased

    def _exported(self, found: re.Match[str]) -> str:
        things = [self(f"counted.{what}", n=found[f"{what}s"]) for what in (What.CALL, What.RECORDING)]
        if found["without"]:
            things.append(self("history.without_audio", n=found["without"]))
        return self("history.exported", things=", ".join(things), sha256=found["sha256"])

    def _things(self, told: str) -> str | None:
        """Counted things, each with the articles that keep it, if any; None if one of them is no kind of data that an erasure knows."""
        things = []
        for each in _BETWEEN_THINGS.split(told):
            found = _THINGS.fullmatch(each)
            what = found and _WHAT.get(found["what"])
            if not found or not what:
                return None
            said = self(f"counted.{what.replace(' ', '_')}", n=found["n"])
            article = found["article"]
            things.append(
                f"{said} ({self('requests.art', article=self.article(article))})" if article else said
            )
        return ", ".join(things)

    def _way(self, kind: str, name: str) -> tuple[str | None, str]:
        """The text for ``way:whose``, and ``whose``; None if no such text needs just this."""
        way, colon, whose = name.partition(":")
        text = self.said.get(f"{kind}.{way}")
        fits = isinstance(text, str) and ("{whose}" in text) is bool(whose) and bool(whose) is bool(colon)
        return str(text) if fits else None, whose

    def reason(self, name: str) -> str:
        """Why a call was blocked, or how it ended. ``name``: a reason of the gate or the call, or an error's English words."""
        term = self._term_of(("block", "ended", "right"), name)
        if term is not None:
            return term
        what, _, how = name.rpartition("_")
        if f"stage.{what}" in self.said and how in {"timeout", "failed"}:
            return self(f"ended.at_{how}", stage=self.term("stage", what))
        if what == "cause":
            return self("ended.cause", n=how)
        return self.said_of(name) if " " in name else name.replace("_", " ")

    def _term_of(self, kinds: tuple[str, ...], name: str) -> str | None:
        """The word for a term that is one of these kinds; None if the catalogue has none."""
        return next((self.term(kind, name) for kind in kinds if f"{kind}.{name}" in self.said), None)

    def _translated(self, english: str) -> str | None:
        """The translation of one sentence; None if the catalogue has none."""
        whole = self.said.get(f"said.{english}")
        if isinstance(whole, str):
            return whole
        for pattern, text in self._patterns:
            match = pattern.fullmatch(english)
            if match:
                fields = {name: self._field(name, value) for name, value in match.groupdict().items()}
                return text.format(**fields)
        return None

    def _field(self, name: str, value: str) -> str:
        kind = name.removeprefix(_OTHER)
        if kind in _TERMS:
            return self.term(kind, value.replace(" ", "_"))
        if name == "choices":
            return value.replace(" or ", f" {self('frame.or')} ")
        return self.said_of(value) if name in {"fault", "error"} else value


def _patterns(said: Mapping[str, str | list[str]]) -> list[tuple[re.Pattern[str], str]]:
    """A pattern and a translation for each English sentence with ``{name}`` in it. The longest come first, as the most specific."""
    patterns = []
    for key in sorted(said, key=len, reverse=True):
        text = said[key]
        if key.startswith("said.") and "{" in key and isinstance(text, str):
            expressions = (
                re.escape(literal)
                + (f"(?P<{name}>{_SHAPES.get(name.removeprefix(_OTHER), _PART)})" if name else "")
                for literal, name, _, _ in Formatter().parse(key.removeprefix("said."))
            )
            patterns.append((re.compile("".join(expressions)), text))
    return patterns


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str | list[str]]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _plural(language: str, n: int) -> int:
    """Which plural form ``n`` takes: one or more; in Polish one, a few or many."""
    if language == "pl":
        few = n % 10 in {2, 3, 4} and n % 100 not in {12, 13, 14}
        return 0 if n == 1 else 1 if few else 2
    return 0 if n == 1 else 1


def _read(language: str) -> Words:
    text = resources.files("ccari.web.console").joinpath("texts", f"{language}.toml").read_text("utf-8")
    return Words(language, dict(_flat(tomllib.loads(text))))


CATALOGUES: Mapping[str, Words] = {language: _read(language) for language in LANGUAGES}


def preferred(accept_language: str) -> str:
    """Our language that the browser prefers (RFC 9110, 12.5.4); else English."""
    weighted: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:_MOST_PREFERENCES]:
        name, _, weight = part.strip().partition(";")
        language = name.strip().partition("-")[0].lower()
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in LANGUAGES and quality > 0:
            weighted.append((-quality, language))
    return min(weighted, key=lambda preference: preference[0], default=(0.0, DEFAULT))[1]
