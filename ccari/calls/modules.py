"""The modules of Asterisk that calls need; a missing one would show in the middle of a call."""

from collections.abc import Mapping

from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy

#: Those that every call needs beside ARI itself.
MODULES = (
    "app_stasis.so", "res_stasis.so", "res_stasis_answer.so", "res_stasis_playback.so", "res_stasis_recording.so",
    "res_stasis_snoop.so", "res_ari_channels.so", "res_ari_bridges.so", "res_ari_playbacks.so",
    "res_ari_recordings.so", "res_ari_applications.so", "res_ari_events.so", "func_timeout.so", "func_callerid.so",
    "func_strings.so", "format_wav.so", "format_pcm.so", "bridge_simple.so", "bridge_softmix.so",
)  # fmt: skip
#: The applications that the context ``ccari-amd`` runs while a callee is in it.
ANSWERING_MACHINE = ("app_amd.so", "app_waitforsilence.so")
#: It has a phone's REFER reported to whoever holds the channel.
TRANSFER = ("res_pjsip_refer.so",)


def declared_modules(campaign: Campaign) -> Mapping[str, tuple[str, ...]]:
    """Those that a campaign needs beside :data:`MODULES`, by the key of the policy that has them needed."""
    found: dict[str, tuple[str, ...]] = {}
    if campaign.answering_machine is not None:
        found["answering_machine"] = ANSWERING_MACHINE
    if campaign.transfer is not None:
        found["transfer"] = TRANSFER
    return found


def needed_modules(policy: Policy | None) -> Mapping[str, list[str]]:
    """Each module that is needed, with the campaigns that need it; with none it is all calls that do."""
    found: dict[str, list[str]] = {name: [] for name in MODULES}
    for campaign in policy.campaigns if policy else ():
        for names in declared_modules(campaign).values():
            for name in names:
                found.setdefault(name, []).append(campaign.id)
    return found
