"""Checks the time zones that the policy needs: hours, holidays and due dates are in the local time of each campaign or controller."""

from collections.abc import Iterator
from datetime import UTC, datetime

from ccari.cli.doctor.findings import Finding, fault, ok
from ccari.policy.calendars import TIME_ZONES, clock
from ccari.policy.declaration import Policy


def zones(policy: Policy) -> Iterator[Finding]:
    """The day and time in each zone, to compare with a watch and a calendar: comparing the clocks would not reveal that all are wrong."""
    names = {TIME_ZONES[each.country] for each in policy.controllers}
    spans = [span for campaign in policy.campaigns for span in campaign.hours]
    names |= {span.timezone for span in spans if span.timezone}
    unknown = sorted(each for each in names if clock(each) is None)
    if unknown:
        yield fault("time zone", f"this machine does not know the time zone {', '.join(unknown)}: no call is within its calling hours there",
                    "install the data: apt-get install tzdata, or pip install tzdata in ccari's environment")  # fmt: skip
    now = datetime.now(UTC)
    there = [
        f"{now.astimezone(zone):%Y-%m-%d %H:%M} in {each}" for each in sorted(names) if (zone := clock(each))
    ]
    if there and not unknown:
        yield ok("time zone", f"it is {', '.join(there)}, by this machine's clock")
