"""The Asterisk modules that calls need. Without this check, a missing module would show only in the middle of a call."""

from collections.abc import Container, Mapping, Sequence

from ccari.policy.campaign import Campaign

#: The modules that every call needs, besides ARI itself.
MODULES = (
    "app_stasis.so", "res_stasis.so", "res_stasis_answer.so", "res_stasis_playback.so", "res_stasis_recording.so",
    "res_stasis_snoop.so", "res_ari_channels.so", "res_ari_bridges.so", "res_ari_playbacks.so",
    "res_ari_recordings.so", "res_ari_applications.so", "res_ari_events.so", "func_timeout.so", "func_callerid.so",
    "func_strings.so", "format_sln.so", "codec_resample.so", "format_wav.so", "bridge_simple.so", "bridge_softmix.so",
    # without it Asterisk accepts a dial but sends no INVITE (res/stasis/control.c)
    "bridge_holding.so",
)  # fmt: skip
#: The applications that the context ``ccari-amd`` runs.
ANSWERING_MACHINE = ("app_amd.so", "app_waitforsilence.so")
#: The first reports a phone's REFER to the application that holds the channel. The second lets us read the
#: phone's SIP session before we answer the REFER.
TRANSFER = ("res_pjsip_refer.so", "func_channel.so")


def declared_modules(campaign: Campaign, *, inbound: bool = False) -> Mapping[str, tuple[str, ...]]:
    """The modules that a campaign needs besides :data:`MODULES`, by the policy key that needs them.

    ``inbound``: only what its inbound calls need. They need no answering-machine detection: a caller is no machine.
    """
    found: dict[str, tuple[str, ...]] = {}
    if campaign.answering_machine is not None and not inbound:
        found["answering_machine"] = ANSWERING_MACHINE
    if campaign.transfer is not None:
        found["transfer"] = TRANSFER
    return found


def lacking(
    campaign: Campaign, running: Container[str], *, inbound: bool = False
) -> Mapping[str, Sequence[str]]:
    """The modules of :func:`declared_modules` that are not running."""
    return {
        key: absent
        for key, names in declared_modules(campaign, inbound=inbound).items()
        if (absent := [each for each in names if each not in running])
    }


def why_unfit(lacking: Mapping[str, Sequence[str]]) -> str:
    """Why calls of a campaign that lacks these modules are refused."""
    return f"Asterisk lacks {in_words(lacking)}: load them in modules.conf"


def in_words(lacking: Mapping[str, Sequence[str]]) -> str:
    """The modules in words, each with what needs it."""
    return "; ".join(f"{', '.join(names)}, for its {key}" for key, names in lacking.items())
