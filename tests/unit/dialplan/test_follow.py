"""The walk through a dialplan, which is believed when it finds no way to a dial."""

import pytest

from tests.lab import LabError
from tests.lab.dialplan import Place, Way, follow, read

OUTCOMES = frozenset({"bridged", "unavailable"})


def ways(*steps: str, known: dict[str, str] | None = None, **others: list[str]) -> list[Way]:
    """Follow ``steps``, each as ``APP(DATA)`` with ``label:`` before it; ``others``: further extensions of the context."""
    lines = ["[ Context 'here' created by 'pbx_config' ]"]
    for exten, each in {"s": steps, **others}.items():
        for priority, step in enumerate(each, 1):
            label, mark, app = step.rpartition(":") if step[0].islower() else ("", "", step)
            head = f"  '{exten}' =>" if priority == 1 else f"     [{label}]" if mark else "     "
            lines.append(f"{head}    {priority}. {app}   [extensions.conf:7]")
    return list(follow(read("\n".join(lines)), Place("here", "s"), known or {}, OUTCOMES))


def test_a_dial_is_not_seen() -> None:
    (way,) = ways("Answer()", "Dial(PJSIP/anna)")
    assert str(way) == "dials by Dial(PJSIP/anna) at here,s,2"


@pytest.mark.parametrize(
    "app", ["Queue(sales)", "Macro(dialout)", "Originate(PJSIP/anna,app,Echo)", "DIAL(x)"]
)
def test_an_application_that_nobody_thought_of_is_taken_for_harmless(app: str) -> None:
    assert [way.what for way in ways(app)] == ["dials"]


@pytest.mark.parametrize("ends", ["Hangup()", "Congestion(10)", "Busy()"])
def test_what_stands_behind_the_end_is_taken_for_reached(ends: str) -> None:
    assert ways(ends, "Dial(PJSIP/anna)") == []


def test_a_hangup_extension_may_dial() -> None:
    assert [way.what for way in ways("Hangup()", h=["Dial(PJSIP/anna)"])] == ["dials"]


@pytest.mark.parametrize(
    ("condition", "dials"),
    [
        ('$["${V}" = "ALLOW"]', False),
        ('$["${V}" != "ALLOW"]', True),
        ('$["${V}" = "DENY"]', True),
        ("${ISNULL(${V})}", False),
        ('$["${W}" = "DENY"]', True),
        ('$["${V}" = "ALLOW" | 1]', True),
    ],
)
def test_a_condition_is_read_as_another_than_it_is(condition: str, *, dials: bool) -> None:
    found = ways(f"GotoIf({condition}?go)", "Hangup()", "go:Dial(PJSIP/anna)", known={"V": "DENY"})
    assert bool(found) is dials


def test_both_sides_of_a_condition_that_nobody_knows_are_not_gone() -> None:
    found = ways("GotoIf($[${RAND(0,1)}]?go:stay)", "go:Dial(PJSIP/a)", "stay:Dial(PJSIP/b)")
    assert {way.step.data for way in found} == {"PJSIP/a", "PJSIP/b"}


def test_a_condition_before_an_application_hides_it() -> None:
    assert [way.what for way in ways('ExecIf($["${X}" = "1"]?Dial(PJSIP/anna))')] == ["dials"]
    assert ways('ExecIf($["${X}" = "1"]?Dial(PJSIP/anna))', known={"X": "0"}) == []


def test_a_variable_is_known_though_it_was_set_to_another() -> None:
    found = ways(
        "Set(__V=${NEW})", 'GotoIf($["${V}" = "1"]?go)', "Hangup()", "go:Dial(PJSIP/a)", known={"V": "0"}
    )
    assert [way.what for way in found] == ["dials"]


def test_a_gosub_does_not_come_back_or_its_end_is_an_end() -> None:
    assert [way.step.data for way in ways("Gosub(x,1(a,b))", "Dial(PJSIP/back)", x=["Return()"])] == [
        "PJSIP/back"
    ]
    assert [way.what for way in ways("Return()")] == ["leaves"]


@pytest.mark.parametrize("target", ["elsewhere,s,1", "${ANYWHERE}", "${CONTEXT_OF_OTHERS},s,1"])
def test_a_way_out_is_not_told(target: str) -> None:
    assert [way.what for way in ways(f"Goto({target})")] == ["leaves"]


def test_one_of_the_extensions_that_a_variable_may_name_is_forgotten() -> None:
    found = ways(
        "Goto(here,${CCARI_OUTCOME},1)",
        a=["Dial(PJSIP/a)"],
        b=["Dial(PJSIP/b)"],
        T=["Dial(PJSIP/t)"],
        s2=["Hangup()"],
    )
    assert {way.step.data for way in found} == {"PJSIP/a", "PJSIP/b"}


def test_a_verdict_counts_that_the_gate_did_not_give() -> None:
    asked = (
        "AGI(agi://127.0.0.1/gate,1,2)",
        'GotoIf($["${CCARI_VERDICT}" = "ALLOW"]?go)',
        "Hangup()",
        "go:Dial(PJSIP/a)",
    )
    assert {way.state.allowed for way in ways("Set(CCARI_VERDICT=DENY)", *asked)} == {True}
    assert {way.state.allowed for way in ways(*asked, known={"CCARI_VERDICT": "ALLOW"})} == {True, False}


def test_a_second_dial_is_allowed_by_the_verdict_on_the_first() -> None:
    asked = ("AGI(agi://127.0.0.1/gate,1,2)", 'GotoIf($["${CCARI_VERDICT}" != "ALLOW"]?no)')
    found = ways("Set(CCARI_VERDICT=DENY)", *asked, "Dial(PJSIP/a)", "Dial(PJSIP/b)", "no:Hangup()")
    assert {way.step.data: way.state.allowed for way in found} == {"PJSIP/a": True, "PJSIP/b": False}


def test_a_time_out_goes_unnoticed() -> None:
    found = ways("AGI(agi://127.0.0.1/alive)", "Hangup()", T=["Dial(PJSIP/a)"])
    assert {way.step.data for way in found} == {"PJSIP/a"}


def test_stasis_that_fails_or_ends_is_taken_for_the_end() -> None:
    tested = ("Stasis(ccari)", 'GotoIf($["${CCARI_OUTCOME}" = "bridged"]?go)', "Hangup()", "go:Dial(PJSIP/a)")
    assert [way.what for way in ways(*tested, known={"CCARI_OUTCOME": "unavailable"})] == ["dials"]
    failed = ("Stasis(ccari)", 'GotoIf($["${CCARI_OUTCOME}" = "preset"]?go)', "Hangup()", "go:Dial(PJSIP/a)")
    assert [way.what for way in ways(*failed, known={"CCARI_OUTCOME": "preset"})] == ["dials"]


@pytest.mark.parametrize("step", ["Goto(nowhere)", "Goto(here,nobody,1)"])
def test_a_place_that_does_not_exist_is_passed_over(step: str) -> None:
    with pytest.raises(LabError, match="which there is not"):
        ways(step)


def test_a_line_that_cannot_be_read_is_passed_over() -> None:
    with pytest.raises(LabError, match="cannot be read"):
        read("[ Context 'here' created by 'pbx_config' ]\n  's' =>  1 Dial(PJSIP/anna) [extensions.conf:7]")
