"""The readable page of an export, in each language."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ccari.gating.journal import LEFT_OUT
from ccari.office import languages
from ccari.policy import notices
from ccari.policy.bases import LegalBasis
from ccari.policy.call import HANDED_BACK, Outcome
from ccari.policy.call.state import Stage
from ccari.policy.call.vocabulary import Party
from ccari.policy.campaign import NoticePrompt
from ccari.policy.consent import Channel
from ccari.policy.gate import Block
from ccari.policy.keypad import AgentAction, KeyAction
from ccari.policy.recording import RecordingMode
from ccari.policy.retention import Why
from ccari.policy.rights import RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Looked
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from ccari.recordings.subject.page import page
from ccari.recordings.subject.words import WORDS
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.soundboard import shipped_sounds
from tests.reference import page as reference

AT = datetime(2026, 7, 1, 10, tzinfo=UTC)
#: Looks at whole lists, and their deletion, which are on record for nobody in particular.
OF_MANY = {
    Looked.LIST_IMPORTED, Looked.LIST_SCRUBBED, Looked.BARS_EXPORTED, Looked.REQUESTS_EXPORTED, Looked.CONTROLLER_DELETION_BEGUN,
    Looked.CONTROLLER_DELETED, Looked.POLICY_APPLIED, Looked.TOKEN_CREATED, Looked.TOKEN_REVOKED,
}  # fmt: skip
#: Why a call is refused before it is known whose number it would be.
OF_NOBODY = {
    Block.NUMBER_EMPTY, Block.NUMBER_CHARACTERS, Block.NUMBER_INVALID, Block.NUMBER_PREMIUM, Block.BAD_ARGUMENTS,
    Block.UNKNOWN_CAMPAIGN, Block.NO_DESTINATION, Block.NO_POLICY,
}  # fmt: skip
WARSAW = ZoneInfo("Europe/Warsaw")
#: The day of ``AT`` in a table.
DAY = {"en": "1\u00a0July\u00a02026", "pl": "01.07.2026", "de": "01.07.2026", "uk": "01.07.2026"}
ACCOUNT: dict[str, Any] = {
    "reference": "ACME-2026-000001", "right": "access", "article": "15", "number": "+48600100001", "portability": False,
    "controller": {"id": "acme", "name": "A & B <Ltd>", "country": "PL", "dpo": "iod@acme.example"}, "made_at": AT,
    "calls": [{"opened_at": AT, "direction": "outbound", "purpose": "p", "legal_basis": "contract", "data_source": None,
               "outcome": "bridged", "reason": "", "heard_at": AT, "notice_version": "v1",
               "events": [{"at": AT, "event": "key_pressed", "fields": {"key": "<script>"}}, {"at": AT, "event": "x", "fields": None}]}],
    "contacts": [], "consents": [], "heard": [], "recordings": [], "kept_for_claims": True,
    "suppressions": [{"reason": "erasure", "campaign": "", "purpose": None, "entered_at": AT, "removed_at": None, "expires_at": None, "proof": "form", "why": ""}],
    "registers": [{"register": "robinson", "name": "Lista <Robinsonów>", "listed_at": AT, "expires_at": None}],
    "requests": [{"reference": "ACME-2026-000001", "right": "access", "received_at": AT, "due": date(2026, 8, 3), "state": "received"}],
    "accesses": [{"at": AT, "access": "recording_played", "why": "<script>"}],
    "retention": [{"what": "recordings", "campaign": "offers", "days": 90}, {"what": "calls", "days": 1461}, {"what": "requests", "days": 1462},
                  {"what": "contacts", "days": 731}, {"what": "consents", "days": 1463}, {"what": "accesses", "days": 1096}],
    "passed_on": [{"reference": "ACME-2026-000001", "at": AT}],
}  # fmt: skip


def keys(words: Any) -> set[str]:
    return {
        f"{name}.{each}"
        for name, told in words.items()
        for each in (keys(told) if isinstance(told, dict) else {""})
    }


def test_a_language_lacks_words() -> None:
    assert set(ANSWER_LANGUAGES) == WORDS.keys()
    english = keys(WORDS["en"])
    for words in WORDS.values():
        assert keys(words) == english
    spoken_of = (LegalBasis, Right, RequestState, Reason, Outcome, Channel)
    terms = {each.value for kind in spoken_of for each in kind} | {each.value for each in Looked} - OF_MANY
    terms |= {HANDED_BACK, "tagged", "recording", "finished", "stored", "discarded", "failed", "deleted"}
    assert terms <= WORDS["en"]["terms"].keys()
    noted = {name for name, places in reference.events().items() if any(each.in_call for each in places)}
    # and what is entered without the call itself logging it
    noted |= {LEFT_OUT, "personal_data_erased", "recording_deleted", "recording_fetched", "recording_played"}
    assert noted == WORDS["en"]["events"].keys()
    values = WORDS["en"]["values"]
    assert values["stage"].keys() == {*Stage}
    assert values["party"].keys() == {*Party}
    assert values["mode"].keys() == {*RecordingMode}
    assert values["why"].keys() == {*Why}
    assert {*KeyAction, *AgentAction} - {*Right} <= values["action"].keys()
    layers = {*NoticePrompt} - {NoticePrompt.RECORDING}
    assert values["prompt"].keys() == {
        *layers, *notices._RECORDING.values(), *notices._RECORDING_OR_END.values(),
        notices.LANGUAGE_OFFER, notices._IDENTITY_INBOUND, notices.RIGHTS_WITHOUT_KEYS,
    }  # fmt: skip
    for words in WORDS.values():
        assert len(words["rights_list"]) == len(WORDS["en"]["rights_list"])


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_page_is_in_another_language_or_lets_what_people_wrote_be_markup(language: AnswerLanguage) -> None:
    made = page(ACCOUNT, language, WARSAW).decode()
    assert f'<html lang="{language}">' in made
    assert f"<h1>{WORDS[language]['title']}</h1>" in made
    assert "A &amp; B &lt;Ltd&gt;" in made
    assert "<script>" not in made
    terms = WORDS[language]["terms"]
    for told in (
        terms["bridged"],
        terms["recording_played"],
        WORDS[language]["events"]["key_pressed"],
    ):
        assert f"<td>{told}</td>" in made or f"<dd>{told}</dd>" in made
    assert "key_pressed" not in made
    assert f"{WORDS[language]['retention_calls']}: 1461." in made
    assert f"{WORDS[language]['retention_requests']}: 1462." in made
    assert f"{WORDS[language]['retention_contacts']}: 731." in made
    assert f"{WORDS[language]['retention_consents']}: 1463." in made
    assert f"{WORDS[language]['retention_accesses']}: 1096." in made
    # by the clock of the controller's time zone, which is named
    assert f"{DAY[language]} 12:00:00" in made
    assert f"{WORDS[language]['clock']}: Europe/Warsaw." in made
    assert "2026-07" not in made


@pytest.mark.parametrize(
    ("language", "cited"), [("en", "Article 21(2)"), ("pl", "art. 21 ust. 2"), ("de", "Art. 21 Abs. 2"), ("uk", "стаття 21(2)")]
)  # fmt: skip
def test_the_article_of_the_request_is_cited_as_in_another_language(
    language: AnswerLanguage, cited: str
) -> None:
    made = page({**ACCOUNT, "right": "objection_marketing", "article": "21(2)"}, language, WARSAW).decode()
    assert f"<dd>ACME-2026-000001 ({WORDS[language]['terms']['objection_marketing']}, {cited})</dd>" in made


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "key: 3; what it is for: objection to marketing; when: during the notice"),
        ("pl", "klawisz: 3; do czego służy: sprzeciw wobec marketingu; kiedy: w trakcie komunikatu"),
        ("de", "Taste: 3; wofür: Widerspruch gegen Werbung; wann: während des Hinweises"),
        ("uk", "клавіша: 3; для чого: заперечення проти маркетингу; коли: під час повідомлення"),
    ],
)
def test_what_a_key_did_is_told_as_programs_know_it(language: AnswerLanguage, told: str) -> None:
    fields = {"key": "3", "action": "objection_marketing", "stage": "notice"}
    assert detail_of(language, "key_pressed", fields) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"outcome": "right_exercised", "reason": "access,erasure"}, "how it ended: ended after you exercised a right; why: access, erasure"),
        ({"outcome": "bridged", "reason": ""}, "how it ended: you talked to somebody"),
        ({"party": "agent", "reason": "no_route"}, "whose telephone: one of our staff&#39;s; why: no_route"),
        ({"prompts": "identity,rights", "sounds": "ab"}, "parts of the notice: who is calling / your rights and the keys for them; sounds: ab"),
        ({"recording_basis": "contract", "mode": "opt_out", "delete_at": "2026-07-01T10:00:00+00:00"},
         "legal basis: contract, Article 6(1)(b); recording: unless you refused; kept until: 1\u00a0July\u00a02026 12:00:00"),
        ({"duration_ms": "61000", "silent": "yes"}, "length: 1:01; without sound: yes"),
        ({"recording_basis": "consent", "delete_at": "soon", "duration_ms": "long"},
         "legal basis: consent, Article 6(1)(a); kept until: soon; length: long"),
        ({"recorded": "no"}, "recorded: no"),
        ({"key": "other", "action": "none"}, "key: another; what it is for: nothing"),
    ],
)  # fmt: skip
def test_an_entry_of_a_call_is_told_for_technicians(fields: dict[str, str], told: str) -> None:
    assert detail_of("en", "x", fields) == told


def detail_of(language: AnswerLanguage, event: str, fields: dict[str, str]) -> str:
    """What the page says about an entry of a call, beside its time and what happened."""
    call = {**ACCOUNT["calls"][0], "events": [{"at": AT, "event": event, "fields": fields}]}
    made = page({**ACCOUNT, "calls": [call]}, language, WARSAW).decode()
    told = re.search(r"<td><small>(.*)</small></td></tr>", made)
    assert told is not None
    return told[1]


def test_what_was_said_later_seems_to_have_come_before_as_the_clock_is_put_back() -> None:
    put_back = datetime(2026, 10, 25, 1, tzinfo=UTC)
    events = [
        {"at": put_back + timedelta(seconds=each), "event": "key_pressed", "fields": {}} for each in (-10, 10)
    ]
    call = {**ACCOUNT["calls"][0], "opened_at": put_back - timedelta(minutes=90), "events": events}
    made = page({**ACCOUNT, "calls": [call]}, "pl", WARSAW).decode()
    told = re.findall(r"<td>(25\.10\.2026 [^<]+)</td>", made)
    # CEST and CET are not what everybody calls them
    assert told == ["25.10.2026 02:59:50 UTC+0200", "25.10.2026 02:00:10 UTC+0100"]
    assert "<h3>25.10.2026 01:30:00</h3>" in made


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_what_was_erased_of_a_lifted_bar_is_told_in_english(language: AnswerLanguage) -> None:
    lifted = {**ACCOUNT["suppressions"][0], "removed_at": AT, "proof": "erased", "why": "erased"}
    made = page({**ACCOUNT, "suppressions": [lifted]}, language, WARSAW).decode()
    assert made.count(f"<td>{WORDS[language]['erased']}</td>") == len(("proof", "why"))


def outcome_of(language: AnswerLanguage, outcome: str, reason: str) -> str:
    """How the page says that a call ended."""
    call = {**ACCOUNT["calls"][0], "outcome": outcome, "reason": reason, "events": []}
    made = page({**ACCOUNT, "calls": [call]}, language, WARSAW).decode()
    said = re.search(rf"<dt>{WORDS[language]['outcome']}</dt><dd>(.*)</dd>", made)
    assert said is not None
    return said[1]


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize("block", [each for each in Block if each not in OF_NOBODY])
def test_why_somebody_was_not_called_is_told_as_programs_know_it(
    language: AnswerLanguage, block: Block
) -> None:
    told = outcome_of(language, "blocked", block.value)
    assert re.fullmatch(rf"{WORDS[language]['terms']['blocked']} \([^_]+\)", told), told


@pytest.mark.parametrize(
    ("outcome", "reason", "told"),
    [
        ("blocked", "suppressed_campaign_objection", "not dialled (barred: objection)"),
        ("blocked", "suppressed_register", "not dialled (barred: a register of people who want no advertising)"),
        ("right_exercised", "access,erasure", "ended after you exercised a right (access, erasure)"),
        ("recording_refused", "recording_refused", "ended because you refused the recording"),
        ("notice_failed", "not_played", "ended because the notice was not heard to its end (it could not be played)"),
        ("notice_failed", "on_hold", "ended because the notice was not heard to its end (you had put the call on hold)"),
        ("failed", "answer_timeout", "failed"),
        ("bridged", "", "you talked to somebody"),
        (HANDED_BACK, "", "allowed; what became of it is not recorded here"),
    ],
)  # fmt: skip
def test_how_a_call_ended_is_told_twice_or_for_technicians(outcome: str, reason: str, told: str) -> None:
    assert outcome_of("en", outcome, reason) == told


@pytest.mark.parametrize(
    ("language", "officer"),
    [("en", "officer"), ("pl", "Inspektor"), ("de", "beauftragter"), ("uk", "відповідальна")],
)
def test_a_controller_that_has_no_officer_is_said_to_have_one(language: str, officer: str) -> None:
    """Art 37 asks for one only of some controllers; the policy has an address to write to."""
    assert officer not in WORDS[language]["dpo"]


@pytest.mark.parametrize(
    ("language", "again"), [("en", "ask for"), ("pl", "prosimy"), ("de", "Bitte"), ("uk", "зверніться")]
)
def test_who_asked_for_a_copy_is_to_ask_for_the_audio_once_more(language: str, again: str) -> None:
    """Art 15(3): their request was for all of it."""
    assert again not in WORDS[language]["not_included"]


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(
    ("state", "there"),
    [("tagged", True), ("recording", True), ("finished", True), ("stored", True),
     ("discarded", False), ("failed", False), ("deleted", False)],
)  # fmt: skip
def test_audio_that_does_not_exist_is_to_be_asked_for_or_has_a_date(
    state: str, *, there: bool, held: bool
) -> None:
    recording = {
        "started_at": AT, "duration_ms": 1000, "purpose": "p", "legal_basis": "contract", "state": state,
        "delete_at": datetime(2027, 7, 1, 10, tzinfo=UTC), "kept_for_claims": held, "kept_for_requests": False,
        "audio": None,
    }  # fmt: skip
    made = page({**ACCOUNT, "recordings": [recording]}, "en", WARSAW).decode()
    words = WORDS["en"]
    assert f"<td>{words['terms'][state]}</td>" in made
    assert (words["not_included"] in made) is there
    assert ("1\u00a0July\u00a02027 12:00:00" in made) is (there and not held)
    assert (words["for_claims"] in made) is (there and held)


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize(
    ("past", "requested", "dated"),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, True)],
)
def test_a_recording_that_a_request_keeps_is_said_to_be_kept_until_a_day_that_is_over(
    language: AnswerLanguage, *, past: bool, requested: bool, dated: bool
) -> None:
    """The request for access itself holds it, until it is answered."""
    until = AT - timedelta(days=1) if past else AT + timedelta(days=1)
    recording = {
        "started_at": AT, "duration_ms": 1000, "purpose": "p", "legal_basis": "contract", "state": "stored", "delete_at": until,
        "kept_for_claims": False, "kept_for_requests": requested, "audio": None,
    }  # fmt: skip
    made = page({**ACCOUNT, "recordings": [recording]}, language, WARSAW).decode()
    day = languages.numeric_day(language, until)
    assert (f"<td>{day} 12:00:00</td>" in made) is dated
    assert (f"<td>{WORDS[language]['for_requests']}</td>" in made) is not dated


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize("looks", [ACCOUNT["accesses"], []], ids=["looked", "unlooked"])
def test_who_was_looked_at_long_ago_is_told_that_nobody_looked(
    language: AnswerLanguage, looks: list[dict[str, Any]]
) -> None:
    words = WORDS[language]
    account = {**ACCOUNT, "accesses": looks}
    whole, since = (
        page(account, language, WARSAW).decode(),
        page({**account, "accesses_expired_before": AT}, language, WARSAW).decode(),
    )
    told = f"<p>{words['accesses_before']}: {DAY[language]} 12:00:00.</p>"
    assert (told in whole, told in since) == (False, True)
    assert (words["accesses_none"] in whole, words["accesses_none_since"] in since) == (not looks, not looks)
    assert words["accesses_none"] not in since


@pytest.mark.parametrize(
    "part", ["suppressions", "registers", "requests", "accesses", "recipients", "rights"]
)
def test_a_page_of_portability_tells_more_than_article_20_covers(part: str) -> None:
    made = page({**ACCOUNT, "portability": True}, "en", WARSAW).decode()
    words = WORDS["en"]
    assert words["intro_portability"] in made
    assert f"<h2>{words[part]}</h2>" not in made
    assert f"<h2>{words[part]}</h2>" in page(ACCOUNT, "en", WARSAW).decode()


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_person_is_told_that_no_data_leave_the_eea_although_a_recipient_is_outside(
    language: AnswerLanguage,
) -> None:
    words = WORDS[language]
    crm = {"who": "Lenz <CRM>", "as": "recipient", "what": "calls", "country": "DE", "safeguard": None}
    abroad = {**crm, "who": "Faraway Inc.", "country": "US", "safeguard": "decision (EU) 2023/1795"}
    nobody, inside, outside = (
        page({**ACCOUNT, "recipients": [{"who": "A & B <Ltd>", "as": "controller", "what": "all of it"}, *more]}, language, WARSAW).decode()
        for more in ([], [crm], [crm, abroad])
    )  # fmt: skip
    assert words["recipients_named"] not in nobody
    assert "<li>Lenz &lt;CRM&gt; (DE): calls</li>" in inside
    assert f"<li>Faraway Inc. (US): calls. {words['safeguard']}: decision (EU) 2023/1795</li>" in outside
    sentence = page({**ACCOUNT, "recipients": [{**abroad, "what": "calls, etc."}]}, language, WARSAW).decode()
    assert f": calls, etc. {words['safeguard']}:" in sentence
    assert [words["no_transfers"] in each for each in (nobody, inside, outside)] == [False, True, False]
    assert [words["transfers"] in each for each in (nobody, inside, outside)] == [False, False, True]
    assert all(words["no_automated_decisions"] in each for each in (nobody, inside, outside))


def test_the_channel_that_a_consent_is_for_is_shown_as_how_it_was_given() -> None:
    consent = {
        "purpose": "p", "channel": "automatic_calls", "given_at": AT, "valid_until": None, "withdrawn_at": None, "proof": "a form",
        "used_in_calls": [],
    }  # fmt: skip
    made = page({**ACCOUNT, "consents": [consent]}, "en", WARSAW).decode()
    heading = made.index("<th>For calls by</th>")
    assert heading < made.index("<td>automatic calling systems</td>")


def test_a_consent_or_a_source_whose_time_is_over_seems_to_be_good_for_ever() -> None:
    until = datetime(2025, 3, 31, 22, tzinfo=UTC)
    consent = {
        "purpose": "p", "channel": "phone", "given_at": AT, "valid_until": until, "withdrawn_at": None, "proof": "a form",
        "used_in_calls": [],
    }  # fmt: skip
    contact = {
        "source": "fair",
        "obtained_on": AT.date(),
        "valid_until": until,
        "legal_basis": "contract",
        "proof": "",
    }
    made = page({**ACCOUNT, "consents": [consent], "contacts": [contact]}, "en", WARSAW).decode()
    assert made.count("<td>1\u00a0April\u00a02025 00:00:00</td>") == 2
    assert made.count("<th>Until</th>") == page(ACCOUNT, "en", WARSAW).decode().count("<th>Until</th>") + 2


@pytest.mark.parametrize(
    ("language", "only"), [("en", "only"), ("pl", "tylko"), ("de", "nur"), ("uk", "лише")]
)
def test_the_page_promises_that_less_of_a_request_is_kept_than_is(language: str, only: str) -> None:
    """Besides the fact that it was answered, and when, its reference and the right stay in the register."""
    assert only not in WORDS[language]["retention_requests"].split()


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_who_was_never_called_is_not_told_what_for_their_number_is_kept(language: AnswerLanguage) -> None:
    """Art 15(1)(a): if there was no call, the page has no other purpose."""
    contact = {
        "source": "fair",
        "obtained_on": date(2026, 1, 15),
        "legal_basis": "contract",
        "proof": "",
        "valid_until": None,
    }
    purposes = [
        {"purpose": "nowa <oferta>", "legal_basis": "consent"},
        {"purpose": "ankieta", "legal_basis": "contract"},
    ]
    given = {**ACCOUNT, "calls": [], "purposes": purposes}
    told, terms = (
        page({**given, "contacts": [contact]}, language, WARSAW).decode(),
        WORDS[language]["terms"],
    )
    assert f": nowa &lt;oferta&gt; ({terms['consent']}); ankieta ({terms['contract']}).</p>" in told
    assert "ankieta" not in page({**given, "contacts": [contact], "purposes": []}, language, WARSAW).decode()
    assert "ankieta" not in page(given, language, WARSAW).decode()


@pytest.mark.parametrize(
    ("language", "again"),
    [("en", "nobody calls you"), ("pl", "nikt więcej"), ("de", "niemand mehr"), ("uk", "більше не дзвонили")],
)
def test_who_objected_to_advertising_is_told_that_nobody_calls_them_again(
    language: AnswerLanguage, again: str
) -> None:
    (bar,) = ACCOUNT["suppressions"]
    bars = [
        *({**bar, "reason": reason} for reason in Reason),
        {**bar, "reason": "withdraw_consent", "campaign": "offers", "purpose": "nowa <oferta>"},
        {**bar, "reason": "withdraw_consent", "campaign": "no longer declared"},
    ]
    told = page({**ACCOUNT, "suppressions": bars}, language, WARSAW).decode()
    assert again not in told
    words = WORDS[language]
    for reason in Reason:
        assert f"<td>{words['bars'][reason]}</td>" in told
    for purpose in "nowa &lt;oferta&gt;", "no longer declared":
        assert f"<td>{words['only_for']}: {purpose} ({words['until_renewed']})</td>" in told
    assert words["until_renewed"] in words["bars"][Reason.WITHDRAW_CONSENT]


@pytest.mark.parametrize(
    ("language", "so_we_do_not"), [("en", "so we do not call"), ("pl", "dlatego nie dzwonimy"), ("de", "damit wir Sie nicht"), ("uk", "тому ми не дзвонимо")]
)  # fmt: skip
def test_the_page_promises_that_a_register_bars_calls_that_a_later_consent_allows(
    language: str, so_we_do_not: str
) -> None:
    """If the register has ``consent_overrides``."""
    assert so_we_do_not not in WORDS[language]["registers_intro"]


@pytest.mark.parametrize(
    ("language", "name"), [("en", "request"), ("pl", "żądanie"), ("de", "antrag"), ("uk", "запит")]
)
def test_a_request_has_another_name_than_it_had_on_the_telephone(language: AnswerLanguage, name: str) -> None:
    spoken = Catalogue.load(shipped_sounds() / "catalogue.toml")
    told = WORDS[language]
    for said in (
        spoken.template("right_registered_erasure", language),
        told["request"],
        told["events"]["right_registered"],
    ):
        assert name in said.lower()
