"""Prompts that can be told apart by their signal: each is a different tone, so a test sees what was heard, and when."""

import wave
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ccari.cli.sounds import prompts_of
from ccari.policy.declaration import Policy
from ccari.policy.wording import Prompt
from ccari.sounds import Catalogue, EspeakNg, build
from ccari.sounds.soundboard import shipped_sounds
from tests.lab import callees

SECONDS = 0.8
DATE_PART_SECONDS = 0.1
#: One prompt that lasts longer than a request to Asterisk is waited for.
LONG = "right_registered_rectification"
LONG_SECONDS = 9.0
_RATE = 16000
#: Distant from each other, from the callee's 850 Hz and the agent's 440 Hz, and from their harmonics.
TONES = {
    "identity": callees.CUES["identity"],
    "purpose": 670.0,
    "recording_notice": callees.CUES["recording"],
    "recording_opt_out": callees.CUES["recording"],
    "recording_opt_out_or_end": callees.CUES["recording"],
    "recording_opt_in": callees.CUES["recording"],
    "recording_opt_in_or_end": callees.CUES["recording"],
    "recording_mandatory": callees.CUES["recording"],
    "recording_agreed": 3310.0,
    "rights": callees.CUES["rights"],
    "goodbye": 1690.0,
    "continues_unrecorded": callees.CUES["unrecorded"],
    "right_failed": 2050.0,
    "recording_stopped": callees.CUES["stopped"],
    "source": 2230.0,
    "answer_within_month": 990.0,
    "answer_by": 990.0,
    "agent_blocked_suppressed": 2410.0,
    "agent_blocked_policy": 2590.0,
    "agent_unavailable": 2770.0,
    "agent_right_registered": 2410.0,
    "agent_recording_paused": 2590.0,
    "agent_recording_started": 2770.0,
    "identity_inbound": callees.CUES["identity"],
    "language_offer": 560.0,
    "machine_message": 1250.0,
    "abandoned": 2500.0,
    "key_unknown": 2140.0,
    "number_withheld": 2320.0,
    "reference_is": 780.0,
    "transfer_wait": 2680.0,
    "transfer_failed": 2860.0,
    "agent_call_recorded": 3040.0,
    "agent_transfer_failed": 2860.0,
}
#: All confirmations of a right sound alike.
CONFIRMED = 2950.0
#: The source of a contact.
SOURCE = 1960.0
#: All of a campaign's own prompts that no test listens for sound alike, too.
OTHER = 620.0


def tone_of(prompt: str) -> float:
    if prompt.startswith("source-"):
        return SOURCE
    return CONFIRMED if prompt.startswith("right_registered") else TONES.get(prompt, OTHER)


def _is_listened_for(prompt: Prompt) -> bool:
    return prompt.campaign is not None or tone_of(prompt.id) != OTHER or _is_of_a_date(prompt)


def _is_of_a_date(prompt: Prompt) -> bool:
    return prompt.id.startswith(("day_", "month_", "year_"))


def _seconds(prompt: Prompt, others: float) -> float:
    if prompt.id == LONG:
        return LONG_SECONDS
    return DATE_PART_SECONDS if _is_of_a_date(prompt) else others


def build_tones(folder: Path, policy: Policy, sources: Mapping[str, Sequence[str]] | None = None) -> Path:
    """Make the policy's sounds, as tones, in a folder below ``folder``. ``sources``: the sources of contacts, by controller."""
    prompts = list(prompts_of(policy, Catalogue.load(shipped_sounds() / "catalogue.toml"), sources))
    recorded, built = folder / "studio", folder / "sounds"
    record(recorded, prompts)
    build(prompts, built, engine=EspeakNg(), studio=recorded, shipped=shipped_sounds())
    return built


def record(studio: Path, prompts: Iterable[Prompt], seconds: float = SECONDS) -> None:
    """Write ``studio/<key>.wav`` for every prompt, except shipped ones that no test listens for."""
    for prompt in filter(_is_listened_for, prompts):
        path = studio / f"{prompt.key}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(round(_seconds(prompt, seconds) * _RATE)) / _RATE
        samples = (0.3 * np.sin(2 * np.pi * tone_of(prompt.id) * times) * 32767).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_RATE)
            file.writeframes(samples.tobytes())
