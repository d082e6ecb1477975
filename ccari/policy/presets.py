"""Rules for calling consumers, by country, which a campaign can name. They are settings with their source, not legal advice.

A preset only ever tightens: a campaign's own hours and limits apply as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any

from ccari.policy.hours import Hours


@dataclass(frozen=True, slots=True)
class Preset:
    """One country's rules for calling consumers. ``source``: where they come from.

    ``calls`` in ``per_days``: the most calls of one controller to one number. ``register_days``: how old a copy of the country's register
    of objections may be. ``consent``: whether marketing needs prior consent there. ``proof_years``: how long the proof of a consent, and
    of each use, is kept. ``pause_days``: how long a person who declined is left alone; only the agent knows that, and enters a bar that
    expires.
    """

    country: str
    source: str
    hours: tuple[Hours, ...] = ()
    calls: int | None = None
    per_days: int | None = None
    register_days: int | None = None
    consent: bool = False
    proof_years: int | None = None
    pause_days: int | None = None


def _open(days: str, start: time, end: time) -> Hours:
    table: Mapping[str, Any] = {"days": days, "from": start, "to": end, "holidays": False}
    return Hours.model_validate(table)


PRESETS: dict[str, Preset] = {
    preset.country: preset
    for preset in (
        Preset(
            "DE", "UWG §7 and §7a: prior express consent; its proof is kept 5 years from grant and from each use",
            consent=True, proof_years=5,
        ),
        Preset(
            "ES", "9-21, no weekends or holidays, prior consent (Ley 11/2022, Art 66); the hours are from a secondary source",
            hours=(_open("mon-fri", time(9), time(21)),), consent=True,
        ),
        Preset(
            "FR", "Code de la consommation L223-1 and D223-9: Mon-Fri 10-13 and 14-20, no holidays, 4 calls in 30 days, "
            "prior consent since 11 Aug 2026; 60 days' pause after a refusal, which you enter: ccari suppress add --until",
            hours=(_open("mon-fri", time(10), time(13)), _open("mon-fri", time(14), time(20))),
            calls=4, per_days=30, consent=True, pause_days=60,
        ),
        Preset(
            "GB", "TPS, PECR reg. 21: the register is consulted every 28 days",
            register_days=28,
        ),
        Preset(
            "IT", "Code of conduct on telemarketing (Garante): 9-20, Sat 10-19, never on Sundays and holidays; register every 15 days",
            hours=(_open("mon-fri", time(9), time(20)), _open("sat", time(10), time(19))), register_days=15,
        ),
        Preset(
            "PL", "PKE Art 398: prior consent for marketing by telephone, businesses included; no hours are set",
            consent=True,
        ),
        Preset(
            "US", "47 CFR 64.1200: 8-21 in the called person's time; Do Not Call register at most 31 days old",
            hours=(Hours.model_validate({"days": "mon-sun", "from": time(8), "to": time(21), "holidays": True}),),
            register_days=31,
        ),
    )
}  # fmt: skip
