"""What somebody is told who names a campaign that does not exist."""

import pytest

from ccari.errors import InputError
from ccari.office.naming import campaign_of, the_campaign
from ccari.policy.declaration import Policy
from tests.unit.policy.campaigns import CONTROLLER

NO_CAMPAIGN = Policy(controllers=(CONTROLLER,))


def test_a_campaign_none_is_offered_where_the_policy_has_none() -> None:
    with pytest.raises(InputError, match=r"^the policy declares no campaigns$"):
        the_campaign(NO_CAMPAIGN, "offers")


def test_a_campaign_none_is_offered_where_the_controller_has_none() -> None:
    with pytest.raises(InputError, match=r"^'acme' has no campaigns$"):
        campaign_of(NO_CAMPAIGN, CONTROLLER, "offers")
    assert campaign_of(NO_CAMPAIGN, CONTROLLER, None) is None
