"""The catalogue: what is shipped says the right things, and a wrong one is refused with its place named."""

import itertools
import json
import re
from datetime import date
from pathlib import Path

import pytest

from ccari.errors import SoundError
from ccari.policy import confirmations, notices, speech, wording
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import NoticePrompt
from ccari.policy.recording import RecordingMode, Without
from ccari.policy.rights import EFFECTS
from ccari.sounds import Catalogue
from ccari.sounds.catalogue import Kind
from tests.unit.policy.campaigns import ALL_KEYS, CONTROLLER, campaign

VERBATIM = (
    "W trosce o Państwa bezpieczeństwo informujemy, że rozmowa jest nagrywana, jeżeli nie wyrażają Państwo zgody, "
    "prosimy o przerwanie połączenia"
)
FILLED_IN = {
    "recording_purpose": {"recording_purpose"},
    "identity": {"controller"},
    "identity_inbound": {"controller"},
    "machine_message": {"controller"},
    "purpose": {"purpose"},
    "source": {"data_source"},
    "basis": {"legal_basis_words"},
    "recording_opt_out": {"key"},
    "recording_opt_out_or_end": {"key"},
    "recording_opt_in": {"key"},
    "recording_opt_in_or_end": {"key"},
}


def numbers(language: str) -> str:
    """A table of numbers whose words differ from those of another language."""
    counts = {"day": 31, "month": 12, "year": 16}
    return "".join(
        f"{part} = {json.dumps([f'{language} {part} {place}' for place in range(count)])}\n"
        for part, count in counts.items()
    )


GOOD = f"""
languages = ["pl", "en"]
[menu_repeat]
kind = "menu"
pl = "Jeszcze raz: klawisz {{key}}."
en = "Again: press {{key}}."
[keys]
pl = {{ 0="a", 1="a", 2="a", 3="a", 4="a", 5="a", 6="a", 7="a", 8="a", 9="a", "*"="a", "#"="a" }}
en = {{ 0="b", 1="b", 2="b", 3="b", 4="b", 5="b", 6="b", 7="b", 8="b", 9="b", "*"="b", "#"="b" }}
[legal_bases.pl]
consent = "c"
contract = "c"
legal_obligation = "c"
vital_interest = "c"
public_task = "c"
legitimate_interest = "c"
[legal_bases.en]
consent = "d"
contract = "d"
legal_obligation = "d"
vital_interest = "d"
public_task = "d"
legitimate_interest = "d"
[numbers.pl]
{numbers("pl")}
[numbers.en]
{numbers("en")}
"""


def test_polish_recording_notice_is_word_for_word_as_agreed(catalogue: Catalogue) -> None:
    assert catalogue.template("recording_notice", "pl") == VERBATIM


def test_every_prompt_is_said_in_all_four_languages_and_in_no_two_alike(catalogue: Catalogue) -> None:
    """Words left in another language would be read out in the wrong voice."""
    assert catalogue.languages == ("pl", "en", "de", "uk")
    for entry in catalogue.entries.values():
        assert set(catalogue.languages) == set(entry.text), entry.id
        # zero and November are the same word in two languages
        if entry.kind is not Kind.NUMBER:
            assert len(set(entry.text.values())) == len(catalogue.languages), entry.id


def test_each_language_keeps_to_its_script_and_its_address(catalogue: Catalogue) -> None:
    """Formal everywhere; and a Latin letter in a Ukrainian word would be spelt out, or read by the English voice."""
    informal = {
        "pl": r"\b(twoj\w+|ciebie|tobie|możesz|naciśnij)\b",
        "de": r"\b(du|dein\w*|dich|dir|drück)\b",
        "uk": r"\b(ти|тебе|тобі|тв\w+|натисни)\b",
    }
    for id_, entry in catalogue.entries.items():
        said = {language: re.sub(r"{\w+}", "", text) for language, text in entry.text.items()}
        assert re.fullmatch(r"[А-ЩЬЮЯҐЄІЇа-щьюяґєії’ ,.:-]+", said["uk"]), id_
        assert not re.search(r"[А-я]", said["pl"] + said["en"] + said["de"]), id_
        for language, words in informal.items():
            assert not re.search(words, said[language], re.IGNORECASE), (id_, language)


def test_notices_and_menu_leave_exactly_what_the_policy_fills_in(catalogue: Catalogue) -> None:
    """An identity notice without {controller} would tell nobody who calls."""
    for entry in catalogue.entries.values():
        menu = {"key"} if entry.id.startswith("menu_") else set()
        assert FILLED_IN.get(entry.id, menu) == entry.placeholders, entry.id


def test_every_sound_that_the_policy_plays_in_all_campaigns_needs_no_campaign(catalogue: Catalogue) -> None:
    words: wording.Words = catalogue
    for language in catalogue.languages:
        fixed = {prompt.id: prompt.text for prompt in catalogue.fixed(language)}
        assert set(notices.COMMON) <= set(fixed)
        assert all(fixed[id_] == words.template(id_, language) for id_ in notices.COMMON)


def test_fixed_prompts_hold_no_menu_piece_and_nothing_to_fill_in(catalogue: Catalogue) -> None:
    fixed = catalogue.fixed("pl")
    assert "rights" not in {prompt.id for prompt in fixed}
    assert not [prompt.id for prompt in fixed if "{" in prompt.text or prompt.campaign]


def test_who_has_heard_the_keys_menu_over_fastagi_believes_that_keys_work_after_it(
    catalogue: Catalogue,
) -> None:
    """It says the same menu as the notice, but no key is heard once it has ended."""
    throughout = {"pl": "w każdej chwili", "en": "any time", "de": "jederzeit", "uk": "будь-який момент"}
    menu = [entry for entry in catalogue.entries.values() if entry.kind is Kind.MENU]
    assert "rights" in [entry.id for entry in menu]
    for language, words in throughout.items():
        assert not [entry.id for entry in menu if words in entry.text[language]]


def test_what_a_person_decides_is_only_said_to_be_registered(catalogue: Catalogue) -> None:
    """An erasure may be refused, Article 17(3), an objection overridden, 21(1): no confirmation may claim more."""
    for right, effect in EFFECTS.items():
        if effect.refusable:
            (words, _) = confirmations.confirmation(right, recorded=False)
            assert re.fullmatch(r"Zarejestrowaliśmy [^.]+\.", catalogue.template(words, "pl"))
            assert re.fullmatch(r"Your [^.]+ is registered\.", catalogue.template(words, "en"))
            assert re.fullmatch(r"Wir haben Ihren [^.]+ registriert\.", catalogue.template(words, "de"))
            assert re.fullmatch(r"Ми зареєстрували Ваш[^.]+\.", catalogue.template(words, "uk"))
            assert not re.search(r"usun(ięto|ęliśmy|iemy|ięte)", catalogue.template(words, "pl"))


def test_the_catalogue_has_no_words_that_nothing_says(catalogue: Catalogue) -> None:
    """Nor does it lack any: each mode, each way to go on without, each key."""
    asked = set()

    class Asked:
        key_word, basis_words = catalogue.key_word, catalogue.basis_words

        def template(self, id: str, language: str) -> str:  # noqa: A002 - the catalogue's own word
            asked.add(id)
            return catalogue.template(id, language)

    everything = {"prompts": [prompt.value for prompt in NoticePrompt]}
    for mode, without in itertools.product(RecordingMode, Without):
        if (mode, without) == (RecordingMode.MANDATORY, Without.CONTINUE):
            continue
        all_keys = ALL_KEYS | ({"1": "consent_recording"} if mode is RecordingMode.OPT_IN else {})
        for keys in (all_keys, {key: all_keys[key] for key in ("1", "2")}, {}):
            if keys or mode not in {RecordingMode.OPT_OUT, RecordingMode.OPT_IN}:
                recording = {"mode": mode, "without": without, "purpose": "szkolenia"}
                declared = campaign(recording=recording, keys=keys, notice=everything)
                wording.prompts(CONTROLLER, declared, Asked())
    calls = {"agent": "PJSIP/{agent}", "languages": ["en"], "answering_machine": {"message": True}}
    wording.prompts(
        CONTROLLER, campaign(keys=ALL_KEYS | {"#": "language"}, notice=everything, **calls), Asked()
    )
    assert asked == set(catalogue.entries)


def test_agents_hear_of_an_objection_without_a_word_to_the_callee(catalogue: Catalogue) -> None:
    agents = {id_ for id_ in catalogue.entries if id_.startswith("agent_")}
    assert agents == {entry.id for entry in catalogue.entries.values() if entry.kind is Kind.AGENT}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("5", ("pięć", "five", "fünf", "п’ять")),
        ("*", ("gwiazdka", "star", "Stern", "зірочка")),
        ("#", ("krzyżyk", "hash", "Raute", "решітка")),
    ],
)
def test_keys_are_said_as_words(catalogue: Catalogue, key: str, words: tuple[str, ...]) -> None:
    assert words == tuple(catalogue.key_word(key, language) for language in catalogue.languages)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("pl", "Co do zasady administrator odpowie do dwudziestego ósmego grudnia dwa tysiące dwudziestego szóstego roku"),
        ("en", "As a rule, the controller will answer by the twenty-eighth of December twenty twenty-six"),
        ("de", "Der Verantwortliche antwortet in der Regel bis zum achtundzwanzigsten Dezember zweitausendsechsundzwanzig"),
        ("uk", "Як правило, контролер відповість до двадцять восьмого грудня дві тисячі двадцять шостого року"),
    ],
)  # fmt: skip
def test_a_due_day_is_a_sentence_in_each_language(catalogue: Catalogue, language: str, said: str) -> None:
    row = ("answer_by", *speech.date(date(2026, 12, 28)))
    assert " ".join(catalogue.template(id_, language) for id_ in row) == said


def test_no_two_numbers_of_a_kind_sound_the_same(catalogue: Catalogue) -> None:
    """A word list of the right length with a slip in it would say a wrong day."""
    for language in catalogue.languages:
        for kind in ("digit", "day", "month", "year"):
            ids = [id_ for id_ in speech.PROMPTS if id_.startswith(kind)]
            assert len({catalogue.template(id_, language) for id_ in ids}) == len(ids)


def test_a_reference_is_said_with_the_words_for_keys(catalogue: Catalogue) -> None:
    for language in catalogue.languages:
        words = [catalogue.template(id_, language) for id_ in speech.reference("ACME-2026-000357")]
        assert words == [catalogue.key_word(key, language) for key in "2026357"]


def test_no_two_keys_of_a_language_sound_the_same(catalogue: Catalogue) -> None:
    for words in catalogue.keys.values():
        assert len(set(words.values())) == 12


def test_each_legal_basis_has_words_of_its_own(catalogue: Catalogue) -> None:
    for language in catalogue.languages:
        assert len({catalogue.basis_words(basis, language) for basis in LegalBasis}) == len(LegalBasis)


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ('en = "Again: press {key}."', "", "[menu_repeat] en: the words are missing"),
        ("press {key}", "press {kee}", "[menu_repeat] en: {kee} is not known"),
        ("press {key}", "press {controller}", "[menu_repeat] en: {controller} is not known in a menu"),
        ("press {key}", "press {key!r}", "[menu_repeat] en: {key} is not known"),
        ("press {key}", "press {key.x}", "[menu_repeat] en: {key.x} is not known"),
        ("press {key}", "press {}", "[menu_repeat] en: {} is not known"),
        ("press {key}", "press {key", "[menu_repeat] en: braces that do not match"),
        ("press {key}", "press {{key}}", "[menu_repeat] en: a brace cannot be spoken"),
        ("press {key}", "press it", "[menu_repeat] en: {key} must be in pl and en, or in neither"),
        ("press {key}", "press\\n{key}", "[menu_repeat] en: the words must be on one line"),
        ('en = "Again: press {key}."', "en = 5", "[menu_repeat] en: the words are missing"),
        ('en = "Again', 'de = "Nochmal', "[menu_repeat] de: not one of the languages pl, en"),
        ("en day 30", "pl\\nday", "[numbers.en] day: the words must be on one line"),
        (', "en day 30"', "", "[numbers.en] day: write 31 of them"),
        ('"en year 15"', "5", "[numbers.en] year: the words are missing"),
        ("[numbers.en]", "[numbers.de]", "[numbers.de]: there must be one table"),
        ("[menu_repeat]", "[day_1]", "[day_1]: made from the word lists"),
        ('kind = "menu"', 'kind = "number"', "[menu_repeat]: kind must be one of notice, menu"),
        ('kind = "menu"', 'kind = "song"', "[menu_repeat]: kind must be one of notice, menu"),
        ("[menu_repeat]", '["Menu/repeat"]', "[Menu/repeat]: an entry is a table named with"),
        ('languages = ["pl", "en"]', "", "languages: write the codes"),
        ('languages = ["pl", "en"]', 'languages = ["pl", "../en"]', "languages: write the codes"),
        (
            'languages = ["pl", "en"]',
            'languages = ["pl"]',
            "[keys.en]: there must be one table for each of pl",
        ),
        ('9="b", ', "", "[keys.en] 9: the list must have"),
        ('public_task = "d"', "", "[legal_bases.en] public_task: the list must have"),
        ('contract = "d"', 'contract = ""', "[legal_bases.en] contract: the words are missing"),
        ("[legal_bases.en]", "[legal_bases.de]", "[legal_bases.de]: there must be one table"),
        ("[menu_repeat]", "[menu_repeat", "not a TOML file"),
    ],
)
def test_a_mistake_in_the_catalogue_is_named_with_its_place(
    tmp_path: Path, change: str, to: str, message: str
) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(GOOD, encoding="utf-8")
    Catalogue.load(path)
    assert change in GOOD
    path.write_text(GOOD.replace(change, to), encoding="utf-8")
    with pytest.raises(SoundError) as raised:
        Catalogue.load(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_words_that_were_edited_under_windows_are_refused_or_nobody_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    Catalogue.load(path)
    path.write_bytes(b"# words\n# w\xb3asne\n" + GOOD.encode())
    with pytest.raises(SoundError) as raised:
        Catalogue.load(path)
    assert str(raised.value) == f"{path}: line 2: is not UTF-8: save the file as UTF-8"


def test_a_missing_catalogue_is_one_line_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(
        SoundError, match=r"nowhere\.toml: the catalogue of prompts cannot be read: No such file"
    ):
        Catalogue.load(tmp_path / "nowhere.toml")


def test_asking_for_what_the_catalogue_does_not_have_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(SoundError, match=r"no entry \[hold_music\]"):
        catalogue.template("hold_music", "pl")
    with pytest.raises(SoundError, match="no language 'fr': it has pl, en, de, uk"):
        catalogue.template("goodbye", "fr")
    with pytest.raises(SoundError, match="no key 'A'"):
        catalogue.key_word("A", "pl")
    with pytest.raises(SoundError, match="no legal basis 'curiosity'"):
        catalogue.basis_words("curiosity", "pl")
