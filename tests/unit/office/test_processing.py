"""The record of processing (Article 30) as JSON and as a page, in each language."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from html import unescape
from typing import Any

import pytest
from pydantic import HttpUrl

from ccari.app.installed import installed
from ccari.config import Settings
from ccari.office.processing import page as pages
from ccari.office.processing.page import page
from ccari.office.processing.record import (
    RECORD_LANGUAGES,
    Installed,
    Measure,
    RecordLanguage,
    Source,
    Webhook,
    measures,
    record,
)
from ccari.policy.activities import Datum, Kind, Subject, Until
from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller, Forwarding, Recipient, Register
from ccari.policy.recording import RecordingMode
from ccari.ports.webhooks import Told
from ccari.store.policies import Applied
from tests.unit.policy.campaigns import CONTROLLER, campaign

AT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
ABROAD = Recipient(name="Cloud <Inc>", data="zgłoszenia", country="US", safeguard="SCC & (UE) 2021/914")
ACME = CONTROLLER.model_copy(update={"recipients": (*CONTROLLER.recipients, ABROAD)})
BETA = Controller(id="beta", name="Beta GmbH", country="DE", dpo="dsb@beta.example")
POLICY = Policy(
    controllers=(ACME, BETA),
    registers=(Register(id="robinson", name="Lista Robinsonów"),),
    campaigns=(
        campaign(recording={"mode": "opt_out", "purpose": "jakość", "retention_days": 1}),
        campaign(id="offers", purpose="<oferta>", legal_basis="consent", registers=["robinson"], recording={"mode": "off"}),
        campaign(id="survey", controller="beta", purpose="Zufriedenheit", data_source=None, keys={"2": "continue_unrecorded"}),
    ),
)  # fmt: skip
WEBHOOKS = (
    Webhook("crm.example", (Told.CALL_ENDED, Told.REQUEST_OVERDUE), ("acme",)),
    Webhook("wall.example", (Told.RECORDING_STORED,)),
)
INSTALLED = Installed(measures(encrypted=True, time_stamped=True), WEBHOOKS)
SOURCE = Source(Applied(7, AT, "cli:anna", "ab" * 32, ""), POLICY, INSTALLED, AT)
WORDS: Mapping[str, tuple[type[StrEnum], str]] = {
    "kinds": (Kind, ""), "subjects_of": (Subject, ""), "data_of": (Datum, ""), "bases": (LegalBasis, ""),
    "until": (Until, ""), "measures_of": (Measure, ""), "modes": (RecordingMode, "off"),
    "events": (Told, ""),
}  # fmt: skip


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode().replace("\u00a0", " ")))


def keys(words: Mapping[str, Any]) -> set[str]:
    nested = {f"{name}.{each}" for name, told in words.items() if isinstance(told, dict) for each in told}
    return nested | words.keys()


@pytest.mark.parametrize("language", RECORD_LANGUAGES)
def test_a_language_lacks_words(language: RecordLanguage) -> None:
    words = pages._WORDS[language]
    assert keys(words) == keys(pages._WORDS["en"])
    for name, (kind, not_told) in WORDS.items():
        assert set(words[name]) == {each.value for each in kind} - {not_told}
    limited = {"calls", "recordings", "contacts", "consents", "requests", "accesses"}
    assert set(words["days"]) == limited | {"one", "many"}
    for name in ("to_complete_controller", "to_complete_processor"):
        assert len(words[name]) == len(pages._WORDS["en"][name])


@pytest.mark.parametrize("language", RECORD_LANGUAGES)
def test_a_page_is_not_drawn_up_or_is_not_escaped(language: RecordLanguage) -> None:
    for controller in (ACME, BETA, None):
        html = page(SOURCE, controller, language)
        assert b"None" not in html
        assert b"{" not in re.sub(rb"<style>.*?</style>", b"", html, flags=re.DOTALL)
        assert b"<oferta>" not in html
        assert b"<Inc>" not in html


def test_the_page_misstates_a_basis_a_limit_or_a_transfer() -> None:
    told = text(page(SOURCE, ACME))
    for words in (
        "Rejestr czynności przetwarzania", "art. 30 ust. 1 RODO", "iod@acme.example", "02.07.2026 00:30",
        "Cel: odnowienie umowy", "wykonanie umowy, art. 6 ust. 1 lit. b", "Źródło: umowa zawarta z ACME", "1461 dni od zakończenia rozmowy",
        "Cel: jakość", "prawnie uzasadniony interes, art. 6 ust. 1 lit. f", "po komunikacie, o ile rozmówca nie odmówi",
        "1 dzień od nagrania", "zgoda, art. 6 ust. 1 lit. a", "na podstawie art. 7 ust. 1", "Lista Robinsonów",
        "Linia Sp. z o.o. wszystkie PL", "US Cloud &lt;Inc&gt; SCC &amp; (UE) 2021/914",
    ):  # fmt: skip
        assert words in told, words
    assert "Zufriedenheit" not in told
    assert "Beta" not in told


def test_a_limit_or_a_recipient_that_is_missing_is_misstated() -> None:
    told = text(page(SOURCE, BETA, "en"))
    assert "until the person has them erased: the policy declares no limit (calls_days)" in told
    assert "a source for each number" in told
    assert "The policy names nobody else." in told


def test_what_ccari_cannot_know_is_said_to_be_so() -> None:
    for controller in (BETA, None):
        told = text(page(SOURCE, controller, "en"))
        # a webhook may lead there, and a recipient may be an international organisation
        assert "no data go to" not in told
        assert "no international organisation" not in told
    assert "The policy names no recipient in a third country." in text(page(SOURCE, BETA, "en"))


def test_an_address_that_data_are_sent_to_is_left_out_or_is_anothers_or_shows_its_path() -> None:
    forward = Forwarding(url=HttpUrl("https://api.acme.example/in/k3y?t=1"), folder="/srv/acme")
    acme = ACME.model_copy(update={"forward": forward})
    assert record(SOURCE, acme)["addresses"] == [
        {"host": "api.acme.example", "events": None},
        {"host": None, "events": None},
        {"host": "crm.example", "events": [Told.CALL_ENDED, Told.REQUEST_OVERDUE]},
        {"host": "wall.example", "events": [Told.RECORDING_STORED]},
    ]
    html = page(SOURCE, acme, "en")
    assert b"k3y" not in html
    assert b"/srv/acme" not in html
    told = text(html)
    for words in (
        "api.acme.example each step of a request, with the telephone number while it is open",
        "a folder of the machine that ccari runs on each step",
        "crm.example events, with at most the last digits of the telephone number: a call that has ended, with its course and its agent; a request that is overdue",
    ):  # fmt: skip
        assert words in told, words
    assert [each["host"] for each in record(SOURCE, BETA)["addresses"]] == ["wall.example"]
    nowhere = replace(SOURCE, installed=Installed(INSTALLED.measures))
    assert "ccari sends these by itself" not in text(page(nowhere, BETA, "en"))


def test_the_path_of_a_webhook_or_one_of_another_controller_is_taken_from_the_settings() -> None:
    hook = {"name": "crm", "secret": "whsec_x", "events": ["call.ended"], "controllers": ["acme"]}
    settings = Settings.model_validate({"webhooks": [{"url": "https://crm.example/in/k3y", **hook}]})
    assert installed(settings).webhooks == [Webhook("crm.example", (Told.CALL_ENDED,), ("acme",))]


def test_the_record_does_not_ask_for_a_contact_that_article_30_demands() -> None:
    # Art 30(1)(a) and 30(2)(a): more than the policy has
    assert "the controller's address and contact details" in unescape(text(page(SOURCE, ACME, "en")))
    assert "the contact details of the controllers, and their representatives" in text(
        page(SOURCE, None, "en")
    )


def test_what_stays_linked_to_a_person_is_said_to_be_anonymous_or_bars_to_end_when_lifted() -> None:
    told = text(page(SOURCE, ACME, "en"))
    assert "without any link" not in told
    assert (
        "then without the number and the agents, though a request, a bar or a consent from the call still names it"
        in told
    )
    assert "a bar that has ended or was lifted stays on record until then" in told
    assert "a law requires the proof" in told


def test_a_measure_claims_more_than_ccari_does() -> None:
    told = text(page(SOURCE, ACME, "en"))
    # FastAGI asks for no token
    assert "Over HTTP, data are reached only with a token" in told
    assert "what agents and the dialler are shown of their own calls, are not" in told


@pytest.mark.parametrize("language", RECORD_LANGUAGES)
def test_a_line_ends_within_a_citation_or_after_a_one_letter_word(language: RecordLanguage) -> None:
    for controller in (CONTROLLER, None):
        html = page(SOURCE, controller, language).decode()
        for declared in ("ACME Sp. z o.o.", "Linia Sp. z o.o.", "umowa zawarta z ACME"):
            html = html.replace(declared, "")
        assert not re.search(r"\b(?:[Aa]rt\.|ust\.|lit\.|Abs\.|Article) ", html)
        if language == "pl":
            assert not re.search(r"(?<=[ >(])[aiouwz] \w", html)


def test_the_processors_record_lacks_a_controller_or_its_transfers() -> None:
    centre = record(SOURCE, None)
    assert [each["id"] for each in centre["controllers"]] == ["acme", "beta"]
    acme, beta = centre["controllers"]
    assert acme["processing"][0] == {"kind": Kind.CALLS, "purposes": ["odnowienie umowy", "<oferta>"]}
    assert acme["processing"][1] == {"kind": Kind.RECORDINGS, "purposes": ["jakość"]}
    assert [each["country"] for each in acme["transfers"]] == ["US"]
    assert beta["transfers"] == []
    told = text(page(SOURCE, None, "de"))
    assert "01.07.2026 22:30 (UTC)" in told
    assert "Telefonate (odnowienie umowy; &lt;oferta&gt;)" in told
    assert "dsb@beta.example" in told


def test_the_page_is_not_in_the_language_of_the_authority() -> None:
    assert b'<html lang="de">' in page(SOURCE, BETA)
    # of two authorities
    assert b'<html lang="en">' in page(SOURCE, None)
    french = BETA.model_copy(update={"country": "FR"})
    assert b'<html lang="en">' in page(SOURCE, french)


@pytest.mark.parametrize(
    ("encrypted", "time_stamped", "lacking"),
    [
        (True, True, set()),
        (False, True, {Measure.ENCRYPTED}),
        (True, False, {Measure.TIME_STAMPED}),
    ],
)
def test_a_measure_that_is_not_taken_is_claimed(
    encrypted: bool,  # noqa: FBT001 - a case
    time_stamped: bool,  # noqa: FBT001 - a case
    lacking: set[Measure],
) -> None:
    assert set(Measure) - set(measures(encrypted=encrypted, time_stamped=time_stamped)) == lacking
