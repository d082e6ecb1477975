"""The kinds of call to explore: few keys each, but together every mode, direction and way to answer."""

from typing import Any, NamedTuple

from ccari.policy.call import Direction


class Kind(NamedTuple):
    """``changes``: the campaign's declarations; ``strange``: keys that are pressed and do nothing; ``holds``: the
    callee puts the call on hold.
    """

    direction: Direction
    changes: dict[str, Any]
    strange: str = ""
    holds: bool = False


_CONTRACT = {"legal_basis": "contract"}
_OFFER = {"legal_basis": "consent", "marketing": True}
_DUTY = {"legal_basis": "legal_obligation"}
_REFUSE, _OBJECT, _WITHDRAW = (
    {"2": "continue_unrecorded"},
    {"5": "objection_marketing"},
    {"6": "withdraw_consent"},
)
_ERASE, _ACCESS, _STEER = {"7": "erasure"}, {"8": "access"}, {"9": "data_source", "*": "repeat"}
_AGREE, _REPEAT, _LANGUAGE = {"1": "consent_recording"}, {"*": "repeat"}, {"#": "language"}
_TWO_PROMPTS = {"prompts": ["identity", "recording"]}
_PAUSES = {"*1": "pause_recording", "*2": "resume_recording"}
#: With these, some codes do nothing.
_TWO_SIGNS = {"*1": "pause_recording", "#2": "resume_recording"}
_STOP = {"*2": "stop_recording"}
_ANNA = {"agent": "PJSIP/anna"}


def _kind(
    mode: str, without: str, basis: dict[str, Any], keys: dict[str, str], **more: Any
) -> dict[str, Any]:
    # one prompt is enough to be heard or not
    prompts = ["identity"] if mode == "off" else ["recording"]
    recording = {"mode": mode, "without": without}
    return basis | {"recording": recording, "keys": keys, "notice": {"prompts": prompts}} | more


_OUTBOUND = {
    f"{mode}-{without}-{basis['legal_basis']}-{'+'.join(keys.values()) or 'no_keys'}": _kind(
        mode, without, basis, keys
    )
    for mode, without, basis, keys in [
        *(
            (mode, without, basis, keys)
            for mode, bound in (
                ("off", ((_CONTRACT, _ACCESS), (_OFFER, _WITHDRAW))),
                ("notice", ((_CONTRACT, _ERASE), (_OFFER, _OBJECT))),
                ("opt_out", ((_CONTRACT, _REFUSE),)),
            )
            for without in ("continue", "hang_up")
            for basis, keys in bound
        ),
        # an erasure that does not bar calls, but stops the recording
        ("notice", "continue", _DUTY, _ERASE),
        ("notice", "hang_up", _DUTY, _ERASE),
        ("off", "hang_up", _CONTRACT, _REFUSE),
        # two keys that can come in either order
        ("off", "continue", _OFFER, _OBJECT | _ACCESS),
        ("opt_out", "continue", _CONTRACT, _REFUSE | _ERASE),
        ("opt_in", "continue", _CONTRACT, _AGREE | _REFUSE),
        ("opt_in", "continue", _OFFER, _AGREE | _OBJECT),
        ("opt_in", "continue", _DUTY, _AGREE | _ERASE),
        ("opt_in", "continue", _CONTRACT, _AGREE | _REPEAT),
        ("opt_in", "hang_up", _CONTRACT, _AGREE),
        ("opt_in", "hang_up", _CONTRACT, _AGREE | _REFUSE),
        ("mandatory", "hang_up", _DUTY, {}),
        ("mandatory", "hang_up", _DUTY, _REFUSE),
        ("mandatory", "hang_up", _DUTY, _ERASE),
        ("mandatory", "hang_up", _OFFER, _OBJECT),
    ]
} | {
    "first_contact": _kind(
        "notice", "continue", _CONTRACT, _REPEAT, notice=_TWO_PROMPTS | {"information": "first_contact"}
    ),
    # an agreement, although the recording has another legal basis
    "opt_in-interest": _kind("opt_in", "continue", _CONTRACT, _AGREE | _WITHDRAW)
    | {"recording": {"mode": "opt_in", "legal_basis": "legitimate_interest"}},
    "withdrawn-contract": _kind("off", "continue", _CONTRACT, _WITHDRAW, consent_required=True),
    "machine-message": _kind("opt_out", "continue", _CONTRACT, _REFUSE, answering_machine={"message": True}),
    "machine-barred": _kind("off", "continue", _OFFER, _OBJECT, answering_machine={"message": True}),
    "machine-silent": _kind("off", "hang_up", _CONTRACT, _ACCESS, answering_machine={}),
    "goes_on-objection": _kind("notice", "continue", _OFFER, _OBJECT, after_right="continue"),
    "goes_on-erasure": _kind("notice", "hang_up", _CONTRACT, _ERASE, after_right="continue"),
    "pauses": _kind("notice", "continue", _CONTRACT, {}, agent_keys=_TWO_SIGNS),
    "pauses-must": _kind("notice", "hang_up", _CONTRACT, {}, agent_keys=_PAUSES),
    "pauses-refused": _kind("opt_out", "continue", _CONTRACT, _REFUSE, agent_keys=_PAUSES),
    "pauses-opt_in": _kind("opt_in", "continue", _CONTRACT, _AGREE, agent_keys=_PAUSES),
    "codes-objection": _kind("notice", "continue", _OFFER, _OBJECT, agent_keys={"*5": "objection_marketing"}),
    "codes-stop": _kind("opt_out", "continue", _CONTRACT, _REFUSE, agent_keys=_STOP),
    "codes-stop-must": _kind("opt_out", "hang_up", _CONTRACT, _REFUSE, agent_keys=_STOP),
}
_TRANSFER = {"transfer": "PJSIP/{extension}"}
_CUT = {"prompts": ["recording"], "barge_in": ["recording"]}


def _transferred(
    mode: str, without: str, basis: dict[str, Any], keys: dict[str, str], on_transfer: str
) -> dict[str, Any]:
    kind = _kind(mode, without, basis, keys, **_TRANSFER)
    return kind | {"recording": kind["recording"] | {"on_transfer": on_transfer}}


_TRANSFERRED = {
    "off": _kind("off", "continue", _CONTRACT, _ACCESS, **_TRANSFER),
    "notice": _transferred("notice", "continue", _CONTRACT, {}, "continue"),
    "repeat": _transferred("opt_out", "continue", _CONTRACT, _REFUSE, "repeat"),
    "stop": _transferred("notice", "continue", _OFFER, _OBJECT, "stop"),
    "opt_in": _transferred("opt_in", "continue", _CONTRACT, _AGREE, "repeat"),
    "opt_in-stop": _transferred("opt_in", "continue", _CONTRACT, _AGREE, "stop"),
    "repeat-cut": _transferred("notice", "continue", _CONTRACT, _REPEAT, "repeat") | {"notice": _CUT},
    "mandatory": _transferred("mandatory", "hang_up", _DUTY, _REFUSE, "continue"),
    "erased": _transferred("notice", "hang_up", _CONTRACT, _ERASE, "repeat"),
    "pauses": _transferred("notice", "continue", _CONTRACT, {}, "continue") | {"agent_keys": _PAUSES},
    "pauses-must": _transferred("notice", "hang_up", _CONTRACT, {}, "repeat") | {"agent_keys": _PAUSES},
    "codes-objection": _transferred("notice", "continue", _OFFER, {}, "continue")
    | {"agent_keys": {"*5": "objection_marketing"}},
    "codes-stop-must": _transferred("notice", "hang_up", _CONTRACT, {}, "continue") | {"agent_keys": _STOP},
}
#: What differs if the agent, or the destination, is called.
_CALLED = {
    "off": _kind("off", "continue", _CONTRACT, {}),
    "off-barred": _kind("off", "continue", _OFFER, _OBJECT),
    "notice-erased": _kind("notice", "continue", _CONTRACT, _ERASE),
    "opt_out": _kind("opt_out", "continue", _CONTRACT, _REFUSE),
    "opt_out-must": _kind("opt_out", "hang_up", _CONTRACT, _REFUSE),
    "opt_in": _kind("opt_in", "continue", _CONTRACT, _AGREE),
    "opt_in-must": _kind("opt_in", "hang_up", _CONTRACT, _AGREE),
    "mandatory": _kind("mandatory", "hang_up", _DUTY, {}),
    "languages": _kind("notice", "continue", _CONTRACT, _LANGUAGE, languages=["en"]),
    "codes-stop": _kind("notice", "continue", _CONTRACT, {}, agent_keys=_STOP),
    "machine": _kind("off", "continue", _CONTRACT, {}, answering_machine={"message": True}),
}
#: With keys that control the notice, and one that does nothing.
_STEERED = {
    "strange_key": _kind("off", "continue", _CONTRACT, _ACCESS),
    "strange_key-opt_in": _kind("opt_in", "continue", _CONTRACT, _AGREE),
    "two_prompts": _kind("notice", "continue", _CONTRACT, _STEER, notice=_TWO_PROMPTS),
    "languages": _kind("notice", "continue", _CONTRACT, _LANGUAGE | _ACCESS, languages=["en"]),
    "languages-repeat": _kind(
        "notice", "continue", _CONTRACT, _LANGUAGE | _REPEAT, languages=["en"], notice=_TWO_PROMPTS
    ),
    "languages-opt_in": _kind(
        "opt_in", "continue", _CONTRACT, _LANGUAGE | _AGREE, languages=["en"], notice=_TWO_PROMPTS
    ),
    "languages-three": _kind("notice", "continue", _CONTRACT, _LANGUAGE, languages=["en", "uk"]),
}

#: The callee puts the call on hold, and takes it back, at any time.
_HELD = {
    "off": _kind("off", "continue", _CONTRACT, _ACCESS),
    "two_prompts": _kind("notice", "continue", _CONTRACT, _REPEAT, notice=_TWO_PROMPTS),
    "opt_in": _kind("opt_in", "continue", _CONTRACT, _AGREE),
    "languages": _kind("notice", "continue", _CONTRACT, _LANGUAGE, languages=["en"]),
    "machine": _kind("off", "continue", _CONTRACT, {}, answering_machine={"message": True}),
    "transfer-repeat": _transferred("notice", "continue", _CONTRACT, {}, "repeat"),
}

KINDS = (
    {f"transfer-{name}": Kind(Direction.OUTBOUND, changes) for name, changes in _TRANSFERRED.items()}
    | {
        f"{direction}-transfer-{name}": Kind(direction, _TRANSFERRED[name] | _ANNA)
        for direction in (Direction.AGENT_FIRST, Direction.CALLEE_FIRST, Direction.INBOUND)
        for name in ("off", "notice", "mandatory")
    }
    | {f"outbound-{name}": Kind(Direction.OUTBOUND, changes) for name, changes in _OUTBOUND.items()}
    | {f"held-{name}": Kind(Direction.OUTBOUND, changes, holds=True) for name, changes in _HELD.items()}
    | {
        f"held-{direction}-off": Kind(direction, _CALLED["off"] | _ANNA, holds=True)
        for direction in (Direction.AGENT_FIRST, Direction.CALLEE_FIRST, Direction.INBOUND)
    }
    | {f"steered-{name}": Kind(Direction.OUTBOUND, changes, "0") for name, changes in _STEERED.items()}
    | {
        f"{direction}-{name}": Kind(direction, changes | _ANNA)
        for direction in (Direction.AGENT_FIRST, Direction.CALLEE_FIRST, Direction.INBOUND)
        for name, changes in _CALLED.items()
    }
)
