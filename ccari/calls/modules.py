"""The modules of Asterisk that calls need; a missing one would show in the middle of a call."""

from collections.abc import Container, Mapping, Sequence

from ccari.policy.campaign import Campaign

#: Those that every call needs beside ARI itself.
MODULES = (
    "app_stasis.so", "res_stasis.so", "res_stasis_answer.so", "res_stasis_playback.so", "res_stasis_recording.so",
    "res_stasis_snoop.so", "res_ari_channels.so", "res_ari_bridges.so", "res_ari_playbacks.so",
    "res_ari_recordings.so", "res_ari_applications.so", "res_ari_events.so", "func_timeout.so", "func_callerid.so",
    "func_strings.so", "format_sln.so", "codec_resample.so", "format_wav.so", "bridge_simple.so", "bridge_softmix.so",
    # without it a dial is accepted, and no INVITE is sent (res/stasis/control.c)
    "bridge_holding.so",
)  # fmt: skip
#: The applications that the context ``ccari-amd`` runs while a callee is in it.
ANSWERING_MACHINE = ("app_amd.so", "app_waitforsilence.so")
#: The first has a phone's REFER reported to whoever holds the channel. With the second the phone's session is read before the
#: REFER is answered.
TRANSFER = ("res_pjsip_refer.so", "func_channel.so")


def declared_modules(campaign: Campaign, *, inbound: bool = False) -> Mapping[str, tuple[str, ...]]:
    """Those that a campaign needs beside :data:`MODULES`, by the key of the policy for which they are needed.

    ``inbound``: only those that its inbound calls need. Nobody listens for machines there: whoever calls is none.
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
    """Those of :func:`declared_modules` that are not running."""
    return {
        key: absent
        for key, names in declared_modules(campaign, inbound=inbound).items()
        if (absent := [each for each in names if each not in running])
    }


def why_unfit(lacking: Mapping[str, Sequence[str]]) -> str:
    """Why the calls of a campaign that lacks these are refused."""
    return f"Asterisk lacks {in_words(lacking)}: load them in modules.conf"


def in_words(lacking: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{', '.join(names)}, for its {key}" for key, names in lacking.items())
