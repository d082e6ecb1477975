"""Requests in the console: worked from their entry to their end, with nothing of another controller's."""

import asyncio
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from http import HTTPStatus

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.office import languages
from ccari.policy import deadlines
from ccari.policy.rights import RequestState, Right, refusable
from ccari.policy.rights import article as article_of
from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.ports.requests import Clock, Handling
from ccari.ports.subjects import ANSWER_LANGUAGES
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.verifying import verify
from ccari.store.opened import Store
from ccari.web.console import letters, once
from ccari.web.console.letters import Outcome
from ccari.web.console.words import CATALOGUES
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.store.made import POLICY
from tests.unit.store.test_forwards import HANDLING, added
from tests.unit.web.api import AS_WRITTEN, NUMBER, TWO, Api
from tests.unit.web.console.browsing import Seen, Visitor, browser, signed_in

#: The policy's only campaign, up to its first section.
CAMPAIGN = POLICY[POLICY.index("[[campaigns]]") : POLICY.index("[campaigns.recording]")]
RECORDING = '[campaigns.recording]\nmode = "off"\n'
REQUESTS = "/console/requests"
NEW = f"{REQUESTS}/new"
MARKUP = "<script>alert(1)</script> & \"'"
STOPPED, NOTHING_TO_STOP = "It stopped the recording of the call.", "ccari was not recording the call then."


async def entered(visitor: Visitor, **fields: str) -> str:
    """The page of a request that was entered by hand."""
    filled = {"right": "erasure", "number": AS_WRITTEN, "controller": "acme", "by": "letter", "level": "L0"}
    seen = await visitor.send(NEW, NEW, **{**filled, **fields})
    assert seen.status == HTTPStatus.OK, seen.words
    assert "is entered" in seen.words
    return seen.url


#: What is to be done before an erasure is fulfilled.
UNERASED = "Carry out the erasure first"


async def step(visitor: Visitor, page: str, name: str, **fields: str) -> Seen:
    return await visitor.send(page, f"{page}/{name}", **fields)


async def test_a_request_cannot_be_worked_from_its_entry_to_its_end(officer: Visitor) -> None:
    before = datetime.now(UTC)
    page = await entered(officer, campaign="renewals", note="letter 7\nof two pages", received="")
    reference, after = page.rpartition("/")[2], datetime.now(UTC)
    first = await officer.get(page)
    assert "Barred: erasure" in first.words
    assert "not sure enough to fulfil it" in first.words
    assert f"{page}/resolve" not in [each.action for each in first.forms]
    assert UNERASED not in first.words
    verified = await step(officer, page, "verify", level="L2", how="identity card")
    assert "identity being checked" in verified.words
    # once it is fulfilled, it would be too late
    assert UNERASED in verified.words
    await step(officer, page, "start")
    extended = await step(officer, page, "extend", reason="three archives")
    # midnight may come just as it is entered
    assert any(deadlines.extended(each, "PL").isoformat() in extended.words for each in (before, after))
    assert "extended before" in extended.words
    closed = await step(officer, page, "resolve", note="all deleted")
    assert f"{reference} is now: fulfilled." in closed.words
    for said in (
        "letter 7",
        "identity card",
        "three archives",
        "all deleted",
        "erased when the request was closed",
    ):
        assert said in closed.words
    assert not [each for each in closed.forms if each.action.startswith(page)]


async def test_a_form_that_is_sent_twice_is_entered_twice(officer: Visitor) -> None:
    filled = {"right": "erasure", "number": AS_WRITTEN, "controller": "acme"}
    form = {**(await officer.get(NEW)).form(NEW).fields, **filled}
    # a double click, and once more after going back
    twice = await asyncio.gather(*(officer.ask("POST", NEW, form, follow=False) for _ in range(2)))
    again = await officer.ask("POST", NEW, form, follow=False)
    (first,) = {each.headers["location"] for each in (*twice, again)}
    # the year is the current one
    assert re.fullmatch(rf"{REQUESTS}/ACME-2\d\d\d-000001", first)
    other = await officer.ask("POST", NEW, {**form, "right": "access"}, follow=False)
    assert other.headers["location"] == first.replace("-000001", "-000002")
    assert (await officer.ask("POST", NEW, {**form, "once": ""})).status == HTTPStatus.BAD_REQUEST
    refused = await officer.ask("POST", NEW, {**form, "number": "12"})
    assert refused.form(NEW).fields["once"] != form["once"]


@pytest.mark.parametrize("language", ["en", "pl"])
async def test_whose_connection_broke_reads_that_nothing_was_entered_and_enters_it_again(
    officer: Visitor, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    officer.language = language
    form = {
        **(await officer.get(NEW)).form(NEW).fields,
        "right": "access", "number": AS_WRITTEN, "controller": "acme", "note": "letter 7",
    }  # fmt: skip
    entered_as = (await officer.ask("POST", NEW, form, follow=False)).headers["location"]
    later = time.time() + once.DOUBLE_CLICK_SECONDS + 1
    monkeypatch.setattr(once, "time", lambda: later)
    # the browser has shown only that the connection was lost, and the officer loads the page again
    reloaded = await officer.ask("POST", NEW, form)
    reference = entered_as.rpartition("/")[2]
    told = CATALOGUES[language].said_of(
        f"{reference} was entered with this form before: nothing was done now"
    )
    assert reloaded.status == HTTPStatus.CONFLICT
    assert told in reloaded.words
    assert "letter 7" in reloaded.text
    assert (await officer.get(entered_as.replace("000001", "000002"))).status == HTTPStatus.NOT_FOUND


async def test_a_step_that_is_sent_twice_is_refused_the_second_time(officer: Visitor, store: Store) -> None:
    page = await entered(officer)
    reference = page.rpartition("/")[2]
    await step(officer, page, "verify", level="L2", how="identity card")
    steps = [("start", {}), ("extend", {"reason": "three archives"}), ("resolve", {"note": "all deleted"})]
    for name, filled in steps:
        form = {**(await officer.get(page)).form(f"{page}/{name}").fields, **filled}
        twice = await asyncio.gather(
            *(officer.ask("POST", f"{page}/{name}", form, follow=False) for _ in range(2))
        )
        assert [(each.status, each.headers["location"]) for each in twice] == [(303, page)] * 2
    assert f"{reference} is now: fulfilled." in (await officer.get(page)).words
    history = (await store.requests.show(reference)).history
    assert [each["state"] for each in history] == [
        "received", "verifying", "in_progress", "extended", "fulfilled",
    ]  # fmt: skip
    assert (await officer.ask("POST", f"{page}/start", {**form, "once": ""})).status == HTTPStatus.BAD_REQUEST


async def test_a_tab_says_what_was_done_in_another(officer: Visitor) -> None:
    pages = [await entered(officer) for _ in range(2)]
    for page in pages:
        form = (await officer.get(page)).form(f"{page}/start").fields
        await officer.ask("POST", f"{page}/start", form, follow=False)
    # both are sent before either browser has fetched the page it was led to, and a third tab is faster than they are
    assert "is now:" not in (await officer.get(REQUESTS)).words
    for page in reversed(pages):
        shown = (await officer.get(page)).words
        assert re.findall(r"(\S+) is now:", shown) == [page.rpartition("/")[2]]
        assert "is now:" not in (await officer.get(page)).words


async def test_what_was_written_for_a_step_is_lost_if_a_colleague_was_quicker(
    officer: Visitor, store: Store
) -> None:
    page = await entered(officer)
    before = await officer.get(page)

    async def sent(name: str, field: str, level: str = "L2") -> Seen:
        form = {**before.form(f"{page}/{name}").fields, "level": level, field: "by letter\n<b>and</b> e-mail"}
        answer = await officer.ask("POST", f"{page}/{name}", form)
        assert "That could not be done" in answer.words
        assert answer.text.count("by letter\n&lt;b&gt;and&lt;/b&gt; e-mail") == 1, answer.text
        return answer

    assert "This had been written" not in (await sent("verify", "how", level="")).words
    for to in (RequestState.EXTENDED, RequestState.WITHDRAWN):
        await store.requests.step(page.rpartition("/")[2], to, HANDLING)
        assert "This had been written" in (await sent("extend", "reason")).words
    assert "This had been written" in (await sent("verify", "how")).words
    assert "by letter" not in (await officer.get(page)).text.partition("History")[0]


async def test_a_step_decided_before_a_colleagues_undoes_it_without_a_word(
    api: Api, officer: Visitor
) -> None:
    verified, extended = [await entered(officer) for _ in range(2)]
    unsure = {"level": "L0", "how": "nobody answers"}
    async with browser() as session:
        colleague = await signed_in(api, Visitor(api.url, session), Role.DPO)
        for page, (name, filled), (of_officer, words), now in (
            (
                verified,
                ("verify", unsure),
                ("verify", {"level": "L2", "how": "card"}),
                "is now: identity being checked",
            ),
            (extended, ("refuse", {"reason": "no"}), ("extend", {"reason": "archives"}), "is now: refused"),
        ):
            form = {**(await colleague.get(page)).form(f"{page}/{name}").fields, **filled}
            await step(officer, page, of_officer, **words)
            sent = await colleague.ask("POST", f"{page}/{name}", form)
            assert sent.status == HTTPStatus.CONFLICT
            assert "has been changed since you opened it" in sent.words
            assert now not in sent.words
            # whoever has read what was done, and means it, sends it again as it was written
            assert f">{filled.get('how', filled.get('reason'))}</textarea>" in sent.text
            again = {**sent.form(f"{page}/{name}").fields, **filled}
            assert now in (await colleague.ask("POST", f"{page}/{name}", again)).words


async def test_nobody_can_answer_whose_requests_history_was_tampered_with(
    officer: Visitor, store: Store
) -> None:
    page = await entered(officer)
    await step(officer, page, "start")
    await store.database.rows("ALTER TABLE request_events DISABLE TRIGGER ALL")
    await store.database.rows("DELETE FROM request_events WHERE seq = 1")
    await store.database.rows("ALTER TABLE request_events ENABLE TRIGGER ALL")
    assert 'role="alert"' in (await officer.get(page)).text
    assert "is now: refused" in (await step(officer, page, "refuse", reason="no")).words


async def test_a_step_is_taken_from_a_page_that_does_not_say_what_was_seen(officer: Visitor) -> None:
    page = await entered(officer)
    for seen in "", "x", "-1", "99":
        form = {**(await officer.get(page)).form(f"{page}/start").fields, "seen": seen}
        sent = await officer.ask("POST", f"{page}/start", form)
        assert sent.status == HTTPStatus.CONFLICT, seen


async def test_a_refusal_seems_to_have_the_time_of_an_extension(officer: Visitor) -> None:
    page = await entered(officer)
    extended = await step(officer, page, "extend", reason="three archives")
    form = extended.text.partition(f'action="{page}/refuse"')[2].partition("</form>")[0]
    assert "within one month of receipt, extended or not" in form
    assert "a refusal is late now" not in form


async def test_a_late_refusal_passes_without_a_word(officer: Visitor, store: Store) -> None:
    received = datetime.now(UTC) - timedelta(days=80)
    due, extended = deadlines.due(received, "PL"), deadlines.extended(received, "PL")
    reference = await added(store, received_at=received, due=due)
    page, said = f"{REQUESTS}/{reference}", f"a refusal (Art 12(4)) by {due}"
    assert said not in (await officer.get(page)).words
    # when there was still time
    clock = Clock(received + timedelta(days=9), {"acme": "PL"})
    await store.requests.step(reference, RequestState.EXTENDED, Handling("cli:anna", clock, "three archives"))
    shown = await officer.get(page)
    assert extended.isoformat() in shown.words
    assert said in shown.words
    assert f"should have been told by {due} (Art 12(4)): a refusal is late now" in shown.words
    assert said in (await officer.get(REQUESTS)).words
    closed = await step(officer, page, "refuse", reason="unfounded")
    assert f"{reference} is now: refused." in closed.words
    assert said not in closed.words
    letter = await officer.get(f"{page}/letters/refused?language=en")
    day = languages.day("en", due).replace("\N{NO-BREAK SPACE}", " ")
    assert f"told you so by {day} at the latest" in letter.words.replace("\N{NO-BREAK SPACE}", " ")


async def test_what_cannot_be_refused_has_a_day_for_its_refusal(officer: Visitor) -> None:
    page = await entered(officer, right="objection_marketing")
    assert "a refusal (Art" not in (await step(officer, page, "extend", reason="three archives")).words


async def test_a_letter_that_refuses_a_recording_withdraws_a_consent_that_nobody_gave(
    officer: Visitor, store: Store
) -> None:
    # recorded on the basis of a legitimate interest, by the only campaign that records
    for campaign in ("renewals", ""):
        objected = await officer.get(await entered(officer, right="refuse_recording", campaign=campaign))
        assert "refusal of recording, Art 21(1)" in objected.words
    await store.policies.apply(POLICY + made.AGREED, "test")
    withdrawn = await officer.get(await entered(officer, right="refuse_recording", campaign="agreed"))
    assert "refusal of recording, Art 7(3)" in withdrawn.words
    filled = {"right": "refuse_recording", "number": AS_WRITTEN, "by": "letter", "level": "L0"}
    asked = await officer.send(NEW, NEW, **filled)
    assert "say which campaign: one of renewals, agreed" in asked.words
    assert re.search(r'<select[^>]*aria-invalid="true"[^>]*id="campaign"', asked.text)


async def test_a_letter_or_a_key_at_the_menu_of_a_dialplan_is_said_to_have_stopped_a_recording(
    officer: Visitor, store: Store
) -> None:
    written = await officer.get(await entered(officer))
    assert "the recording of the call" not in written.words
    assert "was not recording" not in written.words
    for right, recorded, says in (
        (Right.ERASURE, True, STOPPED),
        (Right.ERASURE, False, NOTHING_TO_STOP),
        (Right.WITHDRAW_CONSENT, False, NOTHING_TO_STOP),
        (Right.ACCESS, True, None),
        (Right.ACCESS, False, None),
    ):
        call = made.call()
        await store.calls.open(call, made.question(call))
        if recorded:
            tag = made.tag(call)
            await store.calls.commit_heard(call.id, "v1", "i1", ())
            await store.recordings.tag(tag, made.journal("notice_heard"))
            await store.recordings.started(tag.recording_id, made.NOW - timedelta(minutes=1))
        pressed = await store.calls.register_right(call, made.exercise(right), made.journal("key_pressed"))
        words = (await officer.get(f"{REQUESTS}/{pressed}")).words
        assert [each for each in (STOPPED, NOTHING_TO_STOP) if each in words] == ([says] if says else [])


async def test_the_history_names_the_call_in_which_a_right_was_pressed_in_code(
    officer: Visitor, store: Store
) -> None:
    officer.language = "pl"
    call = made.call()
    await store.calls.open(call, made.question(call))
    pressed = await store.calls.register_right(call, made.exercise(Right.ACCESS), made.journal("key_pressed"))
    words = (await officer.get(f"{REQUESTS}/{pressed}")).words
    assert "· w rozmowie ·" in words
    assert "· call ·" not in words


async def test_who_pressed_at_the_menu_of_a_dialplan_is_said_not_to_have_heard_a_notice_that_ccari_never_plays(
    officer: Visitor, store: Store
) -> None:
    for told, unheard in ((("call_gated", "key_pressed"), True), (("key_pressed",), False)):
        call = made.call()
        await store.calls.open(call, made.question(call))
        pressed = await store.calls.register_right(call, made.exercise(Right.ACCESS), made.journal(*told))
        words = (await officer.get(f"{REQUESTS}/{pressed}")).words
        assert ("The notice was not heard to its end" in words, "ccari played no notice" in words) == (
            unheard,
            not unheard,
        )


async def test_the_letter_on_a_refusal_says_that_a_recorder_was_stopped_which_did_not_run(
    officer: Visitor, store: Store
) -> None:
    tell: dict[str, str] = {}
    for name in ("recorded", "in the notice", "at the menu"):
        call = made.call()
        await store.calls.open(call, made.question(call))
        if name == "recorded":
            tag = made.tag(call)
            await store.calls.commit_heard(call.id, "v1", "i1", ())
            await store.recordings.tag(tag, ())
            await store.recordings.started(tag.recording_id, made.NOW - timedelta(minutes=1))
        exercise = replace(
            made.exercise(Right.REFUSE_RECORDING), recorded_elsewhere=name == "at the menu"
        )  # fmt: skip
        reference = await store.calls.register_right(call, exercise, ())
        letter = await officer.get(f"{REQUESTS}/{reference}/letters/fulfilled?language=en")
        assert letter.status == HTTPStatus.OK, letter.words
        tell[name] = letter.words
    stopped = "The recording was stopped at once."
    assert f" {stopped} What had been recorded" in tell["recorded"]
    assert stopped not in tell["in the notice"]
    assert "Nothing had been recorded until then." in tell["in the notice"]
    assert f"[{stopped}] [Nothing had been recorded" in tell["at the menu"]


async def test_an_objection_is_closed_as_if_that_deleted_what_was_recorded(officer: Visitor) -> None:
    for right, stay in (
        ("objection", True), ("refuse_recording", True), ("objection_marketing", False), ("restriction", False),
    ):  # fmt: skip
        page = await entered(officer, right=right, level="L2", note="identity card")
        shown = (await officer.get(page)).text
        form = shown.partition(f'action="{page}/resolve"')[2].partition("</form>")[0]
        assert ("Closing it deletes no recording" in form) is stay, right
        assert ('href="/console/calls/find"' in form) is stay, right


async def test_a_level_is_chosen_before_somebody_chooses_it(officer: Visitor) -> None:
    page = await entered(officer, right="objection_marketing", level="L1", note="identity card")
    form = (await officer.get(page)).text.partition(f'action="{page}/verify"')[2].partition("</form>")[0]
    assert 'name="level" required' in form
    assert "selected" not in form
    unsaid = await step(officer, page, "verify", how="identity card")
    assert unsaid.status == HTTPStatus.UNPROCESSABLE_ENTITY


async def test_a_step_that_the_law_forbids_is_taken_or_what_was_written_is_lost(officer: Visitor) -> None:
    page = await entered(officer)
    fields = (await officer.get(page)).form(f"{page}/refuse").fields
    assert (await officer.ask("POST", f"{page}/refuse", {**fields, "reason": " "})).status == 422
    secret = {"csrf": fields["csrf"], "once": fields["once"]}
    early = await officer.ask("POST", f"{page}/resolve", {**secret, "note": MARKUP})
    assert early.status == HTTPStatus.CONFLICT
    assert "not sure enough" in early.words
    wrong = await officer.ask("POST", f"{page}/verify", {**secret, "level": "L9", "how": MARKUP})
    assert wrong.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert escape(MARKUP) in wrong.text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


@pytest.mark.parametrize("path", ["requests?reference=4", "calls?since=x", "requests?open=perhaps"])
async def test_a_wrong_filter_is_named_in_english_to_a_polish_officer(officer: Visitor, path: str) -> None:
    officer.language = "pl"
    seen = await officer.get(f"/console/{path}")
    field = path.partition("?")[2].partition("=")[0]
    assert seen.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert f"{CATALOGUES['pl']('field.' + field)}: " in seen.words
    assert f"{field}:" not in seen.words


async def test_a_request_is_entered_that_cannot_be(officer: Visitor) -> None:
    filled = {"right": "erasure", "number": AS_WRITTEN, "controller": "acme"}
    for change, label in (
        ({"number": "12"}, "Number:"), ({"campaign": "umfrage"}, "Campaign:"), ({"received": "2999-01-01"}, "Received:"),
        ({"level": "L2"}, "Note:"), ({"right": "silence"}, "Right:"),
    ):  # fmt: skip
        seen = await officer.send(NEW, NEW, **{**filled, **change})
        assert seen.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert label in seen.words
        assert "60010000" not in seen.text
    assert "no such requests" in (await officer.get(REQUESTS)).words


async def test_the_number_is_shown_whole_unasked_or_without_a_record(officer: Visitor, store: Store) -> None:
    page = await entered(officer)
    masked = await officer.get(page)
    assert NUMBER not in masked.text
    assert made.NUMBER.masked in masked.text
    whole = await step(officer, page, "number", reason="to write the answer")
    assert NUMBER in whole.text
    assert NUMBER not in (await officer.get(page)).text
    newest = (await store.accesses.list(10, WantedAccesses(looked=Looked.REQUEST_SHOWN)))[1]
    assert (newest["what"]["number"], newest["why"]) == ("whole", "to write the answer")
    fields = masked.form(f"{page}/number").fields
    unsaid = await officer.ask("POST", f"{page}/number", {**fields, "reason": ""})
    assert (unsaid.status, NUMBER in unsaid.text) == (HTTPStatus.UNPROCESSABLE_ENTITY, False)


async def test_evidence_that_cannot_be_given_is_refused_without_a_word(
    api: Api, visitor: Visitor, front: Front, store: Store
) -> None:
    assert isinstance(front.secrets, SecretStore)
    SigningKeys(front.secrets.folder).create()
    call = made.call()
    await store.calls.open(call, made.question(call))
    await signed_in(api, visitor, Role.AUDITOR)
    seen = await visitor.get(f"/console/calls/{call.id}/evidence")
    assert seen.status == HTTPStatus.CONFLICT
    assert f"the call {call.id} is not over yet" in seen.words


async def test_somebody_who_only_looks_on_is_offered_work(api: Api, visitor: Visitor, store: Store) -> None:
    reference = await added(store)
    await signed_in(api, visitor, Role.AUDITOR)
    seen = await visitor.get(f"{REQUESTS}/{reference}")
    assert [each.action for each in seen.forms] == ["/console/sign-out"]
    assert NEW not in (await visitor.get(REQUESTS)).text


async def test_what_is_due_is_told_by_colour_alone_or_not_narrowed(officer: Visitor, store: Store) -> None:
    today = deadlines.local_day(datetime.now(UTC), "PL")
    fresh, late, soon = [await added(store, due=today + timedelta(days=days)) for days in (20, -2, 3)]
    seen = await officer.get(REQUESTS)
    assert [seen.text.index(each) for each in (late, soon, fresh)] == sorted(
        seen.text.index(each) for each in (late, soon, fresh)
    )
    # midnight may have passed since
    passed = (deadlines.local_day(datetime.now(UTC), "PL") - today).days
    assert any(
        all(
            words in seen.words
            for words in (f"{2 + days} days overdue", f"{3 - days} days left", f"{20 - days} days left")
        )
        for days in range(passed + 1)
    ), seen.words
    narrowed = await officer.get(f"{REQUESTS}?right=&state=&due_before=&overdue=true")
    assert (late in narrowed.text, soon in narrowed.text) == (True, False)
    heard = "".join(str(int(each)) for each in late.split("-")[1:])
    told = await officer.get(f"{REQUESTS}?right=&reference={heard}")
    assert (late in told.text, soon in told.text, f'value="{heard}"' in told.text) == (True, False, True)
    assert "no such requests" in (await officer.get(f"{REQUESTS}?state=refused")).words
    wrong = await officer.get(f"{REQUESTS}?due_before=soon")
    assert wrong.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Due before:" in wrong.words
    pages = await officer.get(f"{REQUESTS}?open=true&limit=2")
    rest = await officer.get(
        pages.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    )
    assert (fresh in rest.text, late in rest.text) == (True, False)


async def test_a_list_that_was_paged_forward_has_no_way_back_or_one_that_drops_its_filters(
    officer: Visitor, store: Store
) -> None:
    for _ in range(3):
        await added(store)
    link = re.compile(r'<a class="button plain" href="([^"]+)">First page</a>')
    there = f"{REQUESTS}?open=true&limit=1"
    shown = await officer.get(there)
    assert not link.search(shown.text)
    # the one in the middle, and the last
    for last in False, True:
        (then,) = re.findall(r'rel="next" href="([^"]+)"', shown.text)
        shown = await officer.get(unescape(then))
        assert [unescape(each) for each in link.findall(shown.text)] == [f"{there}#list"]
        assert ('rel="next"' in shown.text) != last


async def test_markup_that_somebody_wrote_becomes_part_of_a_page(officer: Visitor, store: Store) -> None:
    page = await entered(officer, note=MARKUP)
    await step(officer, page, "extend", reason=MARKUP)
    for path in (page, f"{page}/letters/extended", f"{REQUESTS}?right={escape(MARKUP)}"):
        seen = await officer.get(path)
        assert "<script>" not in seen.text, path
    assert "alert(1)" in (await officer.get(f"{page}/letters/extended")).words
    text = await officer.get(f"{page}/letters/extended?form=text")
    assert text.headers["content-type"].startswith("text/plain")
    assert MARKUP in text.text


async def test_a_token_of_one_controller_sees_or_works_on_anothers_request(
    api: Api, visitor: Visitor, store: Store
) -> None:
    foreign, mine = await added(store, controller="other"), await added(store)
    await signed_in(api, visitor, Role.DPO, "acme")
    seen = await visitor.get(REQUESTS)
    assert (foreign in seen.text, mine in seen.text) == (False, True)
    assert "Other GmbH" not in (await visitor.get(NEW)).text
    csrf = seen.form("/console/sign-out").fields["csrf"]
    secret = {"csrf": csrf, "once": "1", "reason": "x", "level": "L2", "how": "x"}
    for name in ("", "/letters/receipt"):
        assert (await visitor.get(f"{REQUESTS}/{foreign}{name}")).status == HTTPStatus.NOT_FOUND
    for name in ("verify", "start", "extend", "resolve", "refuse", "withdraw", "number"):
        answer = await visitor.ask("POST", f"{REQUESTS}/{foreign}/{name}", secret)
        assert answer.status == HTTPStatus.NOT_FOUND, name
        assert NUMBER not in answer.text
    assert len((await store.requests.show(foreign)).history) == 1
    claimed = await visitor.send(NEW, NEW, right="erasure", number=AS_WRITTEN, controller="other")
    assert claimed.status == HTTPStatus.UNPROCESSABLE_ENTITY


async def test_an_expired_request_is_said_to_bar_nothing(officer: Visitor, store: Store) -> None:
    """Its bar stands, but nothing on the request shows any more which one that is."""
    barring, access = [await added(store, right=right) for right in (Right.OBJECTION, Right.ACCESS)]
    for reference in (barring, access):
        await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    await store.database.rows(
        "UPDATE rights_requests SET digest = NULL, digests = '{}', key_version = NULL, expired_at = now()"
    )
    words = (await officer.get(f"{REQUESTS}/{barring}")).words
    assert "It bars no calls" not in words
    assert "no longer shows whose it was" in words
    assert "It bars no calls" in (await officer.get(f"{REQUESTS}/{access}")).words


async def test_what_was_erased_of_a_history_is_shown_in_english_or_as_somebodys_words(
    api: Api, visitor: Visitor, store: Store
) -> None:
    visitor.language = "pl"
    await signed_in(api, visitor, Role.DPO)
    reference = await added(store, note="letter 7")
    before = await visitor.get(f"{REQUESTS}/{reference}")
    assert "letter 7" in before.words
    await store.database.rows("DELETE FROM request_event_details")
    seen = await visitor.get(f"{REQUESTS}/{reference}")
    history = seen.text.partition('<ol class="history">')[2].partition("</ol>")[0]
    assert "usunięte" in history
    assert "erased" not in history
    assert 'class="words"' not in history


async def test_a_request_to_a_controller_that_is_no_longer_declared_is_said_to_be_too_late_or_has_letters_of_nobody(
    officer: Visitor, store: Store
) -> None:
    reference = await added(store, received_at=datetime.now(UTC))
    page = f"{REQUESTS}/{reference}"
    assert f"{page}/letters/receipt" in (await officer.get(page)).text
    await store.policies.apply(POLICY.replace('"acme"', '"acme2"'), "cli:anna")
    seen = await officer.get(page)
    assert "first month is over" not in seen.words
    assert f"{page}/letters" not in seen.text
    refused = await step(officer, page, "extend", reason="three archives")
    assert refused.status == HTTPStatus.CONFLICT
    assert "no longer in the policy" in refused.words


async def test_a_letter_to_whoever_wrote_in_is_begun_in_a_language_that_the_controller_does_not_speak(
    officer: Visitor, store: Store
) -> None:
    await store.policies.apply(TWO.replace('"Vertrag"', '"Vertrag"\nlanguage = "de"'), "cli:anna")
    for controller, language in (("acme", "pl"), ("other", "de")):
        reference = await added(store, controller=controller)
        letter = await officer.get(f"{REQUESTS}/{reference}/letters/receipt")
        assert f'<article class="letter" lang="{language}">' in letter.text


async def test_a_letter_on_a_request_about_one_campaign_is_not_begun_in_its_language(
    officer: Visitor, store: Store
) -> None:
    """The controller has other campaigns, in other languages."""
    survey = CAMPAIGN.replace('"renewals"', '"survey"') + 'language = "uk"\n'
    await store.policies.apply(POLICY.replace(CAMPAIGN, survey + RECORDING + CAMPAIGN), "cli:anna")
    for campaign, language in (("survey", "uk"), ("renewals", "pl"), ("", "en")):
        page = await entered(officer, campaign=campaign)
        assert (
            f'<article class="letter" lang="{language}">'
            in (await officer.get(f"{page}/letters/receipt")).text
        )


@pytest.mark.parametrize("language", ANSWER_LANGUAGES)
async def test_who_pressed_a_key_is_written_to_in_another_language_than_the_call_was_in(
    officer: Visitor, store: Store, language: str
) -> None:
    """Whatever the campaign's language is: a key pressed in the call changes it (Art 12(1))."""
    call = made.call()
    await store.calls.open(call, made.question(call))
    exercise = replace(made.exercise(), language=language)
    reference = await store.calls.register_right(
        call, exercise, made.journal("key_pressed", key="7", action="erasure")
    )
    page = f"{REQUESTS}/{reference}/letters/receipt"
    letter = await officer.get(page)
    assert f'<article class="letter" lang="{language}">' in letter.text
    for other in set(ANSWER_LANGUAGES) - {language}:
        assert f'<a href="?language={other}" hreflang="{other}">' in letter.text
        changed = await officer.get(f"{page}?language={other}")
        assert f'<article class="letter" lang="{other}">' in changed.text
    text = await officer.get(f"{page}?form=text")
    assert f"{reference}-receipt-{language}.txt" in text.headers["content-disposition"]


async def test_an_erasure_that_is_not_complete_is_said_to_need_a_new_request(
    officer: Visitor, store: Store
) -> None:
    page = await entered(officer)
    await step(officer, page, "verify", level="L2", how="identity card")
    assert UNERASED in (await officer.get(page)).words
    await store.database.rows(
        "INSERT INTO erasures (reference, controller, begun_by) SELECT reference, controller, 'cli:dpo' FROM rights_requests"
    )
    await store.database.rows("UPDATE rights_requests SET number = NULL")
    words = (await officer.get(page)).words
    assert UNERASED not in words
    assert "Run it again first" in words
    assert "erased when the request was closed" not in words
    assert "erased with the other data" in words
    # and it has to continue when the request is closed
    await step(officer, page, "resolve")
    assert "not completely: run the erasure again" in (await officer.get(page)).words


async def test_a_press_is_shown_without_its_evidence(officer: Visitor, store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", None, made.journal("notice_heard", version="v1"))
    pressed = made.journal("key_pressed", key="7", action="erasure")
    reference = await store.calls.register_right(call, made.exercise(), pressed)
    seen = await officer.get(f"{REQUESTS}/{reference}")
    for words in (
        "Times: Europe/Warsaw",
        "pressed key 7",
        "key: 7, action: erasure",
        "journal is intact",
        "heard to its end",
        str(call.id),
        "key pressed",
    ):
        assert words in seen.words, words
    await store.database.rows("ALTER TABLE call_events DISABLE TRIGGER ALL")
    await store.database.rows("UPDATE call_events SET event = 'nothing' WHERE seq = 1")
    assert "journal is not intact" in (await officer.get(f"{REQUESTS}/{reference}")).words


async def test_a_letter_lacks_its_article_or_has_a_number_in_it(officer: Visitor, store: Store) -> None:
    for right in Right:
        reference = await added(store, right=right)
        page = f"{REQUESTS}/{reference}"
        seen = await officer.get(page)
        outcomes = [each for each in Outcome if f"{page}/letters/{each}" in seen.text]
        assert (Outcome.REFUSED in outcomes) == refusable(right, article_of(right))
        for outcome in set(Outcome) - set(outcomes):
            assert (await officer.get(f"{page}/letters/{outcome}")).status == HTTPStatus.NOT_FOUND, outcome
        assert Outcome.IDENTITY not in outcomes
        for outcome in outcomes:
            for language, article in ("en", "Article "), ("pl", "art. "), ("de", "Art. "), ("uk", "стаття "):
                letter = await officer.get(f"{page}/letters/{outcome}?language={language}")
                assert letter.status == HTTPStatus.OK, letter.words
                assert f'<article class="letter" lang="{language}">' in letter.text
                assert article in letter.words
                assert reference in letter.words
                assert "iod@acme.example" in letter.words
                assert "60010000" not in letter.text
                assert "{{" not in letter.text
                assert "{%" not in letter.text


async def test_a_restriction_cannot_be_announced_to_end_or_is_once_it_has_ended(officer: Visitor) -> None:
    page = await entered(officer, right="restriction", level="L2", note="identity card")
    assert f"{page}/letters/lifting" not in (await officer.get(page)).text
    closed = await step(officer, page, "resolve")
    assert f"{page}/letters/lifting" in closed.text
    for language, article in (
        ("en", "Article 18(3)"),
        ("pl", "art. 18 ust. 3"),
        ("de", "Art. 18 Abs. 3"),
        ("uk", "статтею 18(3)"),
    ):
        letter = await officer.get(f"{page}/letters/lifting?language={language}")
        assert letter.status == HTTPStatus.OK, letter.words
        assert article in letter.words
        assert "60010000" not in letter.text
        assert "{{" not in letter.text
    lifted = {"number": AS_WRITTEN, "controller": "acme", "reason": "restriction", "why": "verified"}
    await officer.send("/console/suppressions", "/console/suppressions/lift", **lifted)
    assert "/letters/lifting" not in (await officer.get(page)).text
    assert (await officer.get(f"{page}/letters/lifting")).status == HTTPStatus.NOT_FOUND


def test_a_right_has_no_letter_of_its_own() -> None:
    for language, book in letters._BOOK.items():
        assert set(book["rights"]) == set(Right), language
        assert set(book["fulfilled"]) == {"subject", *Right}, language


async def test_evidence_proves_nothing_or_is_anothers(
    api: Api, visitor: Visitor, front: Front, store: Store
) -> None:
    assert isinstance(front.secrets, SecretStore)
    SigningKeys(front.secrets.folder).create()
    mine, foreign = await added(store), await added(store, controller="other")
    await signed_in(api, visitor, Role.AUDITOR, "acme")
    assert (await visitor.get(f"{REQUESTS}/{foreign}/evidence")).status == HTTPStatus.NOT_FOUND
    path = f"{REQUESTS}/{mine}/evidence"
    assert path in (await visitor.get(f"{REQUESTS}/{mine}")).text
    async with visitor.session.get(visitor.url + path) as answer:
        pack = await answer.read()
    keys = SigningKeys(front.secrets.folder).all()
    assert verify(pack, keys, None).id == mine


async def test_a_note_from_right_to_left_is_written_as_if_from_left_to_right(officer: Visitor) -> None:
    note = "לא להתקשר אליי שוב! ACME (2026)."
    page = await entered(officer, note=note)
    assert f'<p class="words" dir="auto">{note}</p>' in (await officer.get(page)).text
