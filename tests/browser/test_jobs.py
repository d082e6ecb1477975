"""Each job of the console, done by somebody in a real browser, with the mouse or with only the keyboard."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from ccari.policy.suppression import Reason
from ccari.ports.access import Role
from ccari.ports.keying import Sought
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.browser.conftest import WIDTHS, Opened, Pictures, token_of
from tests.browser.hands import HANDS, Hand, Keyboard
from tests.browser.test_appearance import faults, scrolls_sideways
from tests.unit.store import listed, made

pytestmark = pytest.mark.asyncio(loop_scope="session")

Made = Callable[[Page], Hand]
by_either = pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)

#: Some lines of a list of bars; one is wrong.
LINES = "number\n600 777 001\n12\n"


async def text(page: Page) -> str:
    return await page.locator("main").inner_text()


async def in_order(hand: Hand, *names: str) -> None:
    for name in names:
        await hand.follow(name)


async def test_somebody_cannot_sign_in_in_their_language_and_out_by_keyboard_alone(
    opened: Opened, centre: Store
) -> None:
    hand = Keyboard(await opened(Role.OPS, anew=True))
    page = hand.page
    await hand.follow("Sign out")
    await hand.follow("Polski")
    await expect(page.locator("html")).to_have_attribute("lang", "pl")
    for token, then in (("ccari_wrong", ".note.bad"), (await token_of(centre, Role.OPS, "officer"), "h1")):
        await hand.fill("Token", token)
        await hand.follow("Zaloguj")
        await expect(page.locator(then)).to_be_visible()
    await expect(page.locator("h1")).to_have_text("Przegląd")
    await in_order(hand, "English", "Calls", "Sign out")
    await expect(page.locator("#token")).to_be_visible()
    await page.goto(page.url.replace("sign-in", "calls"))
    await expect(page.locator("#token")).to_be_visible()
    await page.context.close()


async def test_a_request_cannot_be_worked_by_keyboard_alone(opened: Opened) -> None:
    hand = Keyboard(await opened(Role.DPO))
    page = hand.page
    await in_order(hand, "Requests", "Enter a request")
    await hand.choose("Right", "restriction")
    await hand.fill("Number", made.NUMBER.e164)
    await hand.choose("Controller", "ACME")
    await hand.fill("Note", "a letter")
    await hand.follow("Enter", "button")
    note = page.locator(".note.good")
    await expect(note).to_be_focused()
    await expect(note).to_contain_text("is entered")
    for step, label, words, then in (
        ("Verify the identity", "How it was verified", "identity card", "identity being checked"),
        ("Extend", "Reason", "three archives", "extended"),
        ("Fulfil and close", "What was done", "restricted", "fulfilled"),
    ):
        await hand.press(step, "summary")
        if step == "Verify the identity":
            await hand.choose("Identity", "L2")
        await hand.fill(label, words)
        await hand.follow(step, "button")
        await expect(page.locator(".note.good")).to_contain_text(then)
    assert "The request is closed." in await text(page)
    await page.context.close()


@pytest.mark.parametrize(("width", "language"), [("wide", "en"), ("narrow", "pl")])
async def test_a_complaint_cannot_be_answered(
    opened: Opened, centre: Store, front: Front, pictures: Pictures, url: str, width: str, language: str
) -> None:
    store, number = centre, made.numbers(80)[79]
    digests = front.secrets.digests("acme", number)
    await store.suppressions.add("acme", digests, Reason.OBJECTION, "cli", "letter 9")
    call = replace(made.call(number=number), keyed=digests)
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "bridged", "", ())
    sourced, _ = listed.contact(number, "fair 2026", proof="stand 4")
    told = listed.batches((sourced, Sought(digests)))
    await store.contacts.load(made.QUESTION, lambda _: None, told, origin="list", keep_going=False)
    await store.database.rows(
        """INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin)
           VALUES ('acme', $1, 1, 'marketing', 'phone', now(), 'form 12', 'list') ON CONFLICT DO NOTHING""",
        digests.newest,
    )
    await store.database.rows(
        "INSERT INTO consent_uses (consent_id, call_id) SELECT id, $1 FROM consents WHERE digest = $2",
        call.id,
        digests.newest,
    )
    page = await opened(Role.DPO, width=WIDTHS[width], language=language)
    hand = Keyboard(page)
    await page.goto(f"{url}/console/requests")
    await hand.follow("Numbers" if language == "en" else "Numery")
    await hand.fill("Number" if language == "en" else "Numer", number.e164)
    await hand.follow("Find" if language == "en" else "Znajdź", "button")
    answer = page.locator("section.answer")
    await expect(answer).to_be_focused()
    for words in ("fair 2026", "stand 4", "marketing", "form 12", "letter 9"):
        await expect(answer).to_contain_text(words)
    await expect(answer.locator(f'a[href="/console/calls/{call.id}"]').first).to_be_visible()
    await pictures(page, f"known-{width}-{language}")
    assert await faults(page) == []
    assert not await scrolls_sideways(page)
    assert number.digits[2:] not in (await text(page)).replace(" ", "")
    await page.context.close()


@by_either
async def test_a_request_cannot_be_found(opened: Opened, url: str, hand: Made) -> None:
    at = hand(await opened(Role.DPO))
    page = at.page
    await page.goto(f"{url}/console/requests?limit=4")
    first = await page.locator("tbody th").all_inner_texts()
    await at.follow("More")
    if isinstance(at, Keyboard):
        await page.keyboard.press("Tab")
        await expect(page.locator("tbody a").first).to_be_focused()
    assert not set(first) & set(await page.locator("tbody th").all_inner_texts())
    await at.choose("Right", "access")
    await at.fill("Due before", "12312099" if isinstance(at, Keyboard) else "2099-12-31")
    await at.tick("open only")
    await at.follow("Filter")
    assert {"right=access", "open=true", "due_before=2099-12-31"} <= set(urlsplit(page.url).query.split("&"))
    found = page.locator("tbody tr")
    assert set(await found.locator("td:nth-of-type(1)").all_inner_texts()) == {"access Art 15"}
    if isinstance(at, Keyboard):
        # the results come next, not the whole search form
        await page.keyboard.press("Tab")
        await expect(found.locator("a").first).to_be_focused()
    await at.follow("ACME-", "a")
    await expect(page.locator("h1")).to_contain_text("ACME-")
    await page.context.close()


async def test_a_number_in_the_field_for_a_reference_gets_into_the_address_or_what_was_heard_finds_nothing(
    opened: Opened, url: str
) -> None:
    page = await opened(Role.DPO)
    await page.goto(f"{url}/console/requests")
    field = page.get_by_label("Reference")
    for number in ("600100100", "2079460958"):
        await field.fill(number)
        await field.press("Enter")
        assert await field.evaluate("each => each.matches(':invalid') && document.activeElement === each")
        assert urlsplit(page.url).query == ""
    await field.fill(" 20261")
    await field.press("Enter")
    await expect(page.locator("tbody th")).to_have_text("ACME-2026-000001")
    await expect(field).to_have_value("20261")
    await page.context.close()


@by_either
async def test_a_letter_cannot_be_taken_over(opened: Opened, url: str, hand: Made) -> None:
    at = hand(await opened(Role.DPO, language="pl"))
    page = at.page
    await page.goto(f"{url}/console/requests/ACME-2026-000001")
    await in_order(at, "Zawiadomienie o odmowie", "angielski", "ukraiński", "niemiecki", "polski")
    async with page.expect_download() as coming:
        await at.press("Pobierz jako tekst")
    saved = await (await coming.value).path()
    letter = saved.read_text("utf-8")
    assert "art.\u00a017\u00a0RODO" in letter
    assert "ACME-2026-000001" in letter
    await page.context.close()


@by_either
async def test_a_number_is_shown_before_it_is_asked_for(opened: Opened, url: str, hand: Made) -> None:
    at = hand(await opened(Role.DPO))
    page = at.page
    await page.goto(f"{url}/console/requests/ACME-2026-000002")
    assert not re.search(r"\+48\d{9}", await page.content())
    await at.press("Show the whole number")
    await at.fill("Reason for showing it; it is recorded", "to call back")
    await at.follow("Show it")
    shown = page.locator("dd.number")
    await expect(shown).to_contain_text("shown in full; this has been recorded")
    await expect(shown).to_be_focused()
    assert re.search(r"\+48\d{9}", await text(page))
    await page.set_viewport_size({"width": 390, "height": 900})
    assert not await scrolls_sideways(page)
    assert not re.search(r"\d{9}", page.url.partition("/console")[2].replace("ACME-2026-000002", ""))
    await page.context.close()


@by_either
async def test_a_number_cannot_be_looked_up_barred_and_freed(opened: Opened, hand: Made) -> None:
    at = hand(await opened(Role.DPO))
    page = at.page
    await at.follow("Suppressions")
    for does, extra, then in (
        ("Bar a number", "", "is barred"), ("Lift a number's suppressions", "Why they may be lifted", "is not barred"),
    ):  # fmt: skip
        await at.press(does, "summary")
        await at.fill("Number", "600 999 888")
        await at.choose("Controller", "ACME")
        if extra:
            await at.fill(extra, "by mistake")
        await at.follow(does, "button")
        await expect(page.locator(".note.good")).to_be_focused()
        await at.fill("Number", "600 999 888")
        await at.choose("Controller", "ACME")
        await at.follow("Look up a number", "button")
        await expect(page.locator(".answer")).to_contain_text(then)
        await expect(page.locator(".answer")).to_be_focused()
        assert "999" not in page.url.partition("/console")[2]
    await page.context.close()


@by_either
async def test_a_list_cannot_be_imported(opened: Opened, tmp_path: Path, hand: Made) -> None:
    at = hand(await opened(Role.OPS))
    page, file = at.page, tmp_path / "list.csv"
    file.write_text(LINES)
    await in_order(at, "Suppressions", "Import a list")
    for keep_going, then in ((False, "Nothing was changed"), (True, "The list has been imported")):
        await at.choose("Controller", "ACME")
        if keep_going:
            await at.tick("Import the valid lines")
        await at.bring("File", file)
        await at.follow("Import", "button")
        report = page.locator("section[autofocus]")
        await expect(report).to_contain_text(then)
        await expect(report).to_be_focused()
    assert await faults(page) == []
    await page.context.close()


@by_either
async def test_a_recording_cannot_be_listened_to(
    opened: Opened, url: str, files: Path, pictures: Pictures, hand: Made
) -> None:
    at = hand(await opened(Role.DPO))
    page = at.page
    await page.goto(f"{url}/console/recordings?state=stored")
    await at.follow("20", "tbody a")
    await at.fill("Reason for listening", "complaint 7")
    await at.bring("File with the private key", files / "recordings.identity")
    await at.follow("Listen", "button")
    await expect(page.get_by_role("region", name="The recording")).to_be_focused()
    heard = await page.evaluate(
        "new Promise((done) => { const a = document.querySelector('audio');"
        " const tell = () => done(a.error ? -1 : a.duration);"
        " if (a.readyState) tell(); else { a.onloadedmetadata = tell; a.onerror = tell; } })"
    )
    assert heard > 0
    head = page.locator(".wave .head").first
    if isinstance(at, Keyboard):
        await at.to("Player", "audio")
        await page.keyboard.press("ArrowRight")
    else:
        # the script moves the position in the waveform to the click
        await page.locator(".wave").first.click(position={"x": 200, "y": 20})
    await expect(head).not_to_have_attribute("d", "M0 0V60")
    if isinstance(at, Keyboard):
        await page.keyboard.press("Home")
        await expect(head).to_have_attribute("d", "M0 0V60")
        await page.keyboard.press("Space")
        await expect(page.locator("audio")).to_have_js_property("ended", True)
    await pictures(page, "recording-played")
    assert await faults(page) == []
    await page.set_viewport_size({"width": 390, "height": 900})
    await pictures(page, "recording-played-narrow")
    assert not await scrolls_sideways(page)
    await page.context.close()


async def test_a_recording_cannot_be_held_and_released_by_keyboard_alone(opened: Opened) -> None:
    hand = Keyboard(await opened(Role.DPO))
    page, note = hand.page, hand.page.locator(".note.good")
    await in_order(hand, "Recordings", "20")
    await hand.press("Hold", "summary")
    await hand.fill("For which claim", "case 7")
    await hand.follow("Hold", "button")
    await expect(note).to_contain_text("is in force")
    await expect(note).to_be_focused()
    await hand.follow("Recordings")
    await hand.press("Release", "summary")
    await hand.fill("Why it is no longer needed", "settled")
    await hand.follow("Release", "button")
    await expect(note).to_contain_text("is released")
    await expect(note).to_be_focused()
    await page.context.close()


@by_either
async def test_a_change_of_the_policy_cannot_be_read(opened: Opened, hand: Made) -> None:
    at = hand(await opened(Role.AUDITOR))
    page = at.page
    await in_order(at, "Campaigns", "Revision 3")
    await expect(page.locator(".diff .plus")).to_contain_text("Umfrage <b>2026</b>")
    await at.choose("Compare with", "Revision 1")
    await at.follow("Compare", "button")
    await expect(page.get_by_text("Changed since revision 1")).to_be_visible()
    await page.context.close()


async def test_what_is_wide_cannot_be_scrolled_by_keyboard(opened: Opened, url: str) -> None:
    hand = Keyboard(await opened(Role.DPO, width=390))
    page = hand.page
    for path, name in (("campaigns/3?against=1", "Differences"), ("overview?days=30", "As a table")):
        await page.goto(f"{url}/console/{path}")
        if "overview" in path:
            await hand.press(name, "summary")
        await hand.to(name, "[tabindex='0']")
        await page.keyboard.press("ArrowRight")
        await page.evaluate(
            "new Promise((done) => { const here = document.activeElement;"
            " if (here.scrollLeft) done(); else here.addEventListener('scroll', done, { once: true }); })"
        )
    await page.context.close()


async def test_the_overview_cannot_be_read_by_keyboard_alone(opened: Opened) -> None:
    hand = Keyboard(await opened(Role.OPS))
    page = hand.page
    await hand.follow("Last 30 days")
    plot = page.locator(".plot svg")
    await expect(plot).to_have_accessible_name(re.compile("at most .* in a column"))
    await hand.press("As a table", "summary")
    await expect(page.get_by_role("columnheader", name="connected")).to_be_visible()
    await page.context.close()


async def test_a_call_cannot_be_read_and_evidence_taken_out_by_keyboard_alone(
    opened: Opened, url: str
) -> None:
    hand = Keyboard(await opened(Role.AUDITOR))
    page = hand.page
    await hand.follow("Calls")
    await hand.choose("Outcome", "right exercised")
    await hand.follow("Filter")
    await hand.follow("20", "tbody a")
    await expect(page.locator("main")).to_contain_text("The call's journal is intact")
    await page.goto(f"{url}/console/requests/ACME-2026-000005")
    async with page.expect_download() as coming:
        await hand.press("Download the evidence")
    assert (await coming.value).suggested_filename.endswith(".zip")
    await page.context.close()


async def test_what_somebody_wrote_runs_in_the_browser(opened: Opened, url: str) -> None:
    page = await opened(Role.DPO)
    for path in (
        "requests/ACME-2026-000003",
        "campaigns",
        "campaigns/3",
        "calls",
        "suppressions",
        "recordings",
    ):
        await page.goto(f"{url}/console/{path}")
        assert await page.title() != "1", path
        assert await page.locator("main img").count() == 0
    await page.context.close()
