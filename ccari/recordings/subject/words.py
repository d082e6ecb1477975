"""How the page of an export tells its reader what was stored: in the reader's language, by the controller's clock."""

import contextlib
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from ccari.office import languages, moments
from ccari.ports.subjects import AnswerLanguage

WORDS: Mapping[str, Mapping[str, Any]] = tomllib.loads(
    resources.files("ccari.recordings.subject").joinpath("words.toml").read_text("utf-8")
)
#: Fields of a call's entries whose values have the words of others.
_VALUES = {"recorded": "answer", "silent": "answer"}
#: Fields of a call's entries whose values are among the terms.
_TERMS = frozenset({"right", "action", "outcome", "recording_basis"})


class Words:
    """The words of one ``language``, with times in ``zone``. Each method is a template function."""

    def __init__(self, language: AnswerLanguage, zone: ZoneInfo) -> None:
        self.say = WORDS[language]
        self._language: AnswerLanguage = language
        self._zone = zone

    def term(self, name: str | None) -> str:
        return str(self.say["terms"].get(name, name)) if name else "–"

    def happened(self, event: str) -> str:
        return str(self.say["events"].get(event, event))

    def why(self, reason: str | None) -> str:
        """Why a call was not made, or how it ended; "" if that would mean something only to a technician: data.json has it."""
        terms = self.say["terms"]
        barred = (reason or "").removeprefix("suppressed_").removeprefix("campaign_")
        told = ", ".join(terms[each] for each in barred.split(",") if each in terms)
        return f"{self.say['barred']}: {told}" if told and barred != reason else told

    def detail(self, name: str, value: str) -> str:
        """One field of a call's entry, such as ``when: during the notice``. One that means something only to a technician is as in
        data.json.
        """
        told = self.say["fields"].get(name)
        return f"{name}: {value}" if told is None else f"{told}: {self._value(name, value)}"

    def written(self, text: str | None) -> str | None:
        """What somebody wrote to a bar; of a lifted one, an erasure leaves that word in its place."""
        return str(self.say["erased"]) if text == "erased" else text

    def when(self, moment: datetime | None) -> str:
        # no name of a time zone is known in all languages
        return moments.shown(moment, self._zone, day=self._numeric, clock="UTC%z") if moment else ""

    def day(self, of: date | None) -> str:
        return self._numeric(of) if of else ""

    def article_of(self, article: str) -> str:
        return f"{self.say['article']} {languages.article(self._language, article)}"

    def length(self, milliseconds: int | None) -> str:
        return f"{milliseconds // 60000}:{milliseconds // 1000 % 60:02}" if milliseconds is not None else ""

    def _numeric(self, of: date) -> str:
        return languages.numeric_day(self._language, of)

    def _value(self, name: str, value: str) -> str:
        match name:
            case "prompts":
                return " / ".join(self._value("prompt", each) for each in value.split(","))
            case "reason":
                return self.why(value) or value
            case "delete_at" | "duration_ms":
                # an entry that was tampered with may have anything here
                with contextlib.suppress(ValueError, OverflowError):
                    return (
                        self.length(int(value))
                        if name == "duration_ms"
                        else self.when(datetime.fromisoformat(value))
                    )
                return value
        of_field = self.say["values"].get(_VALUES.get(name, name), {})
        return str(of_field.get(value) or (self.say["terms"].get(value, value) if name in _TERMS else value))
