"""Which modules of Asterisk calls need, all of them or those of some campaigns."""

from pathlib import Path

from ccari.calls.dialplan import MACHINE_CONTEXT
from ccari.calls.modules import ANSWERING_MACHINE, MODULES, declared_modules, needed_modules
from ccari.policy.declaration import read
from tests.unit.store import made

MACHINES = made.POLICY.replace('id = "renewals"', 'id = "renewals"\nanswering_machine = {}')
BOTH = MACHINES.replace('id = "renewals"', 'id = "renewals"\ntransfer = "PJSIP/{extension}"')
#: Which module has an application of the dialplan, where it is none of Asterisk's own (main/pbx_builtins.c).
APPLICATIONS = {"AMD": "app_amd.so", "WaitForSilence": "app_waitforsilence.so", "Stasis": "app_stasis.so"}
BUILT_IN = {"Hangup", "GotoIf"}


def test_a_module_is_asked_for_that_no_campaign_needs() -> None:
    for policy in (None, read(made.POLICY)):
        assert needed_modules(policy) == {each: [] for each in MODULES}


def test_a_module_that_a_campaign_needs_is_missed_in_its_calls() -> None:
    for document, particular in (
        (MACHINES, {"app_amd.so", "app_waitforsilence.so"}),
        (BOTH, {"app_amd.so", "app_waitforsilence.so", "res_pjsip_refer.so"}),
    ):
        needed = needed_modules(read(document))
        assert needed == {**{each: [] for each in MODULES}, **{each: ["renewals"] for each in particular}}
        (campaign,) = read(document).campaigns
        assert {name for names in declared_modules(campaign).values() for name in names} == particular


def test_the_context_for_machines_runs_an_application_whose_module_nobody_asks_for() -> None:
    shipped = (Path(__file__).parents[3] / "dialplan" / "extensions_ccari.conf").read_text("utf-8")
    context = shipped.partition(f"\n[{MACHINE_CONTEXT}]\n")[2].partition("\n[")[0]
    steps = [line.rpartition("=> ")[2] for line in context.splitlines() if "=> " in line]
    run = {step.partition(",")[2].removeprefix("1,").partition("(")[0] for step in steps}
    assert {APPLICATIONS[each] for each in run - BUILT_IN} <= {*ANSWERING_MACHINE, *MODULES}
    assert "AMD" in run
