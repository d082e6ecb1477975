"""The calling rules of a country: what each says, and that none of them allows what a campaign has excluded."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.consent import Consent
from ccari.policy.declaration import read
from ccari.policy.gate import AttemptsMade, Block, Facts, question, verdict
from ccari.policy.hours import DAYS
from ccari.policy.numbers import Number
from ccari.policy.presets import PRESETS
from tests.unit.policy.campaigns import campaign

NUMBERS = {
    "DE": Number("+4915112345678"), "ES": Number("+34912345678"), "FR": Number("+33612345678"),
    "GB": Number("+447400123456"), "IT": Number("+393123456789"), "PL": Number("+48600100001"),
    "US": Number("+12135550123"),
}  # fmt: skip
#: Winter of 2026 without a holiday in any of the countries: a week from Monday, 9 March.
MONDAY = date(2026, 3, 9)
#: How many hours the clocks there are from UTC in that week; summer time has begun in the US.
OFFSET = {"DE": 1, "ES": 1, "FR": 1, "GB": 0, "IT": 1, "PL": 1, "US": -7}
DAY = ("00:00-24:00",)
#: The rules of each country, from their sources.
OPEN: dict[str, dict[str, tuple[str, ...]]] = {
    "DE": dict.fromkeys(DAYS, DAY),
    "ES": dict.fromkeys(DAYS[:5], ("09:00-21:00",)),
    "FR": dict.fromkeys(DAYS[:5], ("10:00-13:00", "14:00-20:00")),
    "GB": dict.fromkeys(DAYS, DAY),
    "IT": {**dict.fromkeys(DAYS[:5], ("09:00-20:00",)), "sat": ("10:00-19:00",)},
    "PL": dict.fromkeys(DAYS, DAY),
    "US": dict.fromkeys(DAYS, ("08:00-21:00",)),
}
HOLIDAYS = {
    "ES": date(2026, 1, 6), "FR": date(2026, 7, 14), "IT": date(2026, 6, 2), "US": date(2026, 11, 26),
}  # fmt: skip


def judged(
    preset: str | None, number: Number, now: datetime, made: AttemptsMade | None = None, **changes: Any
) -> Block | None:
    facts = Facts(consent=Consent(now), attempts=made or AttemptsMade())
    return verdict(campaign(preset=preset, **changes), (), "PL", number, facts, now)


def local(country: str, day: date, minutes: int) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(minutes=minutes - 60 * OFFSET[country])


def test_a_country_of_the_rules_is_left_out_or_has_no_source() -> None:
    assert sorted(PRESETS) == sorted(OPEN)
    for country, preset in PRESETS.items():
        assert preset.country == country
        assert len(preset.source) > 20
        assert (preset.calls is None) == (preset.per_days is None)


@pytest.mark.parametrize("country", sorted(OPEN))
def test_a_minute_of_the_week_is_open_that_the_country_closes_or_closed_that_it_opens(country: str) -> None:
    wrong = []
    for offset, name in enumerate(DAYS):
        spans = [tuple(each.split("-")) for each in OPEN[country].get(name, [])]
        for minute in range(0, 24 * 60, 5):
            clock = f"{minute // 60:02}:{minute % 60:02}"
            wanted = any(start <= clock < end for start, end in spans)
            found = judged(country, NUMBERS[country], local(country, MONDAY + timedelta(days=offset), minute))
            if found is not (None if wanted else Block.OUTSIDE_HOURS):
                wrong.append((name, clock, found))
    assert not wrong


@pytest.mark.parametrize("country", sorted(HOLIDAYS))
def test_a_holiday_is_a_day_like_any_other_where_it_is_not(country: str) -> None:
    noon = datetime.combine(HOLIDAYS[country], time(12), UTC) - timedelta(hours=OFFSET[country])
    assert judged(country, NUMBERS[country], noon) is (None if country == "US" else Block.HOLIDAY)


def test_the_rules_of_a_country_go_by_the_controllers_clock() -> None:
    """Half past eight in the evening in Los Angeles is half past four in the morning in Warsaw."""
    assert judged("US", NUMBERS["US"], local("US", MONDAY, 20 * 60 + 30)) is None
    assert judged("US", NUMBERS["US"], local("PL", MONDAY, 12 * 60)) is Block.OUTSIDE_HOURS


def test_a_fifth_call_in_thirty_days_reaches_a_number_in_france_by_another_campaign() -> None:
    now = local("FR", MONDAY, 11 * 60)
    assert question(campaign(preset="FR"), now).rules_count_since == now - timedelta(days=30)
    made = [judged("FR", NUMBERS["FR"], now, AttemptsMade(controller=calls)) for calls in (3, 4, 5)]
    assert made == [None, Block.ATTEMPTS_CAPPED, Block.ATTEMPTS_CAPPED]
    assert judged("IT", NUMBERS["IT"], now, AttemptsMade(controller=99)) is None


@pytest.mark.parametrize(
    ("country", "days"), [("GB", 28), ("IT", 15), ("US", 31), ("PL", None), ("FR", None)]
)
def test_a_register_is_older_than_the_country_allows(country: str, days: int | None) -> None:
    assert PRESETS[country].register_days == days


@pytest.mark.parametrize(
    ("country", "consent", "proof_years", "pause_days"),
    [
        ("DE", True, 5, None), ("ES", True, None, None), ("FR", True, None, 60), ("GB", False, None, None),
        ("IT", False, None, None), ("PL", True, None, None), ("US", False, None, None),
    ],
)  # fmt: skip
def test_a_country_that_asks_consent_for_marketing_is_called_without(
    country: str, proof_years: int | None, pause_days: int | None, *, consent: bool
) -> None:
    preset = PRESETS[country]
    assert (preset.consent, preset.proof_years, preset.pause_days) == (consent, proof_years, pause_days)
    changes: dict[str, Any] = {"marketing": True, "consent_required": False, "preset": country}
    if consent:
        with pytest.raises(
            ValueError,
            match=f"must not be false for marketing: the rules of the preset {country} require consent",
        ):
            campaign(**changes)
    else:
        assert campaign(**changes).needs_consent is False
    assert campaign(**changes | {"marketing": False}).needs_consent is False
    assert campaign(**changes | {"consent_required": None}).needs_consent is True


HOURS = st.sampled_from([(), {"days": "mon-sun", "from": "00:00", "to": "23:59", "holidays": True},
                         {"days": "tue-sat", "from": "12:00", "to": "22:00"}])  # fmt: skip


@given(
    country=st.sampled_from(sorted(OPEN)),
    of=st.sampled_from(sorted(NUMBERS)),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
    hours=HOURS,
    made=st.builds(AttemptsMade, st.integers(0, 4), st.integers(0, 6), st.integers(0, 5)),
    limits=st.sampled_from([None, {"max": 3, "per_days": 7, "total": 5}]),
    marketing=st.booleans(),
)
def test_a_preset_opens_what_the_campaign_has_closed(
    *, country: str, of: str, now: datetime, hours: Any, made: AttemptsMade, limits: Any, marketing: bool
) -> None:
    changes: dict[str, Any] = {"attempts": limits, "marketing": marketing} | (
        {"hours": hours} if hours else {}
    )
    without = judged(None, NUMBERS[of], now.replace(tzinfo=UTC), made, **changes)
    if without is not None:
        assert judged(country, NUMBERS[of], now.replace(tzinfo=UTC), made, **changes) is not None


@pytest.mark.parametrize("country", sorted(OPEN))
@pytest.mark.parametrize("own", [1, 20, 366])
def test_a_preset_lets_a_register_grow_older_than_the_policy_says(country: str, own: int) -> None:
    policy = read(
        '[[controllers]]\nid = "acme"\nname = "ACME"\ncountry = "PL"\ndpo = "x"\n'
        f'[[registers]]\nid = "own"\nname = "own"\nmax_age_days = {own}\n'
        f'[[campaigns]]\nid = "offers"\ncontroller = "acme"\npurpose = "x"\nlegal_basis = "contract"\n'
        f'registers = ["own"]\npreset = "{country}"\ndial = "PJSIP/{{number}}@trunk"\nrecording = {{ mode = "off" }}\n'
    )
    (register,) = policy.registers_of(policy.campaigns[0])
    assert register.max_age_days == min(own, PRESETS[country].register_days or own)


@pytest.mark.parametrize("of_the_country_first", [True, False])
def test_a_register_may_be_as_old_as_the_laxest_of_its_campaigns_lets_it(
    *, of_the_country_first: bool
) -> None:
    country, days = next((name, each.register_days) for name, each in PRESETS.items() if each.register_days)
    campaigns = [
        f'[[campaigns]]\nid = "{name}"\ncontroller = "acme"\npurpose = "x"\nlegal_basis = "contract"\nregisters = ["own"]\n'
        f'{preset}dial = "PJSIP/{{number}}@trunk"\nrecording = {{ mode = "off" }}\n'
        for name, preset in (("strict", f'preset = "{country}"\n'), ("lax", ""))
    ]
    policy = read(
        '[[controllers]]\nid = "acme"\nname = "ACME"\ncountry = "PL"\ndpo = "x"\n'
        '[[registers]]\nid = "own"\nname = "own"\nmax_age_days = 366\n[[registers]]\nid = "unused"\nname = "unused"\n'
        + "".join(campaigns if of_the_country_first else reversed(campaigns))
    )
    assert [(each.id, each.max_age_days) for each in policy.registers_in_use] == [("own", days)]


def test_a_pause_that_only_people_can_keep_passes_for_one_that_is_kept() -> None:
    pauses = [each for each in PRESETS.values() if each.pause_days is not None]
    assert pauses
    assert all("you enter: ccari suppress add --until" in each.source for each in pauses)
