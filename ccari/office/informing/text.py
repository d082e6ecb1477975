"""Puts the information for data subjects into words, whatever it is then laid out as."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ccari.office import languages
from ccari.office.informing.information import facts
from ccari.office.naming import zone_of
from ccari.office.processing.record import Source
from ccari.policy.activities import Activity, Kind
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.informing import ARTICLES, Gap, Information, Menu, Missing, Processing
from ccari.policy.parties import Controller
from ccari.ports.subjects import AnswerLanguage

_WORDS = languages.words_of("ccari.office.informing")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something is missing: ``number``, as the list at the end counts it."""

    number: int
    words: str


#: A sentence, or some.
Said = tuple[str | Mark, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the text: paragraphs, then facts with their labels, then a list. ``level``: of its heading, 2 or 3; without a ``heading`` it
    continues the part before it. ``apart``: to be set off from the rest, Art 21(4).
    """

    heading: str | None
    said: Sequence[Said] = ()
    facts: Sequence[tuple[str, Said]] = ()
    items: Sequence[Said] = ()
    level: int = 2
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """``unfinished`` and ``to_complete`` are for the controller, who removes them: the note at the top, and the list of what is missing."""

    language: AnswerLanguage
    title: str
    law: str
    unfinished: str
    parts: Sequence[Part]
    to_complete: Part


def text(
    source: Source, controller: Controller, language: AnswerLanguage | None = None, campaign: Campaign | None = None
) -> Text:  # fmt: skip
    """What a controller tells people, or those of one of its campaigns. ``language``: by default that of its supervisory authority, or English."""
    language = language or languages.of_country(controller.country) or "en"
    teller = _Teller(source, controller, language, facts(source, controller, campaign))
    words = teller.words
    law = words["law"]
    if campaign is not None:
        law = f"{law}. {words['only_of'].format(purpose=campaign.purpose)}"
    return Text(
        language, words["title"], law, words["unfinished"], list(teller.parts()), teller.to_complete()
    )


@dataclass(frozen=True, slots=True)
class _Teller:
    source: Source
    controller: Controller
    language: AnswerLanguage
    told: Information

    @property
    def words(self) -> Any:
        return _WORDS[self.language]

    def parts(self) -> Iterator[Part]:
        words, controller = self.words, self.controller
        who = words["controller"].format(name=controller.name, country=controller.country)
        contact = self.mark(Gap(Missing.CONTACT)), " ", self.mark(Gap(Missing.JOINT))
        yield Part(words["who"], [(who, " ", *contact), (words["dpo"].format(dpo=controller.dpo),)])
        yield self.objection()
        yield Part(words["processing"])
        for each in self.told.processing:
            yield self.processed(each)
        yield self.about_all()
        yield from self.recipients()
        yield Part(
            words["rights"], [(words["rights_intro"],)], items=[(words["rights_of"][each],) for each in self.told.rights]
        )  # fmt: skip
        yield Part(
            words["how"], items=[(words["how_write"].format(dpo=controller.dpo),), (words["how_say"],)]
        )
        yield from map(self.menu, self.told.menus)
        keys = [(words["keys_work"],)] if self.told.menus else []
        yield Part(None, [*keys, (words["answer"],)])
        yield Part(words["complaint"], [(words["complain"], " ", self.mark(Gap(Missing.AUTHORITY)))])
        yield Part(words["required"], [(self.mark(Gap(Missing.REQUIRED)),)])
        yield Part(words["automated"], [(words["decides"], " ", self.mark(Gap(Missing.AUTOMATED)))])
        yield Part(words["version"], [(self.version(),)])

    def objection(self) -> Part:
        """Art 21(4): clearly, and separately from any other information."""
        words = self.words
        how = (words["object_how"].format(dpo=self.controller.dpo),)
        said = [*((words["rights_of"][each],) for each in self.told.objections), how]
        if self.told.objects_by_key:
            said.append((words["object_keys"].format(how=words["how"]),))
        concerned = [(self.name(each),) for each in self.told.objectable]
        if concerned:
            said.append((words["objectable"],))
        return Part(words["object"], said, items=concerned, apart=True)

    def name(self, processing: Processing) -> str:
        words, activity = self.words, processing.activity
        if activity.purpose is not None:
            return str(words[f"{activity.kind}_of"].format(purpose=activity.purpose))
        return str(words["kinds"][activity.kind])

    def processed(self, processing: Processing) -> Part:
        words, activity = self.words, processing.activity
        said: list[Said] = []
        if processing.notice is not None:
            said.append((words["notice"][processing.notice].format(key=processing.key),))
        if processing.marketing:
            said.append((words["marketing"],))
        if processing.asks_consent:
            said.append((words["asks_consent"],))
        if activity.kind in words["why"]:
            heeded = "; ".join(f"{purpose} ({', '.join(names)})" for purpose, names in processing.heeded)
            registers = ", ".join(activity.registers)
            said.append((words["why"][activity.kind].format(registers=registers, purposes=heeded),))
        facts = [(words["basis"], self.basis(processing)), (words["data"], self.data(processing))]
        if activity.kind is Kind.CALLS:
            source = words["declared_source" if activity.source else "own_source"].format(
                source=activity.source
            )
            facts.append((words["source"], (source, *self.marks(processing, Missing.SOURCE))))
        facts.append((words["kept"], (self.kept(activity), *self.marks(processing, Missing.LIMIT))))
        return Part(self.name(processing), said, facts, level=3)

    def basis(self, processing: Processing) -> Said:
        words, activity = self.words, processing.activity
        marks = self.marks(processing, Missing.INTEREST, Missing.LAW, Missing.DUTY, Missing.NUMBER_BASIS)
        if activity.legal_basis is not None:
            return words["bases"][activity.legal_basis], *marks
        if activity.articles:
            return *marks[1:], f" {words['under'].format(articles=self.articles(activity.articles))}"
        return marks[1:]

    def data(self, processing: Processing) -> Said:
        return ("; ".join(self.words["data_of"][each] for each in processing.data),)

    def kept(self, activity: Activity) -> str:
        words, kind, kept = self.words, activity.kind, activity.kept
        if kept.days is None:
            return str(words["until"][kept.until])
        days = words["days"][languages.plural(self.language, kept.days)].format(n=kept.days)
        # whoever is never recorded is told nothing of recordings
        recordings = any(activity.campaign in {None, each.campaign} for each in self.recordings())
        recorded = words["recorded"].get(kind, "") if recordings else ""
        return str(words["days"][kind].format(days=days, recorded=recorded))

    def recordings(self) -> Iterator[Activity]:
        return (each.activity for each in self.told.processing if each.activity.kind is Kind.RECORDINGS)

    def about_all(self) -> Part:
        words = self.words
        marked = (
            ("from_you", Missing.PUBLIC_SOURCE), ("special", Missing.SPECIAL), ("elsewhere", Missing.ELSEWHERE),
        )  # fmt: skip
        consented = any(each.legal_basis is LegalBasis.CONSENT for each in self.recordings())
        held = (words["held"], *((" ", words["held_on_consent"]) if consented else ()))
        return Part(None, [held, *((words[name], " ", self.mark(Gap(missing))) for name, missing in marked)])

    def recipients(self) -> Iterator[Part]:
        words, named = self.words, self.controller.recipients
        missing = [gap for gap in self.told.gaps if gap.missing in {Missing.RECIPIENTS, Missing.HOST}]
        items: list[Said] = [(words["operators"],)]
        items += [(words["recipient"].format(**each.model_dump()),) for each in named]
        items += [(self.mark(gap),) for gap in missing]
        yield Part(words["recipients"], items=items)
        abroad: list[Said] = [
            (words["transfer"].format(**each.model_dump()),) for each in named if each.abroad
        ]
        yield Part(words["transfers"], [*abroad, (self.mark(Gap(Missing.TRANSFERS)),)])

    def menu(self, menu: Menu) -> Part:
        words = self.words
        intro = words["menu_inbound" if menu.inbound else "menu"].format(purpose=menu.purpose)
        keys = [words["key"].format(key=key, does=words["keys"][does]) for key, does in menu.keys.items()]
        return Part(None, [(intro,)], items=[(each,) for each in keys])

    def version(self) -> str:
        applied = self.source.applied
        at = languages.day(self.language, applied.applied_at.astimezone(zone_of(self.controller)).date())
        return str(self.words["version_of"].format(number=applied.number, at=at))

    def to_complete(self) -> Part:
        return Part(
            self.words["to_complete"], [(self.words["to_complete_intro"],)], items=[(self.wanted(each),) for each in self.told.gaps]
        )  # fmt: skip

    def wanted(self, gap: Gap) -> str:
        """A gap in the list at the end: of what it is missing, who demands it, and where it belongs."""
        words = self.words
        of = "" if gap.kind is None else f" ({next(map(self.name, self.lacking(gap)))})"
        where = words["in_text"] if gap.setting is None else words["in_policy"].format(setting=gap.setting)
        return f"{self.missing(gap)}{of}: {self.articles(ARTICLES[gap.missing])}; {where}"

    def lacking(self, gap: Gap) -> Iterator[Processing]:
        return (each for each in self.told.processing if gap in each.gaps)

    def missing(self, gap: Gap) -> str:
        return str(self.words["missing"][gap.missing].format(host=gap.host))

    def articles(self, which: Sequence[str]) -> str:
        articles = ", ".join(languages.article(self.language, each) for each in which)
        return languages.bound(self.language, f"{self.words['article']} {articles}")

    def mark(self, gap: Gap) -> Mark:
        return Mark(self.told.gaps.index(gap) + 1, self.missing(gap))

    def marks(self, processing: Processing, *kinds: Missing) -> Said:
        """The gaps of these kinds in it, each after a space."""
        found = [self.mark(gap) for gap in processing.gaps if gap.missing in kinds]
        return tuple(each for mark in found for each in (" ", mark))
