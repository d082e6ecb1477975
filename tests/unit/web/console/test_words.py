"""What the console says: the same in each language, with nothing missing that is asked for."""

import ast
import dataclasses
import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from importlib import resources
from pathlib import Path
from string import Formatter

import pytest

import ccari
from ccari.cli.commands import MODULES
from ccari.errors import ConfigError, SecretError, StoreError
from ccari.gating.findings import findings
from ccari.lists import lines
from ccari.own_threads import OwnThreads
from ccari.policy import notices
from ccari.policy.bases import LegalBasis
from ccari.policy.blocks import WHY
from ccari.policy.call import HANDED_BACK, Direction, Outcome, Party, reaching
from ccari.policy.call.state import Stage
from ccari.policy.campaign import NoticePrompt
from ccari.policy.consent import Channel, Consent, ConsentState
from ccari.policy.erasure import Ground, Kept, Plan, Thing, What
from ccari.policy.gate import Block, Contact, Facts
from ccari.policy.keypad import KeyAction
from ccari.policy.mandate import MandateFault
from ccari.policy.numbers import NumberFault
from ccari.policy.recording import RecordingMode, Without
from ccari.policy.rights import Level, RequestState, Right, StepFault, Stored
from ccari.policy.suppression import Listing, Reason, Suppression
from ccari.ports.access import Role
from ccari.ports.live import Taped
from ccari.ports.requests import Intake
from ccari.recordings.reading import identities_in
from ccari.recordings.subject import giving
from ccari.recordings.subject.account import _WAYS
from ccari.recordings.subject.pack import Packed
from ccari.store.erasures import _summary
from ccari.web import problems
from ccari.web.console.menu import ENTRIES
from ccari.web.console.words import CATALOGUES, Words, preferred
from tests.reference import page as reference
from tests.unit.policy.campaigns import ALL_KEYS, campaign

MOMENT = datetime(2026, 1, 20, tzinfo=UTC)
HERE = resources.files("ccari.web.console")
PRODUCT = Path(ccari.__file__).parent
FAULTS = {
    "CellError", "EvidenceError", "Fault", "ForwardError", "InputError", "LineFault", "NotTakenError", "RecordingError", "RequestError",
    "_BrokenOffError", "_error", "_fault",
}  # fmt: skip
#: Where the texts are that the console shows.
SPEAKING = (
    "forward/*.py", "gating/*.py", "office/*.py", "lists/*.py", "web/**/*.py", "store/holds.py", "store/mandates.py", "store/requests.py",
    "recordings/shelf.py", "recordings/reading.py", "recordings/evidence/proving.py", "recordings/evidence/pack.py",
)  # fmt: skip
#: Functions that say in words what is wrong with evidence.
TELLING = {
    "fault", "_why_link_differs", "fault_of_call", "_fault_of_notice", "_fault_of_moments", "_fault_of_erased", "fault_of_recordings", "fault_of_request", "_fault_of_tag", "_fault_of_file", "_fault_of_state",
}  # fmt: skip
ASKED = re.compile(r"""\b(?:t|words)\(\s*['"]([a-z_0-9.]+)['"]\s*[,)]""")
KINDS: dict[str, Iterable[StrEnum]] = {
    "right": Right, "state": RequestState, "stored": Stored, "reason": Reason, "role": Role, "channel": Intake, "outcome": Outcome, "block": Block, "basis": LegalBasis,
    "direction": Direction, "stage": Stage, "taped": Taped, "consent_state": ConsentState, "reached_by": Channel,
}  # fmt: skip


def sources() -> list[str]:
    files = [*HERE.iterdir(), *HERE.joinpath("templates").iterdir()]
    return [file.read_text("utf-8") for file in files if file.name.endswith((".py", ".j2"))]


def keys(words: Words) -> set[str]:
    return {key for key in words.said if not key.startswith("said.")}


def test_a_text_is_missing_in_a_language() -> None:
    assert keys(CATALOGUES["en"]) == keys(CATALOGUES["pl"])


def test_a_page_says_what_no_catalogue_has() -> None:
    asked = {key for source in sources() for key in ASKED.findall(source)}
    asked |= {f"menu.{each.name}" for each in ENTRIES}
    assert len(asked) > 50
    assert asked <= keys(CATALOGUES["en"])


def test_a_text_is_filled_in_otherwise_in_another_language() -> None:
    def fields(said: str | list[str]) -> set[str]:
        texts = [said] if isinstance(said, str) else said
        return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}

    for key in keys(CATALOGUES["en"]):
        english, polish = CATALOGUES["en"].said[key], CATALOGUES["pl"].said[key]
        assert fields(english) == fields(polish), key
        if isinstance(english, list):
            assert (len(english), len(polish)) == (2, 3), key


def test_a_text_asks_for_what_the_english_does_not_have() -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    for key, text in CATALOGUES["pl"].said.items():
        if key.startswith("said."):
            assert isinstance(text, str), key
            assert fields(text) <= fields(key), key


def test_a_word_of_the_law_is_shown_as_the_database_has_it() -> None:
    for language, words in CATALOGUES.items():
        for kind, names in KINDS.items():
            assert [each for each in names if f"{kind}.{each.value}" not in words.said] == [], (
                language,
                kind,
            )
        assert [each for each in Level if f"level.{each.name}" not in words.said] == []
        # of a call that the dialplan makes
        assert f"outcome.{HANDED_BACK}" in words.said


def test_the_law_speaks_english_to_polish_officers() -> None:
    polish = CATALOGUES["pl"]
    for each in (
        *MandateFault,
        *(fault.words for fault in NumberFault),
        *(ground.words for ground in Ground),
    ):
        assert polish.said_of(each) != each
    for fault in StepFault:
        told = polish.said_of(f"ACME-2026-000001 is in progress: {fault}")
        assert told.startswith("ACME-2026-000001, stan: w toku: ")
        assert str(fault) not in told


@pytest.mark.parametrize(
    ("who", "english", "polish"),
    [
        ("cli:anna", "anna (command line)", "anna (wiersz poleceń)"),
        ("token:dpo-1", "dpo-1 (token)", "dpo-1 (token)"),
        ("housekeeping", "ccari, by itself", "ccari, samo"),
        # agents
        ("anna", "anna", "anna"),
        ("call", "call", "call"),
        ("token:", "token:", "token:"),
        ("housekeeping:", "housekeeping:", "housekeeping:"),
    ],
)  # fmt: skip
def test_who_did_it_is_said_in_codes(who: str, english: str, polish: str) -> None:
    for language, told in (("en", english), ("pl", polish)):
        words = CATALOGUES[language]
        assert words.actor(who) == told
        assert words.detail("by", who) == f"{words.term('detail', 'by')}: {told}"


@pytest.mark.parametrize(
    ("way", "english", "polish"),
    [
        ("import:cli:anna", "imported by anna (command line)", "z importu: anna (wiersz poleceń)"),
        ("request:letter", "request by letter", "żądanie: list"),
        ("call", "in the call", "w rozmowie"),
        ("cli:anna", "anna (command line)", "anna (wiersz poleceń)"),
        # what an imported list says itself
        ("fair: 12 March", "fair: 12 March", "fair: 12 March"),
        ("request:", "request:", "request:"),
    ],
)  # fmt: skip
def test_how_it_came_is_said_in_codes(way: str, english: str, polish: str) -> None:
    assert (CATALOGUES["en"].origin(way), CATALOGUES["pl"].origin(way)) == (english, polish)


@pytest.mark.parametrize("way", ["cli:", "token:", "import:"])
def test_a_list_that_names_a_way_a_thousand_times_takes_the_page_down(way: str) -> None:
    """Its origin may be as long as a line, and stays on the page for as long as the bar is in force."""
    assert "anna" in CATALOGUES["en"].origin(1000 * way + "anna")


def test_a_way_in_which_something_came_has_no_name_in_a_language() -> None:
    for language, words in CATALOGUES.items():
        for way in _WAYS:
            assert {f"actor.{way}", f"origin.{way}"} & words.said.keys(), (language, way)
        for party in Party:
            told = f"{words.term('detail', 'party')}: {words.term('party', party.value)}"
            assert words.detail("party", party.value) == told
            assert f"party.{party.value}" in words.said


def test_what_an_erasure_would_take_has_no_name_in_a_language() -> None:
    for words in CATALOGUES.values():
        for kind in ("thing", "counted"):
            assert [each for each in What if f"{kind}.{each.replace(' ', '_')}" not in words.said] == []


@pytest.mark.parametrize(
    ("english", "polish"),
    [
        ("erased: 1 call, 12 heard notices, 1 number in the forwarding queue, 3 numbers of requests",
         "usunięto: 1 połączenie, 12 odtworzonych komunikatów, 1 numer w kolejce do przekazania, 3 numery w żądaniach"),
        ("erased: nothing; kept: 22 recordings (Art 17(3)(e))", "usunięto: nic; zachowano: 22 nagrania (art. 17 ust. 3 lit. e)"),
        ("erased: 5 kept HTTP answers; kept: 1 consent (Art 7(1), 17(3)(e)), 2 contacts (Art 15, 18, 20, 21, 22)",
         "usunięto: 5 zachowanych odpowiedzi HTTP; zachowano: 1 zgoda (art. 7 ust. 1, 17 ust. 3 lit. e), 2 kontakty (art. 15, 18, 20, 21, 22)"),
        # what a person wrote
        ("erased: 2 ring binders", "erased: 2 ring binders"),
        ("erased: 2 calls; kept: the letter", "erased: 2 calls; kept: the letter"),
        ("erased: 1 call, as she asked", "erased: 1 call, as she asked"),
        (f"erased: {9 * '9' * 500} calls", f"erased: {9 * '9' * 500} calls"),
        ("letter 7", "letter 7"),
    ],
)  # fmt: skip
def test_what_an_erasure_took_is_told_in_english_or_the_words_of_a_person_are_changed(
    english: str, polish: str
) -> None:
    assert (CATALOGUES["en"].written(english), CATALOGUES["pl"].written(english)) == (english, polish)


def test_an_erasure_writes_what_the_console_cannot_read() -> None:
    things = [Thing(what, what) for what in What]
    kept = [Kept(thing, ground) for thing in things for ground in Ground]
    for several in (1, 7):
        told = _summary(dict.fromkeys(What, several), Plan(stays=several * kept))
        shown = CATALOGUES["pl"].written(told)
        assert shown.count("(art. ") == len(kept)
        assert not re.search(r"erased|kept|Art |notice|number|call", shown)


@pytest.mark.parametrize(
    ("calls", "recordings", "left_out", "polish"),
    [(1, 0, 0, "wydano: 1 połączenie, 0 nagrań; sha256 "), (4, 1, 1, "wydano: 4 połączenia, 1 nagranie, w tym bez dźwięku: 1; sha256 "),
     (22, 12, 3, "wydano: 22 połączenia, 12 nagrań, w tym bez dźwięku: 3; sha256 ")],
)  # fmt: skip
def test_an_export_writes_what_the_console_cannot_read(
    calls: int, recordings: int, left_out: int, polish: str
) -> None:
    digest = sha256(b"export").hexdigest()
    told = giving.words(
        Packed(Path("x"), digest, calls, recordings, dict.fromkeys(map(str, range(left_out)), ""))
    )
    assert (CATALOGUES["en"].written(told), CATALOGUES["pl"].written(told)) == (told, polish + digest)
    for of_a_person in (f"{told}, by post", "exported: 2 calls, 1 recording", "exported: the file"):
        assert CATALOGUES["pl"].written(of_a_person) == of_a_person


def test_a_prompt_of_a_notice_has_no_name_in_a_language() -> None:
    keys = ALL_KEYS | {"9": KeyAction.LANGUAGE}
    agreed = {"0": KeyAction.CONSENT_RECORDING}
    declared = [
        campaign(recording={"mode": RecordingMode.OFF}, keys={}, notice={"prompts": list(NoticePrompt)}),
        *(
            campaign(
                recording={"mode": mode, "without": without},
                notice={"prompts": list(NoticePrompt)},
                keys=keys | agreed if mode is RecordingMode.OPT_IN else keys,
                languages=["de"],
            )
            for mode in RecordingMode
            for without in Without
            if (mode, without) != (RecordingMode.MANDATORY, Without.CONTINUE)
        ),
    ]
    played = {prompt for each in declared for wording in notices.wordings(each) for prompt in wording}
    for language, words in CATALOGUES.items():
        named = {key.removeprefix("prompt.") for key in words.said if key.startswith("prompt.")}
        assert named == played, language


def literals() -> dict[str, str]:
    """What is said about what was filled in: each text in the code, with its gaps filled, and its place."""
    found: dict[str, str] = {}
    for place in SPEAKING:
        for file in sorted(PRODUCT.glob(place)):
            refusals = {"Refusal"} if file.parent.name == "console" else set()
            values = {"ValueError"} if file.name == "fields.py" else set()
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _name(node.func) in FAULTS | refusals | values:
                    given = [
                        *node.args,
                        *(each.value for each in node.keywords if each.arg in {None, "detail"}),
                    ]
                    texts = [text for each in given if (text := _filled(each)) is not None]
                    found |= {texts[-1]: f"{file.name}:{node.lineno}"} if texts else {}
    return {text: where for text, where in found.items() if " " in text}


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _filled(node: ast.expr, **more: str) -> str | None:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            gaps = {
                "level": "L2",
                "_SAVE": lines._SAVE,
                "reference": "ACME-2026-000001",
                "state": "in progress",
                "in_utc": "2026-03-05 10:00 UTC",
                "when": "on 2026-03-05",
                **more,
            }
            return "".join(
                str(each.value) if isinstance(each, ast.Constant)
                else next((shape for name, shape in gaps.items() if name in ast.unparse(each)), "17")
                for each in parts
            )  # fmt: skip
    return None


def test_what_is_wrong_with_a_form_or_a_line_is_said_in_english() -> None:
    said = literals()
    assert len(said) > 50
    polish = CATALOGUES["pl"]
    assert {text: where for text, where in said.items() if polish.said_of(text) == text} == {}


@pytest.mark.parametrize("version", [None, 3])
def test_why_a_node_is_of_no_use_is_said_in_english(version: int | None) -> None:
    error = SecretError("no folder", "acme", version)
    told = problems.of_error(error).problem.detail
    assert CATALOGUES["pl"].said_of(told) != told
    assert "acme" in CATALOGUES["pl"].said_of(told)


#: Whom the console names, in each language, for what is done by a command.
OPERATOR = {"en": "whoever runs ccari", "pl": "osoba, która prowadzi ccari"}


async def test_that_a_disk_hangs_is_said_in_english() -> None:
    works, polish = threading.Event(), CATALOGUES["pl"]
    for most in (0, 1):
        with pytest.raises(StoreError) as told:
            await OwnThreads("disk", most=most).within(0.0, works.wait, 30.0)
        assert "disk does not answer" in str(told.value)
        assert "dysk nie odpowiada" in polish.said_of(str(told.value))
    works.set()


def test_who_has_only_a_browser_is_told_to_type_a_command() -> None:
    """What the console can do itself it links to, and for the rest it says whom to ask."""
    command = re.compile(rf"\bccari (?:{'|'.join(MODULES)})\b")
    said = {
        *literals(),
        *(each.value for each in MandateFault),
        *(each.words for each in Ground),
        WHY[Block.NO_POLICY],
    }
    said |= {key.removeprefix("said.") for key in CATALOGUES["pl"].said if key.startswith("said.")}
    for language, words in CATALOGUES.items():
        shown = {words.said_of(each) for each in said} | {
            text for key in keys(words) for text in [words.said[key]] if isinstance(text, str)
        }
        told = [each for each in shown if command.search(each)]
        assert len(told) > 5
        assert [each for each in told if OPERATOR[language] not in each.lower()] == [], language


def returned() -> dict[str, str]:
    """What is wrong with a journal, or with what the tables say beside it, in the form that literals() has."""
    found: dict[str, str] = {}
    missing = set(TELLING)
    for place in ("policy/chain.py", "policy/seal.py", "recordings/evidence/agreeing.py"):
        for telling in ast.walk(ast.parse(PRODUCT.joinpath(place).read_text("utf-8"))):
            if not isinstance(telling, ast.FunctionDef) or telling.name not in TELLING:
                continue
            missing.discard(telling.name)
            for node in ast.walk(telling):
                if isinstance(node, ast.Return) and node.value is not None:
                    given = node.value.body if isinstance(node.value, ast.IfExp) else node.value
                    text = _filled(given, what="recording 17 is stored, but")
                    found |= {text: f"{place}:{node.lineno}"} if text else {}
    assert not missing
    return found


def test_what_is_wrong_within_evidence_is_said_in_english() -> None:
    said = returned()
    assert len(said) > 20
    polish = CATALOGUES["pl"]
    assert {text: where for text, where in said.items() if polish.said_of(text) == text} == {}
    for what in ("call 17", "request ACME-2026-000001"):
        for text in (*said, "journal"):
            told = polish.said_of(f"{what} is no longer valid evidence: {text}")
            assert not re.search(r"\b(call|the|journal|recording)\b", told.replace(": journal", "")), told


@pytest.mark.parametrize(
    ("english", "polish"),
    [
        ("this number cannot be called: no country has such a number", "na ten numer nie można zadzwonić: w żadnym kraju nie ma takiego numeru"),
        ("Input should be 'L0', 'L1' or 'L2'", "musi to być: 'L0', 'L1' lub 'L2'"),
        ("a token may look up at most 60 numbers a minute", "zbyt wiele sprawdzeń; liczba numerów na minutę dla jednego tokenu: 60"),
        ("a.csv: line 7: the column 'until' appears twice", "a.csv: wiersz 7: kolumna 'until' występuje dwa razy"),
        ("the fields of entry 3 (key_pressed) were changed", "zmieniono pola wpisu 3 (naciśnięto klawisz)"),
        ("call 17 is no longer valid evidence: recording 9 is not the one that the journal says was stored: its sha256 differs",
         "połączenie 17 niczego już nie dowodzi: nagranie 9 jest inne niż według dziennika przechowane: skrót dźwięku"),
        ("the legal_basis of the call is contract, but consent in the journal",
         "podstawa prawna połączenia: umowa, art. 6 ust. 1 lit. b, a w dzienniku: zgoda, art. 6 ust. 1 lit. a"),
        ("the campaign of the call is off, but notice in the journal", "kampania połączenia: off, a w dzienniku: notice"),
        ("the entries up to number 3 are not those that were sealed at 2026-03-05 10:00:00 UTC",
         "wpisy do numeru 3 nie są tymi, które opieczętowano 2026-03-05 10:00:00 UTC"),
        ("recording 9 was deleted because of purge, but because of erasure in the journal",
         "przyczyna usunięcia nagrania 9: usunięto przed terminem, a w dzienniku: usunięcie na żądanie"),
        ("legal hold 7 (a claim)", "zabezpieczenie 7 (a claim)"),
        ("request ACME-2026-000001 (access)", "żądanie ACME-2026-000001 (dostęp)"),
        ("legal hold 7 (a claim); request ACME-2026-000001 (access)", "zabezpieczenie 7 (a claim); żądanie ACME-2026-000001 (dostęp)"),
        ("legal hold 7 (a claim; and another)", "zabezpieczenie 7 (a claim; and another)"),
        # as it was worded before, and is kept
        ("webhook: it answered 301: redirects are not followed, so put the new url into the policy",
         "webhook: odpowiedział kodem 301: przekierowania nie są wykonywane, trzeba ustawić nowy url"),
        ("webhook: it answered 500; folder: /srv did not take the file within 10 s",
         "webhook: odpowiedział kodem 500; folder: /srv nie przyjął pliku w ciągu 10 s"),
        ("the list: line 7: it is empty", "lista: wiersz 7: puste"),
        ("the list: line 1: a line ends with a lone carriage return: save the file with the line endings of Windows or Unix",
         "lista: wiersz 1: wiersz kończy się samym znakiem CR: proszę zapisać plik z końcami wierszy Windows lub Unix"),
        ("it is not a CSV: a quotation mark is opened but not closed", "to nie jest CSV: cudzysłów otwarto, ale nie zamknięto"),
        ("it is not a CSV: a cell goes on after its closing quotation mark",
         "to nie jest CSV: po cudzysłowie zamykającym komórka ma dalszy ciąg"),
        ("it must be a date such as 2026-12-31", "to musi być data, na przykład 2026-12-31"),
        ("'acme' has no campaigns", "'acme' nie ma żadnych kampanii"),
        ("nobody has translated this", "nobody has translated this"),
    ],
)  # fmt: skip
def test_what_is_filled_in_is_lost_in_translation(english: str, polish: str) -> None:
    assert CATALOGUES["pl"].said_of(english) == polish


def test_a_key_that_opens_nothing_is_refused_in_english() -> None:
    with pytest.raises(ConfigError) as refused:
        identities_in("AGE-SECRET-KEY-1XXXX", "what you gave")
    assert CATALOGUES["pl"].said_of(str(refused.value)) == (
        "proszę podać klucz prywatny age (AGE-SECRET-KEY-1…) i nic więcej"
    )


@pytest.mark.parametrize(
    ("reason", "polish"),
    [
        ("outside_hours", "poza godzinami połączeń"), ("not_played", "nie udało się odtworzyć komunikatu"),
        ("erasure", "usunięcie"), ("answer_timeout", "upłynął czas: odbieranie"), ("bridge_failed", "nie powiodło się: łączenie"),
        ("cause_127", "przyczyna Q.850: 127"), ("never_heard_of", "never heard of"),
    ],
)  # fmt: skip
def test_the_reason_of_an_end_is_said_in_english(reason: str, polish: str) -> None:
    assert CATALOGUES["pl"].reason(reason) == polish


def test_a_call_ends_for_a_reason_that_no_catalogue_has() -> None:
    given: set[str] = set()
    for file in PRODUCT.joinpath("policy", "call").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in {"end", "farewell", "set_reason"}:
                given |= {
                    str(each.value) for each in node.args if isinstance(each, ast.Constant) and each.value
                }
    given |= set(reaching._FAILURES.values())
    assert len(given) > 10
    polish = CATALOGUES["pl"]
    assert [each for each in sorted(given) if polish.reason(each) == each.replace("_", " ")] == []


@pytest.mark.parametrize(
    ("name", "value", "polish"),
    [
        ("key", "7", "klawisz: 7"), ("stage", "notice", "etap: słucha komunikatu"), ("action", "erasure", "czynność: usunięcie"),
        ("action", "pause_recording", "czynność: wstrzymanie nagrywania"), ("recorded", "yes", "nagrywane: tak"),
        ("reason", "no_agent", "przyczyna: żaden agent nie odebrał"), ("by", "token:anna", "przez: anna (token)"),
        ("legal_basis", "contract", "podstawa prawna: umowa, art. 6 ust. 1 lit. b"),
        ("prompts", "identity,rights_no_keys", "komunikaty: kto dzwoni / prawa bez klawiszy"),
        ("prompts", "identity,of_another_version", "komunikaty: kto dzwoni / of another version"),
        ("prompt", "language_offer", "komunikat: propozycja innego języka"),
    ],
)  # fmt: skip
def test_the_journal_is_told_in_english(name: str, value: str, polish: str) -> None:
    assert CATALOGUES["pl"].detail(name, value) == polish


def test_a_field_of_the_journal_has_no_name_in_polish() -> None:
    logged, spread = reference.events(), reference.told()["spread"]
    noted = {
        each
        for name, places in logged.items()
        if any(place.in_call for place in places)
        for each in reference.fields(name, places, spread)
    }
    facts = Facts(
        (Suppression(Reason.OBJECTION, MOMENT),), (Listing("robinson", MOMENT),), {"robinson": MOMENT},
        Consent(MOMENT), Contact(), informed=["a"],
    )  # fmt: skip
    proven = findings(facts)
    assert len(proven) == len(dataclasses.fields(Facts)) - 1, "all but the secrets"
    unlogged = proven.keys() | set(_written({"entry", "know"}))
    assert len(noted) > 30
    assert len(unlogged) > 8
    assert [each for each in sorted(noted | unlogged) if f"detail.{each}" not in CATALOGUES["pl"].said] == []


def _written(functions: set[str]) -> Iterable[str]:
    """The keys of dicts that are written out as arguments of these functions."""
    for file in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in functions:
                given = (each for argument in node.args for each in ast.walk(argument))
                written = (key for each in given if isinstance(each, ast.Dict) for key in each.keys)
                yield from (str(key.value) for key in written if isinstance(key, ast.Constant))


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "zostało 0 dni"), (1, "został 1 dzień"), (2, "zostały 2 dni"), (5, "zostało 5 dni"), (12, "zostało 12 dni"),
     (22, "zostały 22 dni"), (21, "zostało 21 dni"), (112, "zostało 112 dni")],
)  # fmt: skip
def test_a_polish_plural_is_wrong(n: int, said: str) -> None:
    assert CATALOGUES["pl"]("due.left", n=n) == said


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "en"), ("pl", "pl"), ("pl-PL,en;q=0.9", "pl"), ("de,en;q=0.4,pl;q=0.6", "pl"), ("pl;q=0", "en"),
     ("*", "en"), ("pl;q=x", "en"), ("," * 5000, "en")],
)  # fmt: skip
def test_a_browsers_language_is_misread(header: str, language: str) -> None:
    assert preferred(header) == language


def test_a_request_that_is_taken_back_reads_as_a_consent_that_is() -> None:
    for words in CATALOGUES.values():
        consent, *_ = words.term("right", Right.WITHDRAW_CONSENT).split()
        for said in (words.term("state", RequestState.WITHDRAWN), words("steps.withdraw")):
            assert consent[:6] not in said.lower()


def test_an_officer_refuses_in_other_words_than_the_law() -> None:
    """The Polish Art 12(4) has ``powody niepodjęcia działań``; ``przyczyny`` are those of a delay, in Art 12(3)."""
    told = CATALOGUES["pl"]("steps.refuse_help")
    assert "powody niepodjęcia działań" in told
    for remedy in (
        "wniesienia skargi do organu nadzorczego",
        "skorzystania ze środków ochrony prawnej przed sądem",
    ):
        assert remedy in told, remedy


def test_a_request_is_entered_under_another_name_than_on_the_button() -> None:
    for text in CATALOGUES["pl"].said.values():
        for said in [text] if isinstance(text, str) else text:
            assert not re.search(r"wprowad(ź|zić)\b.*żądanie", said), said


def test_a_call_back_is_said_to_have_been_a_key() -> None:
    assert "key" not in CATALOGUES["en"].term("level", "L1")
    assert "klawisz" not in CATALOGUES["pl"].term("level", "L1")


def test_a_browser_offers_again_what_was_written_of_a_person() -> None:
    written = [
        each
        for source in sources()
        for each in re.findall(r"<input\b(?:\{\{.*?\}\}|[^>{])*>", source)
        if 'type="tel"' in each or "type=" not in each
    ]
    assert len(written) > 10
    assert [each for each in written if 'autocomplete="off"' not in each] == []


def test_an_article_is_written_as_in_another_language() -> None:
    told = {language: words.article("7(1), 17(3)(e)") for language, words in CATALOGUES.items()}
    assert told == {"en": "7(1), 17(3)(e)", "pl": "7 ust. 1, 17 ust. 3 lit. e"}
