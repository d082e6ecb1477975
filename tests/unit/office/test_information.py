"""The information for people on the telephone (Articles 13 and 14) as JSON, as a page and as Markdown, in each language."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from ccari.office.informing import layout
from ccari.office.informing import text as texts
from ccari.office.informing.information import information
from ccari.office.informing.text import text
from ccari.office.processing.record import Installed, Source, Webhook
from ccari.policy import notices
from ccari.policy.activities import Datum, Kind, Until
from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import Policy
from ccari.policy.informing import Missing
from ccari.policy.keypad import KeyAction
from ccari.policy.parties import Controller
from ccari.policy.recording import RECORDING_ANSWERS, Recording, RecordingMode, Without
from ccari.policy.rights import Right
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from ccari.ports.webhooks import Told
from tests.unit.office.test_processing import ACME, BETA, POLICY, SOURCE, keys
from tests.unit.policy.campaigns import CONTROLLER, campaign

#: What stands for each enumeration, and those of its members that no person is told of.
WORDS: Mapping[str, tuple[type[StrEnum], set[StrEnum]]] = {
    "data_of": (Datum, {Datum.AGENT, Datum.WHO, Datum.AUTHORISATION}),
    "bases": (LegalBasis, set()),
    "until": (Until, set()),
    "rights_of": (Right, set()),
    "missing": (Missing, set()),
    "kinds": (Kind, {Kind.CALLS, Kind.RECORDINGS, Kind.AUTHORISATIONS}),
    "why": (Kind, {Kind.CALLS, Kind.RECORDINGS, Kind.AUTHORISATIONS}),
}
#: A word for recording, in each language; of what is not recorded, none may be said.
RECORDING = {"en": "recording", "pl": "nagr", "de": "aufzeichn", "uk": "запис розмов"}
SILENT = Controller(id="silent", name="Silent Ltd", country="IE", dpo="Dublin")


def told(source: Source, controller: Controller, language: AnswerLanguage | None = None) -> str:
    """The Markdown, without what is there for the controller alone, and without its markup."""
    for_people, rule, _ = layout.markdown(text(source, controller, language)).decode().rpartition("\n---\n")
    assert rule
    return for_people.replace("\N{NO-BREAK SPACE}", " ").replace("\\", "").replace("**", "")


def of(*campaigns: Any, controller: Controller = CONTROLLER) -> Source:
    return replace(SOURCE, policy=Policy(controllers=(controller,), campaigns=campaigns))


def recordings() -> list[Recording]:
    """Each mode, whether or not the call goes on without a recording."""
    modes = [mode for mode in RecordingMode if mode is not RecordingMode.MANDATORY]
    declared = [{"mode": mode, "without": without} for mode, without in product(modes, Without)]
    return [Recording.model_validate(each) for each in ({"mode": "mandatory"}, *declared)]


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_language_lacks_words_for_something_that_a_policy_may_say(language: AnswerLanguage) -> None:
    words = texts._WORDS[language]
    assert keys(words) - {"days.few"} == keys(texts._WORDS["en"])
    assert ("few" in words["days"]) is (language == "uk")
    for name, (kind, untold) in WORDS.items():
        assert set(words[name]) == set(kind) - untold, name
    announced, pressed = set(), set()
    for recording in recordings():
        keyed = {"1": "consent_recording", "2": "continue_unrecorded"}
        answers = {
            key: each
            for key, each in keyed.items()
            if each != "consent_recording" or recording.mode is RecordingMode.OPT_IN
        }
        told_of = campaign(recording=recording.model_dump(exclude_unset=True), keys=answers)
        announced.add(notices.recording(told_of))
        pressed |= {notices.sentence(action, recording) for action in KeyAction}
    assert set(words["notice"]) == announced - {None}
    assert set(words["keys"]) == pressed - {"menu_repeat", "menu_language"}


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_text_is_not_drawn_up_or_is_not_escaped(language: AnswerLanguage) -> None:
    bare = SILENT.model_copy(update={"id": "acme"})
    for recording, basis, controller in product(recordings(), LegalBasis, (ACME, bare)):
        declared = campaign(
            purpose="<b>*a*</b> {b}", legal_basis=basis, recording=recording.model_dump(exclude_unset=True), agent="PJSIP/anna",
            keys={"*": RECORDING_ANSWERS.get(recording.mode, "access"), "6": "withdraw_consent"},
        )  # fmt: skip
        drawn = text(of(declared, controller=controller), controller, language)
        html, markdown = layout.page(drawn).decode(), layout.markdown(drawn).decode()
        assert "None" not in html + markdown
        assert "{" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL).replace("{b}", "")
        assert "<b>" not in html
        assert not re.search(r"(?<!\\)<b\\?>", markdown)
        assert r"\<b\>\*a\*\</b\> {b}" in markdown
        assert f'<html lang="{language}">' in html


def test_what_a_person_is_told_is_not_what_the_policy_says() -> None:
    said = told(SOURCE, ACME)
    for words in (
        "ACME Sp. z o.o. (PL) decyduje", "iod@acme.example", "Rozmowy telefoniczne: odnowienie umowy", "wykonanie umowy z Państwem",
        "Skąd mamy Państwa numer: umowa zawarta z ACME", "1461 dni od zakończenia rozmowy, lecz nie krócej niż jej nagrania",
        "Nagrywanie rozmów: jakość", "prosimy nacisnąć klawisz 2: rozmowa będzie toczyć się dalej bez nagrywania", "1 dzień od nagrania",
        "(art. 6 ust. 1 lit. f RODO) [3: jakie to prawnie uzasadnione interesy]", "Lista Robinsonów",
        "Linia Sp. z o.o. (PL): wszystkie", "Cloud <Inc> (US). Podstawa przekazania: SCC & (UE) 2021/914",
        "Klawisz 8: żądanie dostępu do danych", "wersji 7 naszych reguł połączeń, z 02.07.2026",
        "tylko wtedy, gdy dla Państwa numeru jest zapisana zgoda",
    ):  # fmt: skip
        assert words in said, words
    assert "Zufriedenheit" not in said
    assert "Beta" not in said


def test_one_of_two_controllers_is_told_of_as_the_other() -> None:
    acme, beta = information(SOURCE, ACME), information(SOURCE, BETA)
    assert {each["purpose"] for each in acme["processing"]} == {
        "odnowienie umowy",
        "jakość",
        "<oferta>",
        None,
    }
    assert {each["purpose"] for each in beta["processing"]} == {"Zufriedenheit", None}
    assert [each["campaign"] for each in beta["menus"]] == ["survey"]
    assert beta["recipients"] == []
    said = told(SOURCE, BETA)
    assert "Beta GmbH (DE) entscheidet" in said
    for theirs in ("ACME", "Robinson", "Cloud", "Einwilligung (Art. 6 Abs. 1 lit. a"):
        assert theirs not in said, theirs
    assert "1461" not in said


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_recording_is_claimed_of_a_controller_that_never_records(language: AnswerLanguage) -> None:
    keyed = {"2": "continue_unrecorded", "8": "access"}
    calls = campaign(
        id="silent", controller="silent", recording={"mode": "off"}, keys=keyed, legal_basis="consent"
    )
    limits = {"calls_days": 40, "requests_days": 50}
    silent = SILENT.model_copy(update=limits)
    # another's recordings are none of its people's
    policy = Policy(controllers=(silent, ACME), campaigns=(calls, POLICY.campaigns[0]))
    source = replace(SOURCE, policy=policy)
    assert RECORDING[language] not in told(source, silent, language).lower()
    assert RECORDING[language] in told(source, ACME, language).lower()
    assert "voice" not in json.dumps(information(source, silent)["processing"])


def test_the_people_of_one_campaign_are_told_of_another() -> None:
    renewals, offers, _ = POLICY.campaigns
    one = layout.markdown(text(SOURCE, ACME, "en", offers)).decode()
    assert r"This text covers only calls with this purpose: \<oferta\>." in one
    for theirs in (renewals.purpose, "jakość", "Recording"):
        assert theirs not in one.rpartition("\n---\n")[0]
    assert "Lista Robinsonów" in one
    assert "Lista Robinsonów" not in layout.markdown(text(SOURCE, ACME, "en", renewals)).decode()
    found = information(SOURCE, ACME, renewals)
    assert found["campaign"] == "renewals"
    assert [each["campaign"] for each in found["menus"]] == ["renewals"]


def test_a_controller_without_campaigns_is_said_to_call() -> None:
    said = told(of(), CONTROLLER, "en")
    assert "Telephone calls" not in said
    assert "press a key" not in said
    assert "Keys work" not in said


@pytest.mark.parametrize(
    ("declared", "said", "unsaid"),
    [
        ({"mode": "notice"}, "If you do not want that, hang up.", "press key"),
        ({"mode": "opt_out"}, "press key 2: the call goes on without a recording", "we then end the call"),
        ({"mode": "opt_out", "without": "hang_up"}, "press key 2: we then end the call", "goes on without"),
        ({"mode": "opt_in"}, "by pressing key 1. You do not have to agree: without that key the call goes on", "do not hold"),
        ({"mode": "opt_in", "without": "hang_up"}, "by pressing key 1. You do not have to agree, but", "goes on without"),
        ({"mode": "mandatory"}, "because a law requires it. Without a recording we do not hold the call.", "press key"),
    ],
)  # fmt: skip
def test_how_a_recording_is_refused_is_misstated(declared: Any, said: str, unsaid: str) -> None:
    answers = {"notice": {}, "opt_in": {"1": "consent_recording"}}.get(
        declared["mode"], {"2": "continue_unrecorded"}
    )
    heard = told(of(campaign(recording=declared, keys=answers)), CONTROLLER, "en")
    assert said in heard
    assert unsaid not in heard


def test_a_recording_on_another_basis_is_said_to_be_erased_with_the_consent() -> None:
    erased = "We also erase a recording that rests on your consent"
    agreed = campaign(recording={"mode": "opt_in"}, keys={"1": "consent_recording"})
    assert erased in told(of(agreed), CONTROLLER, "en")
    assert erased not in told(of(campaign()), CONTROLLER, "en")


def test_advertising_is_claimed_or_kept_quiet() -> None:
    advertises, plain = (
        told(of(campaign(marketing=each, recording={"mode": "off"})), CONTROLLER, "en")
        for each in (True, False)
    )
    for words in ("These calls are advertising", "at any time, without giving a reason", "only if a consent"):
        assert words in advertises
        assert words not in plain


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_the_right_to_object_is_not_set_apart(language: AnswerLanguage) -> None:
    drawn = text(SOURCE, ACME, language)
    apart = [part for part in drawn.parts if part.apart]
    assert [part.heading for part in apart] == [texts._WORDS[language]["object"]]
    # before anything else but who it is
    assert drawn.parts.index(apart[0]) == 1
    section = re.search(r'<section class="apart">(.*?)</section>', layout.page(drawn).decode(), re.DOTALL)
    assert section
    for right in (Right.OBJECTION_MARKETING, Right.OBJECTION):
        assert (texts._WORDS[language]["rights_of"][right] in section[1]) is (
            right in information(SOURCE, ACME)["objections"]
        )


def test_a_key_to_object_with_is_promised_to_people_who_have_none() -> None:
    promised = "Which key does it, in which calls, is said below"
    for action, has_one in (("objection", True), ("access", False)):
        calls = of(campaign(keys={"2": "continue_unrecorded", "1": action}))
        assert (promised in told(calls, CONTROLLER, "en")) is has_one


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_something_missing_is_not_marked_or_not_listed_at_the_end(language: AnswerLanguage) -> None:
    hooked = replace(SOURCE, installed=Installed((), (Webhook("crm.example", (Told.CALL_ENDED,)),)))
    for controller in (ACME, BETA):
        gaps = information(hooked, controller)["gaps"]
        drawn = text(hooked, controller, language)
        html = layout.page(drawn).decode()
        marked = {int(number) for number in re.findall(r"<mark>\[(\d+):", html)}
        assert marked == set(range(1, len(gaps) + 1))
        assert len(drawn.to_complete.items) == len(gaps)
        listed = layout.markdown(drawn).decode().rpartition("\n---\n")[2]
        assert [int(each) for each in re.findall(r"^(\d+)\. ", listed, re.MULTILINE)] == sorted(marked)
        for setting in {each["setting"] for each in gaps} - {None}:
            assert setting.replace("_", r"\_") in listed
        assert "crm.example" in listed


def test_a_days_form_is_wrong_in_ukrainian() -> None:
    for days, said in (
        (1, "1 день"),
        (3, "3 дні"),
        (11, "11 днів"),
        (12, "12 днів"),
        (21, "21 день"),
        (1462, "1462 дні"),
    ):
        recorded = campaign(recording={"mode": "opt_out", "retention_days": days})
        assert f"{said} після запису" in told(of(recorded), CONTROLLER, "uk")


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_line_of_the_information_ends_within_a_citation(language: AnswerLanguage) -> None:
    html = layout.page(text(of(campaign()), CONTROLLER, language)).decode()
    for declared in ("ACME Sp. z o.o.", "Linia Sp. z o.o.", "umowa zawarta z ACME"):
        html = html.replace(declared, "")
    assert not re.search(r"\b(?:[Aa]rt\.|ust\.|lit\.|Abs\.|Article) ", html)


def test_markdown_takes_declared_words_for_a_list() -> None:
    for words, escaped in (("1. maja", r"1\. maja"), ("- a", r"\- a"), ("+ b", r"\+ b"), ("1) c", r"1\) c")):
        drawn = text(of(campaign(data_source=words)), CONTROLLER, "pl")
        # after a label it is in the middle of a line, where the escape does no harm
        assert f"numer:** {escaped}" in layout.markdown(drawn).decode().replace("\N{NO-BREAK SPACE}", " ")


def test_markdown_takes_a_name_behind_spaces_for_a_list_or_code() -> None:
    for name, escaped in (("  - ACME", r"\- ACME"), ("    ACME", "ACME"), (" 1. ACME", r"1\. ACME")):
        controller = CONTROLLER.model_copy(update={"name": name})
        drawn = layout.markdown(text(of(campaign(), controller=controller), controller, "en")).decode()
        assert f"\n{escaped} (PL) decides" in drawn


def test_a_person_to_talk_to_is_promised_to_whoever_is_called_by_a_machine() -> None:
    automatic = campaign(
        legal_basis="consent", consent_channel="automatic_calls", recording={"mode": "off"}, keys={}
    )
    said = told(of(automatic), CONTROLLER, "en")
    assert said.count("If you talk to a person on the telephone") == 2
    assert "Say so in the call" not in said


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_each_purpose_is_said_to_heed_a_register(language: AnswerLanguage) -> None:
    said = told(SOURCE, ACME, language)
    (of_registers,) = (each for each in said.splitlines() if "Lista Robinsonów" in each)
    assert "<oferta> (Lista Robinsonów)" in of_registers
    assert "odnowienie umowy" not in of_registers


def test_the_information_is_not_in_the_language_of_the_authority() -> None:
    assert text(SOURCE, ACME).language == "pl"
    assert text(SOURCE, BETA).language == "de"
    assert text(SOURCE, BETA.model_copy(update={"country": "FR"})).language == "en"
