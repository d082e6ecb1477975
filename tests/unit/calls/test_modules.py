"""Which modules of Asterisk all calls need, and which only those of some campaigns."""

from pathlib import Path

from ccari.calls.dialplan import MACHINE_CONTEXT
from ccari.calls.modules import ANSWERING_MACHINE, MODULES, TRANSFER, declared_modules, lacking
from ccari.policy.declaration import read
from tests.unit.store import made

MACHINES = made.POLICY.replace('id = "renewals"', 'id = "renewals"\nanswering_machine = {}')
BOTH = MACHINES.replace('id = "renewals"', 'id = "renewals"\ntransfer = "PJSIP/{extension}"')
#: The module that provides an application of the dialplan, unless Asterisk itself does (main/pbx_builtins.c).
APPLICATIONS = {"AMD": "app_amd.so", "WaitForSilence": "app_waitforsilence.so", "Stasis": "app_stasis.so"}
BUILT_IN = {"Hangup", "GotoIf"}


def test_a_module_is_asked_for_that_no_campaign_needs() -> None:
    (campaign,) = read(made.POLICY).campaigns
    assert declared_modules(campaign) == lacking(campaign, set()) == {}


def test_a_module_that_a_campaign_needs_is_missed_in_its_calls() -> None:
    for document, particular in (
        (MACHINES, {"answering_machine": ["app_amd.so", "app_waitforsilence.so"]}),
        (
            BOTH,
            {
                "answering_machine": ["app_amd.so", "app_waitforsilence.so"],
                "transfer": ["res_pjsip_refer.so", "func_channel.so"],
            },
        ),
    ):
        (campaign,) = read(document).campaigns
        assert lacking(campaign, MODULES) == particular
        assert lacking(campaign, {*MODULES, *ANSWERING_MACHINE, *TRANSFER}) == {}
    assert lacking(campaign, {"app_amd.so"}) == {
        "answering_machine": ["app_waitforsilence.so"], "transfer": ["res_pjsip_refer.so", "func_channel.so"],
    }  # fmt: skip
    # no answering machine is looked for if somebody calls in
    assert lacking(campaign, MODULES, inbound=True) == {"transfer": ["res_pjsip_refer.so", "func_channel.so"]}


def test_the_context_for_machines_runs_an_application_whose_module_nobody_asks_for() -> None:
    shipped = (Path(__file__).parents[3] / "dialplan" / "extensions_ccari.conf").read_text("utf-8")
    context = shipped.partition(f"\n[{MACHINE_CONTEXT}]\n")[2].partition("\n[")[0]
    steps = [line.rpartition("=> ")[2] for line in context.splitlines() if "=> " in line]
    run = {step.partition(",")[2].removeprefix("1,").partition("(")[0] for step in steps}
    assert {APPLICATIONS[each] for each in run - BUILT_IN} <= {*ANSWERING_MACHINE, *MODULES}
    assert "AMD" in run
