"""Letters to the person: they say nothing that is not so, and none is offered that the law does not allow to be sent."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product
from typing import Any
from uuid import uuid4

import pytest

from ccari.policy.parties import Controller
from ccari.policy.rights import EFFECTS, Level, RequestState, Right, Stored
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from ccari.web.console import letters
from ccari.web.console.letters import Outcome
from ccari.web.models.calls import RecordingRow
from ccari.web.models.requests import BarOfRequest, EffectShown, RequestShown, StepTaken

MOMENT = datetime(2026, 3, 5, 9, tzinfo=UTC)
STEPS = {"verify", "start", "extend", "resolve", "refuse", "withdraw"}
OFFICE = {"en": "UODO", "pl": "Prezes Urzędu", "de": "Präsident des Amtes", "uk": "Голова Управління"}
BAR = BarOfRequest(
    reason="erasure", campaign="", origin="request", proof="", entered_at=MOMENT, removed_at=None,
    removed_by=None, why=None,
)  # fmt: skip
OPEN = [each for each in RequestState if each.is_open]
BARRING = [right for right in Right if EFFECTS[right].suppress is not None]


def controller(country: str = "PL") -> Controller:
    return Controller(id="acme", name="ACME Sp. z o.o.", country=country, dpo="iod@acme.example")


def request(right: Right = Right.ERASURE, **changes: Any) -> RequestShown:
    effect = EFFECTS[right]
    shown = RequestShown(
        reference="ACME-2026-000001", right=right, article=effect.article, state=RequestState.IN_PROGRESS,
        level="L2", controller="acme", campaign=None, purpose=None, number=None, number_from="given",
        channel="letter", call_id=None, key=None, notice_version=None, language="en", received_at=MOMENT,
        received_local="", registered_at=MOMENT, due=date(2026, 4, 7), refuse_by=None, extended_at=None, closed_at=None,
        erased_at=None, erasing=False, digest="", key_version=1, expired_at=None, suppressions=(BAR,) if effect.suppress else (), recordings=(), history=(),
        fault=None, forwards=(),
        effect=EffectShown(
            suppression=effect.suppress, stops_recording=bool(effect.stops), stored_recordings="keep",
            identity_to_fulfil="L0", refusable=effect.refusable,
        ),
    )  # fmt: skip
    return shown.model_copy(update=changes)


def text(outcome: Outcome, of: RequestShown, language: AnswerLanguage = "en", country: str = "PL") -> str:
    """The letter as it is read, with plain spaces."""
    return letters.write(outcome, of, controller(country), language, MOMENT).text.replace("\u00a0", " ")


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize("outcome", [Outcome.EXTENDED, Outcome.FULFILLED, Outcome.REFUSED])
def test_a_person_who_got_less_than_was_asked_for_is_not_told_where_to_complain(
    outcome: Outcome, language: AnswerLanguage
) -> None:
    for right in Right:
        told = text(outcome, request(right), language)
        assert "77" in told, right
        assert "79" in told, right
        assert OFFICE[language] in told, right
        assert OFFICE[language] not in text(outcome, request(right), language, "DE"), right


def test_a_refusal_is_in_other_words_than_the_law() -> None:
    """The Polish Art 12(4) has ``powody``, as the officer's help does; ``przyczyny`` are those of a delay, in Art 12(3)."""
    written = letters.write(Outcome.REFUSED, request(), controller(), "pl", MOMENT)
    told = f"{written.subject} {written.text}"
    assert "powodów (art. 12 ust. 4" in told.replace("\u00a0", " ")
    assert "przyczyn" not in told
    extended = text(Outcome.EXTENDED, request(), "pl")
    assert "z następujących przyczyn" in extended


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize("right", BARRING)
def test_a_bar_that_was_lifted_is_said_to_stand(right: Right, language: AnswerLanguage) -> None:
    said = {
        "en": ("barred", "stays in force", "not called", "calls you"),
        "pl": ("zablokowany", "pozostaje w mocy", "dzwoni"),
        "de": ("gesperrt", "bleibt bestehen", "nicht angerufen", "niemand Sie mehr"),
        "uk": ("заборонено", "залишається чинною", "не телефонують", "більше ніхто"),
    }
    lifted = BAR.model_copy(update={"removed_at": MOMENT, "removed_by": "token:officer", "why": "a mistake"})
    for outcome in (Outcome.RECEIPT, Outcome.FULFILLED, Outcome.REFUSED):
        stands = text(outcome, request(right, suppressions=(lifted, BAR)), language)
        assert any(each in stands for each in said[language]), outcome
        gone = text(outcome, request(right, suppressions=(lifted,)), language)
        assert not any(each in gone for each in said[language]), outcome


@pytest.mark.parametrize(
    ("right", "language", "limit"),
    [
        (Right.OBJECTION, "en", "our legitimate interest or a public task, and from marketing"),
        (Right.OBJECTION, "pl", "prawnie uzasadnionym interesie lub zadaniu publicznym oraz dla połączeń marketingowych"),
        (Right.OBJECTION, "de", "auf unserem berechtigten Interesse oder einer öffentlichen Aufgabe beruhen, sowie für Werbeanrufe"),
        (Right.OBJECTION, "uk", "на нашому законному інтересі або завданні в суспільних інтересах, а також рекламні"),
        (Right.RESTRICTION, "de", "es sei denn, ein Gesetz verpflichtet uns"),
        (Right.RESTRICTION, "uk", "нас до цього зобов’язує закон"),
        (Right.ERASURE, "de", "es sei denn, ein Gesetz verpflichtet uns"),
        (Right.ERASURE, "uk", "нас до цього зобов’язує закон"),
        (Right.RESTRICTION, "en", "unless a law obliges us"),
        (Right.RESTRICTION, "pl", "chyba że zobowiązują nas do tego przepisy"),
        (Right.ERASURE, "en", "unless a law obliges us"),
        (Right.ERASURE, "pl", "chyba że zobowiązują nas do tego przepisy"),
    ],
)  # fmt: skip
def test_a_bar_is_said_to_reach_further_than_it_does(
    right: Right, language: AnswerLanguage, limit: str
) -> None:
    assert limit in text(Outcome.FULFILLED, request(right), language)


@pytest.mark.parametrize(
    ("language", "erased"),
    [
        ("en", "Article 17(1)(c)"),
        ("pl", "art. 17 ust. 1 lit. c"),
        ("de", "Art. 17 Abs. 1 lit. c"),
        ("uk", "пункт (c) статті 17(1)"),
    ],
)
def test_the_processing_is_said_to_have_stopped_while_recordings_are_kept(
    language: AnswerLanguage, erased: str
) -> None:
    """When an objection is fulfilled, nothing holds the recordings any more, and nothing deletes them early."""
    before, _, after = text(Outcome.FULFILLED, request(Right.OBJECTION), language).partition(erased)
    assert after
    assert before.rpartition("[")[2].count("]") == 0


@pytest.mark.parametrize(
    ("right", "language", "unchecked"),
    [
        (Right.ACCESS, "en", "by automated means alone"),
        (Right.ACCESS, "pl", "w sposób wyłącznie zautomatyzowany"),
        (Right.ACCESS, "de", "ausschließlich auf einer automatisierten Verarbeitung"),
        (Right.ACCESS, "uk", "виключно на підставі автоматизованої обробки"),
        *((right, "de", "Wir haben dies allen Empfängern") for right in (Right.ERASURE, Right.RECTIFICATION, Right.RESTRICTION)),
        *((right, "uk", "Ми повідомили про це") for right in (Right.ERASURE, Right.RECTIFICATION, Right.RESTRICTION)),
        *((right, "en", "We have told those") for right in (Right.ERASURE, Right.RECTIFICATION, Right.RESTRICTION)),
        *((right, "pl", "Poinformowaliśmy") for right in (Right.ERASURE, Right.RECTIFICATION, Right.RESTRICTION)),
    ],
)  # fmt: skip
def test_what_nobody_has_checked_is_told_as_a_fact(
    right: Right, language: AnswerLanguage, unchecked: str
) -> None:
    before, _, after = text(Outcome.FULFILLED, request(right), language).partition(unchecked)
    assert before.rpartition("[")[2].count("]") == 0
    assert "]" in after.partition("[")[0]
    if right is not Right.ACCESS:
        effort = {
            "en": "disproportionate effort",
            "pl": "niewspółmiernie",
            "de": "unverhältnismäßigen",
            "uk": "непропорційних",
        }
        assert effort[language] in after.partition("]")[0]


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize("outcome", [Outcome.EXTENDED, Outcome.REFUSED])
def test_a_reason_that_was_erased_is_said_to_have_been_erased_to_the_person(
    outcome: Outcome, language: AnswerLanguage
) -> None:
    """The register has the word "erased" in its place."""
    state = {Outcome.EXTENDED: RequestState.EXTENDED, Outcome.REFUSED: RequestState.REFUSED}[outcome]
    given, erased = [
        StepTaken(seq=2, at=MOMENT, who=who, state=state, level="L2", due=date(2026, 4, 7), reason=reason)
        for who, reason in (("token:officer", "three archives"), ("erased", "erased"))
    ]
    assert "three archives" in text(outcome, request(history=(given,)), language)
    told = text(outcome, request(history=(erased,)), language)
    assert "erased" not in told
    assert {"en": "[reasons]", "pl": "[uzasadnienie]", "de": "[Gründe]", "uk": "[причини]"}[language] in told


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize(
    ("outcome", "state", "later"),
    [
        (Outcome.EXTENDED, RequestState.EXTENDED, "called back, knew the contract's date"),
        (Outcome.EXTENDED, RequestState.EXTENDED, "exported: 2 calls, 1 recording; sha256 00"),
        (Outcome.REFUSED, RequestState.REFUSED, "its controller was told in another way: by telephone"),
        (Outcome.REFUSED, RequestState.REFUSED, "requests_days = 30: from now on it does not show whose it was"),
    ],
)  # fmt: skip
def test_a_letter_gives_what_was_noted_later_for_the_reason(
    outcome: Outcome, state: RequestState, later: str, language: AnswerLanguage
) -> None:
    """The state of a request stays as it is while others note what they do."""
    history = tuple(
        StepTaken(seq=seq, at=MOMENT, who="token:officer", state=state, level="L2", due=date(2026, 6, 5), reason=reason)
        for seq, reason in enumerate(("three archives", later), start=2)
    )  # fmt: skip
    told = text(outcome, request(state=state, history=history), language)
    assert ("three archives" in told, later in told) == (True, False)


@pytest.mark.parametrize(
    ("language", "day"),
    [("en", "8 June 2026"), ("pl", "08.06.2026"), ("de", "8. Juni 2026"), ("uk", "8 червня 2026 року")],
)
def test_an_extension_is_told_with_another_day_than_the_register_has(
    language: AnswerLanguage, day: str
) -> None:
    """The controller has moved to another country since, or a calendar was corrected."""
    extended = request(extended_at=MOMENT, due=date(2026, 6, 8))
    assert day in text(Outcome.EXTENDED, extended, language)
    assert day in text(Outcome.EXTENDED, extended, language, "DE")


UNERASED = {
    "en": "ccari has erased nothing", "pl": "ccari nie usunęło nic", "de": "ccari hat auf diesen Antrag nichts gelöscht",
    "uk": "ccari нічого не видаляла",
}  # fmt: skip
ERASED = {"en": "We have erased", "pl": "Usunęliśmy", "de": "Wir haben die Daten zu", "uk": "Ми видалили"}


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_an_erasure_that_is_not_complete_is_said_to_be_none_or_to_be_over(language: AnswerLanguage) -> None:
    nothing, gone = UNERASED[language], ERASED[language]
    for erased_at in (None, MOMENT):
        told = text(Outcome.FULFILLED, request(erased_at=erased_at, erasing=True), language)
        assert [each for each in (nothing, gone) if each in told] == []
    assert nothing in text(Outcome.FULFILLED, request(), language)


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_data_that_nobody_has_erased_are_said_to_be_gone(language: AnswerLanguage) -> None:
    gone = ERASED[language]
    assert gone in text(Outcome.FULFILLED, request(erased_at=MOMENT), language)
    assert gone not in text(Outcome.FULFILLED, request(), language)


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", ("record of your requests", "who has looked at your data")),
        ("pl", ("zapisu Państwa żądań", "kto miał wgląd w Państwa dane")),
        ("de", ("Nachweis Ihrer Anträge", "Einsichten in Ihre Daten")),
        ("uk", ("запису про Ваші запити", "хто переглядав Ваші дані")),
    ],
)
def test_what_stays_after_every_erasure_is_not_told(language: AnswerLanguage, says: tuple[str, ...]) -> None:
    """What :data:`ccari.policy.erasure.REMAINS` has, besides the bar, with a digest of the number: nobody may write that nothing stays."""
    told = text(Outcome.FULFILLED, request(erased_at=MOMENT, suppressions=()), language)
    assert [each for each in says if each not in told] == []


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", ("categories of data", "third country")),
        ("pl", ("kategoriach danych", "państwa trzeciego")),
        ("de", ("Kategorien von Daten", "Drittland")),
        ("uk", ("категорії даних", "третьої країни")),
    ],
)
def test_an_access_lacks_what_article_15_lists(language: AnswerLanguage, says: tuple[str, ...]) -> None:
    told = text(Outcome.FULFILLED, request(Right.ACCESS), language)
    assert [each for each in says if each not in told] == []


def test_a_recording_of_no_call_is_said_to_have_been_stopped() -> None:
    assert "was stopped" not in text(Outcome.FULFILLED, request(Right.REFUSE_RECORDING))


@pytest.mark.parametrize(
    ("article", "said"),
    [
        ("7(3)", {"en": "a withdrawal of your consent", "pl": "jako wycofanie zgody", "de": "als Widerruf", "uk": "як відкликання згоди"}),
        ("21(1)", {"en": "as an objection", "pl": "jako sprzeciw", "de": "als Widerspruch", "uk": "як заперечення"}),
        ("17", {"en": "to erase what was recorded", "pl": "usunięcia tego, co nagrano", "de": "das Aufgezeichnete zu löschen",
                "uk": "видалити записане"}),
    ],
)  # fmt: skip
def test_an_article_is_cited_to_whoever_refused_a_recording_without_what_was_made_of_it(
    article: str, said: dict[AnswerLanguage, str]
) -> None:
    for language, outcome in product(ANSWER_LANGUAGES, set(Outcome) - {Outcome.LIFTING}):
        told = text(outcome, request(Right.REFUSE_RECORDING, article=article), language)
        assert said[language] in told, (language, outcome)
        assert said[language] not in text(outcome, request(Right.ERASURE, article=article), language)


APOLOGY = {
    "en": "sorry that it is late",
    "pl": "przepraszamy za opóźnienie",
    "de": "die Verspätung",
    "uk": "за запізнення",
}


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_refusal_within_the_time_of_an_extension_is_not_said_to_be_late(language: AnswerLanguage) -> None:
    """Art 12(4): within one month, though the answer itself has three."""
    first = StepTaken(
        seq=1, at=MOMENT, who="cli:anna", state=RequestState.RECEIVED, level="L0", due=date(2026, 3, 4), reason=""
    )  # fmt: skip
    day_before = first.model_copy(update={"due": date(2026, 3, 5)})
    for right in (each for each in Right if EFFECTS[each].refusable):
        extended = {"due": date(2026, 5, 4), "extended_at": MOMENT - timedelta(days=9)}
        late = text(Outcome.REFUSED, request(right, history=(first,), **extended), language)
        assert APOLOGY[language] in late
        assert "[" in late.partition(APOLOGY[language])[2]
        assert APOLOGY[language] not in text(
            Outcome.REFUSED, request(right, history=(day_before,), **extended), language
        )
        # told again later, of a refusal that was in time
        closed = {"state": RequestState.REFUSED, "closed_at": MOMENT - timedelta(days=1)}
        assert APOLOGY[language] not in text(
            Outcome.REFUSED, request(right, history=(first,), **extended, **closed), language
        )


def refusal(began: RequestState, recordings: tuple[RecordingRow, ...] = (), **changes: Any) -> RequestShown:
    """A refusal in a call, as it was registered, with what ccari has recorded of the call."""
    first = StepTaken(
        seq=1, at=MOMENT, who="call", state=began, level="L1", due=date(2026, 4, 7), reason=""
    )  # fmt: skip
    given: dict[str, Any] = {"call_id": uuid4(), "history": (first,), "recordings": recordings}
    return request(Right.REFUSE_RECORDING, **given | changes)


def recorded(
    started_at: datetime | None, state: str = "stored", *, lasts: timedelta | None = None, mode: str = "opt_out"
) -> RecordingRow:  # fmt: skip
    return RecordingRow(
        id=uuid4(), state=state, legal_basis="legitimate_interest", mode=mode, started_at=started_at,
        duration_ms=None if lasts is None else lasts // timedelta(milliseconds=1), delete_at=MOMENT, file=None,
    )  # fmt: skip


EARLIER, LATER = MOMENT - timedelta(minutes=1), MOMENT + timedelta(minutes=1)
STOPPED = {
    "en": "The recording was stopped at once.", "pl": "Nagrywanie zostało natychmiast przerwane.",
    "de": "Die Aufzeichnung wurde sofort beendet.", "uk": "Запис було негайно припинено.",
}  # fmt: skip
NOTHING = {
    "en": "Nothing had been recorded until then", "pl": "Do tej chwili niczego nie nagrano",
    "de": "Bis dahin war nichts aufgezeichnet worden", "uk": "До того нічого не було записано",
}  # fmt: skip
TO_HERE = {
    "en": "What had been recorded until then", "pl": "To, co nagrano do tej chwili,",
    "de": "Was bis dahin aufgezeichnet worden war,", "uk": "Те, що було записано до того,",
}  # fmt: skip


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize("state", ["recording", "stored", "deleted"])
def test_who_stopped_our_recorder_is_not_told_so(language: AnswerLanguage, state: str) -> None:
    recording = recorded(EARLIER, state, lasts=None if state == "recording" else MOMENT - EARLIER)
    told = text(Outcome.FULFILLED, refusal(RequestState.RECEIVED, (recording,)), language)
    assert f" {STOPPED[language]} {TO_HERE[language]} [" in told
    assert NOTHING[language] not in told


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "the recording of the call, to which you had agreed, was stopped"),
        ("pl", "zostało natychmiast przerwane"),
        ("de", "die Aufzeichnung des Gesprächs, der Sie zugestimmt hatten, wurde sofort beendet"),
        ("uk", "запис розмови, на який Ви погодилися, було негайно припинено"),
    ],
)
def test_who_took_their_agreement_to_a_recording_back_is_not_told_that_it_was_stopped(
    language: AnswerLanguage, says: str
) -> None:
    call = {"call_id": uuid4()}
    for recordings, told in (
        ((recorded(EARLIER, mode="opt_in"),), True),
        ((recorded(EARLIER),), False),
        ((), False),
    ):
        of = request(Right.WITHDRAW_CONSENT, recordings=recordings, **call)
        assert (says in text(Outcome.FULFILLED, of, language)) is told


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_what_a_person_has_to_decide_of_a_recording_is_left_out_of_the_letter_on_a_withdrawal(
    language: AnswerLanguage,
) -> None:
    of = request(Right.WITHDRAW_CONSENT, recordings=(recorded(EARLIER, mode="opt_in"),), call_id=uuid4())
    for stored, told in ((Stored.ERASE_OR_RESTRICT, True), (Stored.KEEP_PROOF_ONLY, False)):
        effect = of.effect.model_copy(update={"stored_recordings": stored})
        said = text(Outcome.FULFILLED, of.model_copy(update={"effect": effect}), language)
        assert (f"{TO_HERE[language]} [" in said) is told


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_who_refused_before_anything_was_recorded_is_told_of_what_had_been(language: AnswerLanguage) -> None:
    told = text(Outcome.FULFILLED, refusal(RequestState.FULFILLED), language)
    assert f" {NOTHING[language]}.\n" in told
    assert STOPPED[language] not in told
    assert TO_HERE[language] not in told


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
@pytest.mark.parametrize(
    "of",
    [
        refusal(RequestState.RECEIVED),
        refusal(RequestState.RECEIVED, (recorded(None, "failed"),)),
        refusal(RequestState.RECEIVED, (recorded(LATER),)),
        refusal(RequestState.RECEIVED, (recorded(EARLIER, lasts=timedelta(seconds=50)),)),
        refusal(RequestState.FULFILLED, (recorded(LATER),)),
        refusal(RequestState.FULFILLED, (recorded(None, "discarded"),)),
        refusal(RequestState.FULFILLED, history=()),
        refusal(RequestState.RECEIVED, call_id=None),
        refusal(RequestState.FULFILLED, call_id=None),
    ],
    ids=[
        "at the menu of a dialplan", "not begun", "agreed later, then", "paused before", "agreed later", "thrown away",
        "no history", "by letter", "by letter, done with",
    ],
)  # fmt: skip
def test_what_nobody_here_knows_of_a_recording_is_told_as_a_fact(
    of: RequestShown, language: AnswerLanguage
) -> None:
    told = text(Outcome.FULFILLED, of, language)
    assert told.count(f"[{STOPPED[language]}]") == told.count(STOPPED[language]) == (of.call_id is not None)
    assert f" [{NOTHING[language]} / {TO_HERE[language]} " in told
    assert "  " not in told


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_letter_has_a_slip_in_its_form(language: AnswerLanguage) -> None:
    for right in Right:
        for outcome in Outcome:
            told = text(outcome, request(right), language)
            assert ".." not in told, (right, outcome)
            assert "  " not in told, (right, outcome)
            assert letters._BOOK[language]["gap"]["addressee"] in told


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_contact_that_ends_with_a_full_stop_ends_its_sentence_twice(language: AnswerLanguage) -> None:
    company = controller("PL").model_copy(update={"dpo": "IOD, ACME Sp. z o.o.", "name": "ACME Sp. z o.o."})
    for right in Right:
        for outcome in Outcome:
            told = letters.write(outcome, request(right), company, language, MOMENT).text
            assert "o.o." in told
            assert ".." not in told, (right, outcome)


def begins(body: str) -> Iterator[str]:
    """The words with which each paragraph of a draft begins, up to what is filled in."""
    for each in body.split("\n\n"):
        words = re.sub(r"^(?:\{%.*?%\})+", "", each).partition("{")[0].strip()
        # what is said in the other case may go on in the paragraph before
        if words and not each.startswith("{% else %}"):
            yield words


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_a_paragraph_runs_into_the_next(language: AnswerLanguage) -> None:
    for right in Right:
        for outcome in Outcome:
            source = letters._BOOK[language][outcome]
            body = source[right] if right in source else source["body"]
            for suppressions in ((BAR,), ()):
                of = request(right, suppressions=suppressions, erased_at=MOMENT)
                told = text(outcome, of, language)
                said = [each for each in begins(body) if each in told]
                assert [each for each in said if f"\n{each}" not in told] == [], (right, outcome)


@pytest.mark.parametrize(
    ("language", "due"),
    [("en", "7 April 2026"), ("pl", "07.04.2026"), ("de", "7. April 2026"), ("uk", "7 квітня 2026 року")],
)
def test_a_date_is_written_as_in_another_language(language: AnswerLanguage, due: str) -> None:
    assert due in text(Outcome.RECEIPT, request(), language)


@pytest.mark.parametrize(
    ("language", "sorry"),
    [("en", "sorry"), ("pl", "przepraszamy"), ("de", "Entschuldigung"), ("uk", "перепрошуємо")],
)
def test_an_answer_is_promised_by_a_day_that_has_passed(language: AnswerLanguage, sorry: str) -> None:
    # the last hour of the last day, in Warsaw
    last = datetime(2026, 4, 7, 21, 59, 59, tzinfo=UTC)
    in_time, late = [
        letters.write(Outcome.RECEIPT, request(), controller(), language, now).text
        for now in (last, last + timedelta(seconds=1))
    ]
    assert (sorry in in_time, sorry in late) == (False, True)
    assert late.count("[") == in_time.count("[") + 1


@pytest.mark.parametrize(
    ("language", "marketing"),
    [("en", "marketing"), ("pl", "marketing"), ("de", "Werbeanrufe"), ("uk", "рекламні")],
)
def test_who_withdrew_one_consent_is_told_that_nobody_sells_to_them(
    language: AnswerLanguage, marketing: str
) -> None:
    """Pressed in a call, it bars only the campaigns that ask for that consent."""
    one = BAR.model_copy(update={"reason": "withdraw_consent", "campaign": "survey"})
    for bars, told in (((one,), False), ((BAR,), True), ((one, BAR), True), ((), False)):
        said = text(Outcome.FULFILLED, request(Right.WITHDRAW_CONSENT, suppressions=bars), language)
        assert (marketing in said) is told


@pytest.mark.parametrize(
    ("language", "stopped"),
    [
        ("en", ("have stopped", "is restricted", "before the restriction is lifted")),
        ("pl", ("Zaprzestaliśmy", "zostało ograniczone", "Przed uchyleniem")),
        ("de", ("beendet", "ist eingeschränkt:", "Bevor die Einschränkung")),
        ("uk", ("припинили", "Обробку обмежено", "Перш ніж зняти")),
    ],
)
def test_what_goes_on_since_a_bar_was_lifted_is_said_to_have_stopped(
    language: AnswerLanguage, stopped: tuple[str, ...]
) -> None:
    lifted = BAR.model_copy(update={"removed_at": MOMENT, "removed_by": "token:officer", "why": "a mistake"})
    for right in (Right.OBJECTION_MARKETING, Right.OBJECTION, Right.RESTRICTION):
        assert any(each in text(Outcome.FULFILLED, request(right), language) for each in stopped), right
        told = text(Outcome.FULFILLED, request(right, suppressions=(lifted,)), language)
        assert not any(each in told for each in stopped), right


@pytest.mark.parametrize(
    ("language", "lifted"),
    [("en", "Article 18(3)"), ("pl", "art. 18 ust. 3"), ("de", "Art. 18 Abs. 3"), ("uk", "стаття 18(3)")],
)
def test_who_objected_in_vain_is_not_told_before_what_was_restricted_is_used_again(
    language: AnswerLanguage, lifted: str
) -> None:
    """An objection restricts until it is weighed, Art 18(1)(d): a refusal ends that."""
    for right in Right:
        told = text(Outcome.REFUSED, request(right), language)
        before, found, after = told.partition(lifted)
        assert bool(found) is (right in {Right.OBJECTION, Right.REFUSE_RECORDING}), right
        # only the writer knows whether there is anything
        assert not found or ("[" in before.rpartition("]")[2] and "]" in after)


@pytest.mark.parametrize(
    ("language", "until"),
    [
        ("en", "until you give a new consent"),
        ("pl", "do czasu wyrażenia nowej zgody"),
        ("de", "bis Sie erneut einwilligen"),
        ("uk", "доки Ви не дасте нової згоди"),
    ],
)
def test_a_withdrawal_is_said_to_bar_for_good_calls_that_a_newer_consent_allows(
    language: AnswerLanguage, until: str
) -> None:
    for bars in ((BAR.model_copy(update={"reason": "withdraw_consent"}),), ()):
        said = text(Outcome.FULFILLED, request(Right.WITHDRAW_CONSENT, suppressions=bars), language)
        assert (until in said) is bool(bars)


@pytest.mark.parametrize(
    ("language", "but"),
    [
        ("en", "without the key"),
        ("pl", "bez przechowywanego osobno klucza"),
        ("de", "ohne den getrennt aufbewahrten Schlüssel"),
        ("uk", "без ключа, що зберігається окремо"),
    ],
)
def test_a_digest_is_said_to_hide_the_number_from_everybody(language: AnswerLanguage, but: str) -> None:
    assert but in text(Outcome.FULFILLED, request(), language)


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("right", Right)
def test_a_letter_is_offered_that_the_law_does_not_let_be_sent(right: Right, state: RequestState) -> None:
    effect = EFFECTS[right]
    steps = STEPS if effect.refusable else STEPS - {"refuse"}
    answers = [Outcome.FULFILLED, Outcome.REFUSED] if effect.refusable else [Outcome.FULFILLED]
    sure = request(right, state=state, level=effect.fulfil_at.name)
    assert [*letters.offered(sure, steps)] == [Outcome.RECEIPT, Outcome.EXTENDED, *answers]
    # the first month is over
    late = letters.offered(sure, steps - {"extend"})
    assert [*late] == [Outcome.RECEIPT, *answers]
    # it was extended in time, which can be told again
    extended = letters.offered(sure.model_copy(update={"extended_at": MOMENT}), steps - {"extend"})
    assert [*extended] == [Outcome.RECEIPT, Outcome.EXTENDED, *answers]
    if effect.fulfil_at > Level.L0:
        unsure = letters.offered(sure.model_copy(update={"level": "L0"}), steps - {"resolve"})
        assert [*unsure] == [Outcome.RECEIPT, Outcome.IDENTITY, Outcome.EXTENDED, *answers[1:]]


@pytest.mark.parametrize(
    ("state", "offered"),
    [(RequestState.FULFILLED, (Outcome.FULFILLED,)), (RequestState.REFUSED, (Outcome.REFUSED,)), (RequestState.WITHDRAWN, ())],
)  # fmt: skip
def test_a_closed_request_is_answered_otherwise_than_it_was_closed(
    state: RequestState, offered: tuple[Outcome, ...]
) -> None:
    for right in Right:
        assert letters.offered(request(right, state=state, level="L0"), set()) == offered


#: An article as it is cited: its number, paragraph and point.
CITED = {
    "en": r"Article (?P<number>\d+)(?:\((?P<paragraph>\d+)\))?(?:\((?P<point>[a-z])\))?",
    "pl": r"[Aa]rt\. (?P<number>\d+)(?: ust\. (?P<paragraph>\d+))?(?: lit\. (?P<point>[a-z]))?",
    "de": r"Art\. (?P<number>\d+)(?: Abs\. (?P<paragraph>\d+))?(?: lit\. (?P<point>[a-z]))?",
    "uk": r"(?:пункт \((?P<point>[a-z])\) )?[Сс]татт(?:я|і|ею) (?P<number>\d+)(?:\((?P<paragraph>\d+)\))?",
}
REGULATION = {"en": "GDPR", "pl": "RODO", "de": "DSGVO", "uk": "GDPR"}
#: Names, which are not translated.
NAMES = (
    "Prezes Urzędu Ochrony Danych Osobowych",
    "Prezes UODO",
    "uodo.gov.pl",
    "ccari",
    *REGULATION.values(),
)


def drafts(book: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Each text of a book of letters, with its place."""
    for name, each in book.items():
        place = f"{within}{name}"
        if isinstance(each, str):
            yield place, each
        else:
            yield from drafts(each, f"{place}.")


def sentences(language: str) -> set[str]:
    """What is said in words, without what is filled in."""
    whole = "\n".join(draft for _, draft in drafts(letters._BOOK[language]))
    for each in NAMES:
        whole = whole.replace(each, "")
    parts = re.split(r"\{[{%].*?[%}]\}|[.:;/\[\]()\n]", whole)
    return {words for part in parts if (words := " ".join(re.findall(r"[^\W\d_]+", part))).count(" ")}


@pytest.mark.parametrize("language", [each for each in ANSWER_LANGUAGES if each != "en"])
def test_a_letter_says_less_in_another_language_than_in_english(language: AnswerLanguage) -> None:
    english, theirs = (dict(drafts(letters._BOOK[each])) for each in ("en", language))
    assert theirs.keys() == english.keys()

    def law(draft: str, of: AnswerLanguage) -> Counter[tuple[str, ...]]:
        found = (each.groupdict(default="") for each in re.finditer(CITED[of], draft))
        return Counter((each["number"], each["paragraph"], each["point"]) for each in found)

    def shape(draft: str) -> dict[str, Any]:
        return {
            "conditions": re.findall(r"\{% .*? %\}", draft), "filled in": Counter(re.findall(r"\{\{ .*? \}\}", draft)),
            "gaps": re.sub(r"[^][]", "", draft), "paragraphs": draft.count("\n\n"),
        }  # fmt: skip

    for place, draft in english.items():
        assert shape(theirs[place]) == shape(draft), place
        assert law(theirs[place], language) == law(draft, "en"), place
        assert theirs[place].count(REGULATION[language]) == draft.count("GDPR"), place
        assert place == "opening" or theirs[place].count(" / ") == draft.count(" / "), place


def test_a_sentence_is_left_in_another_language() -> None:
    said: Mapping[str, set[str]] = {language: sentences(language) for language in ANSWER_LANGUAGES}
    assert min(map(len, said.values())) > 100
    for one, other in combinations(ANSWER_LANGUAGES, 2):
        assert said[one] & said[other] == set()
    latin, cyrillic, polish = "[A-Za-zÀ-ž]{2}", "[Ѐ-ӿ]", "[ąćęłńśźż]"
    for language, foreign in (
        ("en", f"{cyrillic}|{polish}|[äöüßó]"),
        ("pl", f"{cyrillic}|[äöüß]"),
        ("de", f"{cyrillic}|{polish}|ó"),
        ("uk", latin),
    ):
        assert [each for each in said[language] if re.search(foreign, each)] == [], language


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
def test_an_article_or_a_day_is_torn_apart_at_the_end_of_a_line(language: AnswerLanguage) -> None:
    for right in Right:
        for outcome in Outcome:
            written = letters.write(outcome, request(right), controller(), language, MOMENT)
            for each in (written.day, *written.paragraphs):
                assert not re.search(
                    r"(?:Article|[Aa]rt\.|Abs\.|ust\.|lit\.|татт\w+|пункт) [\d(a-z]", each
                ), each
                assert not re.search(r"\d\.? (?:\w+ )?2026", each), each


@pytest.mark.parametrize("language", ["pl", "de"])
def test_the_sentence_after_the_comma_of_the_opening_begins_with_a_capital(language: AnswerLanguage) -> None:
    for right in Right:
        for outcome in Outcome:
            opening, first, *_ = letters.write(
                outcome, request(right), controller(), language, MOMENT
            ).paragraphs
            assert opening.endswith(",")
            assert first[0].islower(), first
