"""A lawful run, small and whole, for tests to plant a violation into."""

from dataclasses import replace
from typing import Any

from tests.integration.studio import CONFIRMED, TONES
from tests.lab.callees import AGENT_TONE_HZ
from tests.soak.account import (
    Account,
    Bar,
    CallRow,
    Entry,
    Exit,
    Heard,
    Invite,
    Kept,
    Line,
    Press,
    RawFile,
    RecordingRow,
    RequestRow,
    Sign,
    Sounding,
    Window,
)
from tests.soak.plan import Fault

#: Five calls: a recorded one of acme in which erasure was pressed in the talk, one of its opt_in campaign, one that
#: came in and in which recording was refused, one of bravo to a number that acme has barred, and one that acme's gate
#: blocked.
ERASED, AGREED, INBOUND, OTHERS, BLOCKED = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 6))
RECORDING, AGREED_RECORDING = (f"10000000-0000-4000-8000-00000000000{n}" for n in range(1, 3))
DIGITS = {
    ERASED: "48600307401", AGREED: "48601128101", INBOUND: "48600302101", OTHERS: "48600100001", BLOCKED: "48600100001",
}  # fmt: skip
#: The calls of whoever called in, and of the agent who paused the recording of the opt_in campaign at its end for a
#: card number.
AGENT_CALL, PAUSING_CALL = (f"20000000-0000-4000-8000-00000000000{n}" for n in range(1, 3))
#: World's own name for the channel of the callee who pressed erasure.
CHANNEL = "world-1800000000.1"
BEGAN = 1_800_000_000.0
SECRET = "f" * 64


def digest(controller: str, digits: str) -> bytes:
    return f"{controller} {digits}".encode()


def account() -> Account:
    return Account(
        windows=(
            Window(Fault.END_CCARI, BEGAN + 110, BEGAN + 112),
            Window(Fault.KILL_CCARI, BEGAN + 200, BEGAN + 201),
        ),
        exits=(Exit(BEGAN - 60, BEGAN + 116, 0), Exit(BEGAN + 117, BEGAN + 200.1, -9)),
        signs=tuple(
            Sign(BEGAN + at, event)
            for at in (-59, 118, 203)
            for event in ("service_started", "asterisk_connected")
        ),
        presses=(
            Press(BEGAN + 8.7, BEGAN + 9.0, CHANNEL, "7"),
            Press(BEGAN + 41.7, BEGAN + 42.0, AGENT_CALL, "2"),
            Press(BEGAN + 30.2, BEGAN + 30.8, PAUSING_CALL, "*1", PAUSING_CALL),
        ),
        invites=(
            Invite(BEGAN + 1.1, DIGITS[ERASED], "48221110001"),
            Invite(BEGAN + 21.1, DIGITS[AGREED], "48221110003"),
            Invite(BEGAN + 61.1, DIGITS[OTHERS], "48221110004"),
        ),
        calls=(
            _talked(ERASED, "renewals", 0, _press(9, "7", "erasure"), _registered("erasure")),
            _talked(AGREED, "survey", 20, Entry(0, BEGAN + 30.9, "agent_code_entered", {"code": "*1"})),
            _inbound(),
            _talked(OTHERS, "visits", 60, controller="bravo", recorded=False),
            _blocked(),
        ),
        recordings=(
            _recording(RECORDING, ERASED, "opt_out", 5.0, 4000),
            _recording(AGREED_RECORDING, AGREED, "opt_in", 25.0, 6000),
        ),
        requests=(
            _request("ACME-2027-000001", ERASED, "erasure", 9.0),
            _request("ACME-2027-000002", INBOUND, "refuse_recording", 42.0),
        ),
        bars=(
            Bar("acme", digest("acme", DIGITS[OTHERS]), "", "do_not_call", BEGAN - 100),
            Bar("acme", digest("acme", DIGITS[ERASED]), "", "erasure", BEGAN + 9.1, call_id=ERASED),
        ),
        raw=(RawFile(RECORDING, BEGAN + 5.0, left=False), RawFile(AGREED_RECORDING, BEGAN + 25.0, left=False)),
        kept=tuple(
            Kept(each, f"acme/2027-01-15/{each}.flac.age", (Sounding(AGENT_TONE_HZ, 0.1, 4.0),))
            for each in (RECORDING, AGREED_RECORDING)
        ),
        heard=(
            Heard(DIGITS[ERASED], BEGAN + 1, (*_notice(), Sounding(CONFIRMED, 7.5, 8.3)), channel=CHANNEL),
            Heard(DIGITS[AGREED], BEGAN + 21, _notice()),
            Heard(DIGITS[INBOUND], BEGAN + 41, (*_notice(), _tone("continues_unrecorded", 1.6, 2.4)), AGENT_CALL, AGENT_CALL),
        ),
        lines=(
            _line('{"event":"call_gated","number":"+48•••••7401","since_request_ms":600123456}', 1),
            _line(f'{{"event":"recording_stored","call_id":"{ERASED}","file":"acme/{RECORDING}.flac.age"}}', 2),
            _line("60012345-6000-4600-8600-600100001600 2027-01-15T08:00:00.601000Z", 3),
        ),
        secrets=(SECRET,),
        digests={
            (controller, digits): frozenset({digest(controller, digits)})
            for digits in DIGITS.values()
            for controller in ("acme", "bravo")
        },
        of_agent_call={AGENT_CALL: INBOUND, PAUSING_CALL: AGREED},
    )  # fmt: skip


def with_call(run: Account, call_id: str, **changes: Any) -> Account:
    calls = tuple(replace(each, **changes) if each.id == call_id else each for each in run.calls)
    return replace(run, calls=calls)


def without_event(run: Account, call_id: str, event: str) -> Account:
    journal = tuple(each for each in run.by_id[call_id].journal if each.event != event)
    return with_call(run, call_id, journal=journal)


def with_recording(run: Account, recording: str, **changes: Any) -> Account:
    rows = tuple(replace(each, **changes) if each.id == recording else each for each in run.recordings)
    return replace(run, recordings=rows)


def hearing(run: Account, call_id: str, *tones: Sounding) -> Account:
    """The callee of this call hears these tones instead."""
    return replace(
        run,
        heard=tuple(
            replace(each, tones=tones) if each.digits == DIGITS[call_id] else each for each in run.heard
        ),
    )


def adding(run: Account, call_id: str, event: str, **fields: str) -> Account:
    """One more entry in the call's journal, just before its end."""
    *before, last = run.by_id[call_id].journal
    new = Entry(last.seq, last.at, event, fields)
    return with_call(run, call_id, journal=(*before, new, replace(last, seq=last.seq + 1)))


def broken(run: Account, kind: Fault, began: float, ended: float) -> Account:
    """One more fault, in seconds into the run."""
    return replace(run, windows=(*run.windows, Window(kind, BEGAN + began, BEGAN + ended)))


def away(run: Account, began: float, ended: float) -> Account:
    """The service lost Asterisk, and got it back."""
    lost, found = Sign(BEGAN + began, "asterisk_away"), Sign(BEGAN + ended, "asterisk_connected")
    return replace(run, signs=(*run.signs, lost, found))


def logging(run: Account, text: str, **told: Any) -> Account:
    return replace(run, lines=(*run.lines, Line("ccari.log:99", text, told)))


def _talked(
    call_id: str, campaign: str, after: float, *more: Entry, controller: str = "acme", recorded: bool = True
) -> CallRow:
    """``after``: seconds into the run at which it was asked for."""
    recording = AGREED_RECORDING if call_id == AGREED else RECORDING
    events = ["call_gated", "callee_dialled", "callee_answered", "notice_heard"]
    events += ["recording_agreed"] if campaign == "survey" else []
    events += ["recording_tagged", "recording_started"] if recorded else []
    told = {"recording": recording}
    entries = [
        Entry(seq, BEGAN + after + seq / 2, event, told if event == "recording_tagged" else {})
        for seq, event in enumerate([*events, "call_bridged"], 1)
    ]
    last = [replace(each, seq=len(entries) + n) for n, each in enumerate((*more, _entry(0, "call_ended")), 1)]
    return CallRow(
        call_id, controller, campaign, "outbound", digest(controller, DIGITS[call_id]), BEGAN + after,
        BEGAN + after + 1, BEGAN + after + 4, BEGAN + after + 15, "bridged", "", (*entries, *last),
    )  # fmt: skip


def _inbound() -> CallRow:
    events = (
        "call_gated",
        "callee_answered",
        "key_pressed",
        "right_registered",
        "notice_heard",
        "call_bridged",
    )
    journal = [
        Entry(seq, BEGAN + 40 + seq, event, {}) for seq, event in enumerate((*events, "call_ended"), 1)
    ]
    journal[2] = replace(journal[2], fields={"key": "2", "action": "continue_unrecorded"})
    return CallRow(
        INBOUND, "acme", "helpline", "inbound", digest("acme", DIGITS[INBOUND]), BEGAN + 40, None, BEGAN + 44,
        BEGAN + 55, "bridged", "recording_refused", tuple(journal),
    )  # fmt: skip


def _blocked() -> CallRow:
    return CallRow(
        BLOCKED, "acme", "renewals", "outbound", digest("acme", DIGITS[BLOCKED]), BEGAN + 80, None, None, BEGAN + 82,
        "blocked", "suppressed_do_not_call", (_entry(1, "call_blocked"), _entry(2, "call_ended")),
    )  # fmt: skip


def _entry(seq: int, event: str) -> Entry:
    return Entry(seq, BEGAN + 20, event, {})


def _press(after: float, key: str, action: str) -> Entry:
    return Entry(0, BEGAN + after, "key_pressed", {"key": key, "action": action})


def _registered(right: str) -> Entry:
    return Entry(0, BEGAN + 9.1, "right_registered", {"right": right, "reference": "ACME-2027-000001"})


def _recording(recording: str, call_id: str, mode: str, after: float, duration_ms: int) -> RecordingRow:
    return RecordingRow(
        recording,
        call_id,
        "acme",
        "stored",
        mode,
        BEGAN + after - 0.1,
        BEGAN + after,
        duration_ms,
        f"{recording}.age",
    )


def _request(reference: str, call_id: str, right: str, after: float) -> RequestRow:
    return RequestRow(reference, call_id, "acme", right, BEGAN + after, BEGAN + after + 0.1)


def _notice() -> tuple[Sounding, ...]:
    return (
        _tone("identity", 0.0, 0.8), _tone("recording_notice", 0.8, 1.6), Sounding(AGENT_TONE_HZ, 2.5, 7.4),
    )  # fmt: skip


def _tone(prompt: str, began: float, ended: float) -> Sounding:
    return Sounding(TONES[prompt], began, ended)


def _line(text: str, count: int) -> Line:
    told = {"event": "recording_stored"} if "stored" in text else {}
    return Line(f"ccari.log:{count}", text, told)
