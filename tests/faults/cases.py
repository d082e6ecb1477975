"""Which test proves which of the twenty faults that a real Asterisk, PostgreSQL, network or disk can have.

Each is a test on the laboratory with the real thing killed, stopped, cut or filled, and looks for the safe outcome at the far
end: INVITEs on the wire, what was heard, what lies in the spool, what is on record.
"""

from collections.abc import Mapping
from dataclasses import dataclass

HERE = "tests/faults"
LINK = "tests/integration/test_link.py"
OUTBOUND = "tests/integration/test_outbound.py"
AGI = "tests/integration/test_agi.py"


@dataclass(frozen=True)
class Case:
    """``tests``: each as ``FILE::NAME``."""

    fault: str
    safe: str
    tests: tuple[str, ...]


CASES: Mapping[int, Case] = {
    1: Case(
        "killed after the gate's commit, before the channel is made",
        "no INVITE; whoever tries again is asked for anew",
        (
            f"{HERE}/test_killed.py::test_invariant_1_a_call_that_died_at_the_gate_is_dialled_by_the_next_service",
        ),
    ),
    2: Case(
        "killed between create and dial",
        "no INVITE; the channel that was made is removed",
        (f"{HERE}/test_killed.py::test_invariant_1_a_channel_that_was_made_is_dialled_or_left_behind",),
    ),
    3: Case(
        "killed while it rings, and the callee answers",
        "Asterisk's own watchdog hangs up; no recording, no agent",
        (
            f"{HERE}/test_killed.py::test_invariant_3_a_callee_who_answers_nobody_is_connected_recorded_or_held_for_ever",
            f"{LINK}::test_a_callee_leg_lives_for_ever_when_nobody_ends_it",
        ),
    ),
    4: Case(
        "killed in the notice, or after its end and before that is committed",
        "ended; never bridged, never recorded",
        (
            f"{HERE}/test_killed.py::test_invariant_3_a_callee_whose_notice_broke_off_is_connected",
            f"{HERE}/test_killed.py::test_invariant_3_a_notice_whose_hearing_is_not_on_record_connects_or_records",
        ),
    ),
    5: Case(
        "killed between the request to record and its reply",
        "the recording is on record already; it is stopped, tagged and kept",
        (
            f"{HERE}/test_killed.py::test_invariant_4_a_recorder_whose_service_died_as_it_began_records_on_or_leaves_a_file_without_a_tag",
            "tests/unit/store/test_crashes.py::test_a_service_killed_between_two_steps_of_a_call_loses_doubles_or_leaves_something",
        ),
    ),
    6: Case(
        "Asterisk is killed while it records",
        "the call is closed; what was written is tagged, whatever its header lacks",
        (
            f"{HERE}/test_asterisk_killed.py::test_a_recording_that_asterisk_died_over_is_lost_or_untagged",
            f"{LINK}::test_an_asterisk_killed_in_the_talk_leaves_an_open_call_or_a_broken_file",
            "tests/integration/test_two_channels.py::test_an_asterisk_killed_in_the_talk_loses_a_side",
        ),
    ),
    7: Case(
        "the spool is full, or read-only",
        "the recording is marked failed; the call goes on or ends as the campaign says",
        (
            f"{HERE}/test_spool_full.py::test_a_recording_that_could_not_be_written_passes_for_one",
            f"{HERE}/test_spool_full.py::test_a_talk_that_must_be_recorded_goes_on_when_the_disk_is_full",
        ),
    ),
    8: Case(
        "packets of the WebSocket are dropped, and a key is pressed",
        "noticed within a heartbeat and a half; nothing is confirmed",
        (
            f"{HERE}/test_link_cut.py::test_invariant_5_a_key_that_nobody_heard_is_confirmed_or_the_dead_link_goes_unnoticed",
        ),
    ),
    9: Case(
        "the socket is reset, a key is pressed, and the link is back in the middle of the talk",
        # Asterisk drops events of an application to which nobody is connected, and does not send them later
        "the talk is taken up. A key that was heard before the cut, or comes as soon as the link is back, is one request; one that "
        "is pressed while nobody is connected is lost: nothing says that it is done, and it can be pressed again",
        (
            f"{HERE}/test_key_at_the_cut.py::test_invariant_5_a_right_that_is_being_registered_is_lost_or_doubled_by_a_cut",
            f"{HERE}/test_key_at_the_cut.py::test_invariant_5_a_key_that_is_pressed_while_nobody_is_connected_is_confirmed_or_deafens_for_the_next",
            f"{HERE}/test_key_at_the_cut.py::test_invariant_5_a_key_that_is_pressed_before_stock_is_taken_is_lost",
            f"{HERE}/test_talk_goes_on.py::test_a_key_is_not_heard_any_more",
        ),
    ),
    10: Case(
        "PostgreSQL is stopped when a key is pressed",
        "written to the local journal; exactly one request later",
        tuple(
            f"{HERE}/test_postgres_at_the_press.py::test_invariant_{name}"
            for name in (
                "5_a_right_pressed_while_postgresql_hangs_is_lost_or_doubled_or_nobody_confirms_it",
                "5_a_right_is_lost_with_a_postgresql_that_is_killed_at_the_press",
                "5_a_service_that_is_killed_takes_along_what_waits_or_calls_before_it_is_registered",
                "6_what_is_said_after_a_refusal_is_kept_because_another_right_is_being_registered",
            )
        ),
    ),
    11: Case(
        "PostgreSQL is stopped or killed at the gate",
        "no INVITE",
        (
            f"{HERE}/test_database_away.py::test_invariant_1_a_gate_whose_database_hangs_lets_a_call_through",
            f"{HERE}/test_database_away.py::test_invariant_1_a_database_that_hangs_between_gate_and_dial_lets_a_call_through",
            f"{HERE}/test_database_away.py::test_invariant_1_a_database_that_dies_between_gate_and_dial_lets_a_call_through",
        ),
    ),
    12: Case(
        "the number is barred between gate and dial",
        "no INVITE",
        (
            f"{HERE}/test_database_away.py::test_invariant_1_a_number_that_was_barred_after_the_gate_is_dialled",
        ),
    ),
    13: Case(
        "a 302, or the agent's REFER, to a number that is barred",
        "no INVITE to it",
        (
            f"{HERE}/test_past_the_gate.py::test_invariant_1_a_redirection_leads_to_a_number_that_is_barred",
            f"{HERE}/test_past_the_gate.py::test_invariant_1_a_transfer_leads_to_a_number_that_is_barred",
        ),
    ),
    14: Case(
        "a file of the notice is missing or damaged",
        "never bridged, never recorded",
        (
            f"{HERE}/test_notice_unproven.py::test_invariant_3_a_callee_is_rung_whose_notice_is_spoilt",
            f"{HERE}/test_notice_unproven.py::test_invariant_3_a_notice_that_is_spoilt_while_it_rings_counts_as_heard",
            "tests/integration/test_misuse.py::test_a_missing_or_damaged_prompt_is_found_by_the_first_callee_or_stops_every_campaign",
        ),
    ),
    15: Case(
        "the playback is deleted, the callee hangs up, or no final event comes",
        "not counted as heard",
        (
            f"{HERE}/test_notice_unproven.py::test_invariant_3_a_notice_that_somebody_stops_counts_as_heard",
            f"{HERE}/test_notice_unproven.py::test_invariant_3_a_callee_who_hangs_up_in_the_notice_has_heard_it",
            f"{HERE}/test_notice_unproven.py::test_invariant_3_a_notice_whose_end_is_not_reported_counts_as_heard_or_holds_the_call",
        ),
    ),
    16: Case(
        "ccari is stopped for thirty seconds at fifty calls, and goes on",
        "new calls take the dialplan's way without it; nothing is done that is out of date",
        (
            f"{HERE}/test_service_stopped.py::test_invariant_1_a_service_that_wakes_dials_for_whoever_is_gone_or_callers_wait_for_it",
            f"{HERE}/test_service_stopped.py::test_invariant_1_a_service_that_wakes_soon_dials_for_an_agent_who_hung_up",
            f"{OUTBOUND}::test_an_agent_waits_for_ever_for_a_service_that_hangs",
        ),
    ),
    17: Case(
        "two services on one Asterisk",
        "the loser falls silent and ends",
        (
            f"{LINK}::test_a_second_service_on_the_same_database_takes_the_asterisk_over",
            f"{LINK}::test_a_service_that_was_replaced_goes_on_driving_asterisk",
        ),
    ),
    18: Case(
        "the FastAGI server is killed, then stopped",
        "DENY, within seconds",
        (
            f"{HERE}/test_fastagi_dies.py::test_invariant_1_a_verdict_that_never_came_allows_the_call",
            f"{HERE}/test_fastagi_dies.py::test_invariant_1_a_verdict_that_came_too_late_allows_the_call_or_holds_it",
            f"{AGI}::test_a_service_that_hangs_holds_the_call_or_lets_it_through",
        ),
    ),
    19: Case(
        "six seconds without RTP while it records",
        "the recording goes on, or its early end is noticed",
        (
            f"{HERE}/test_link_cut.py::test_six_seconds_without_a_packet_end_a_recording_unnoticed",
            f"{OUTBOUND}::test_a_callee_who_sends_no_packet_ends_the_recording",
        ),
    ),
    20: Case(
        "sessionlimit=5, and the replies to create and record are lost",
        "nobody is dialled twice; what became of it is asked for",
        (
            f"{HERE}/test_link_cut.py::test_calls_need_more_sessions_than_asterisk_has_or_are_dialled_twice",
            f"{LINK}::test_a_lost_reply_dials_twice_or_leaves_something_recording",
        ),
    ),
}
