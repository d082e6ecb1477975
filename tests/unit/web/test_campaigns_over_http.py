"""What is declared, as it is and as it was; nothing of another controller."""

from http import HTTPStatus

from structlog.testing import capture_logs

from ccari.policy.accesses import DEFAULT_DAYS
from ccari.ports.access import Role
from ccari.store.opened import Store
from tests.unit.store.forging import apply_unread
from tests.unit.store.made import POLICY
from tests.unit.web.api import TWO, Api

CAMPAIGNS, REVISIONS = "/v1/campaigns", "/v1/revisions"


async def test_a_campaign_is_another_than_was_declared(api: Api, store: Store) -> None:
    listed = (await api.ask("GET", CAMPAIGNS, role=Role.DIALER)).json
    assert [each["id"] for each in listed["items"]] == ["renewals", "umfrage"]
    shown = (await api.ask("GET", f"{CAMPAIGNS}/renewals")).json
    assert shown["campaign"] == listed["items"][0]
    assert (shown["revision"], shown["campaign"]["recording"]["mode"], shown["controller"]["id"]) == (
        listed["revision"], "notice", "acme",
    )  # fmt: skip
    assert [each["id"] for each in (await api.ask("GET", f"{CAMPAIGNS}?controller=other")).json["items"]] == [
        "umfrage"
    ]
    changed = TWO.replace('purpose = "odnowienie umowy"', 'purpose = "nowa umowa"')
    await store.policies.apply(changed, "anna")
    now = (await api.ask("GET", f"{CAMPAIGNS}/renewals")).json
    then = (await api.ask("GET", f"{CAMPAIGNS}/renewals?revision={listed['revision']}")).json
    assert (now["campaign"]["purpose"], then["campaign"]["purpose"]) == ("nowa umowa", "odnowienie umowy")
    (await api.ask("GET", f"{CAMPAIGNS}?revision=99")).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    for path in (f"{CAMPAIGNS}/nothing", f"{REVISIONS}/99", f"{REVISIONS}/x"):
        (await api.ask("GET", path)).problem(HTTPStatus.NOT_FOUND)


async def test_hours_have_other_names_than_in_the_policy(api: Api, store: Store) -> None:
    hours = 'hours = { timezone = "Europe/Warsaw", days = "mon-fri", from = "09:00", to = "20:00", holidays = false }'
    await store.policies.apply(
        POLICY.replace("[campaigns.recording]", f"{hours}\n[campaigns.recording]"), "anna"
    )
    (declared,) = (await api.ask("GET", f"{CAMPAIGNS}/renewals")).json["campaign"]["hours"]
    described = (await api.ask("GET", "/openapi.json")).json["components"]["schemas"]["Hours"]["properties"]
    assert set(declared) == set(described)
    assert (declared["from"], declared["to"]) == ("09:00:00", "20:00:00")


async def test_a_revision_is_lost_or_shown_to_somebody_whom_it_does_not_concern(
    api: Api, store: Store
) -> None:
    for each in (POLICY, TWO, POLICY):
        await store.policies.apply(each, "anna")
    first = (await api.ask("GET", f"{REVISIONS}?limit=2")).json
    rest = (await api.ask("GET", f"{REVISIONS}?after={first['next']}")).json
    numbers = [each["revision"] for each in (*first["items"], *rest["items"])]
    kept = [row["revision"] for row in await store.policies.revisions()]
    assert (numbers, rest["next"]) == (kept, None)
    whole = (await api.ask("GET", f"{REVISIONS}/{numbers[1]}")).json
    assert (whole["document"], [each["id"] for each in whole["campaigns"]]) == (TWO, ["renewals", "umfrage"])
    token = await api.token(Role.AUDITOR, controllers={"acme"})
    part = await api.ask("GET", f"{REVISIONS}/{numbers[1]}", token=token)
    assert (part.json["document"], [each["id"] for each in part.json["controllers"]]) == (None, ["acme"])
    # that setting concerns each of the controllers
    assert part.json["accesses_days"] == whole["accesses_days"] == DEFAULT_DAYS
    assert "umfrage" not in part.text
    (await api.ask("GET", f"{CAMPAIGNS}/umfrage", token=token)).problem(HTTPStatus.NOT_FOUND)
    (await api.ask("GET", f"{CAMPAIGNS}/umfrage?revision={numbers[1]}", token=token)).problem(
        HTTPStatus.NOT_FOUND
    )


#: Each controller heeds one of its own, and both heed one more; another is heeded by nobody.
LISTED = TWO.replace(
    'data_source = "Vertrag"', 'data_source = "Vertrag"\nregisters = ["umfrageliste", "robinson"]'
).replace('controller = "acme"', 'controller = "acme"\nregisters = ["robinson", "polska"]') + "".join(
    f'[[registers]]\nid = "{each}"\nname = "{each.title()}"\nmax_age_days = 30\n'
    for each in ("robinson", "umfrageliste", "polska", "unheeded")
)


async def test_invariant_7_a_token_sees_a_register_that_only_another_controller_heeds(
    api: Api, store: Store
) -> None:
    number = await store.policies.apply(LISTED, "anna")

    async def seen(*controllers: str) -> list[str]:
        token = await api.token(Role.AUDITOR, controllers=set(controllers) or None)
        shown = await api.ask("GET", f"{REVISIONS}/{number}", token=token)
        assert shown.status == HTTPStatus.OK
        return [each["id"] for each in shown.json["registers"]]

    assert await seen("acme") == ["robinson", "polska"]
    assert await seen("other") == ["robinson", "umfrageliste"]
    assert await seen("acme", "other") == ["robinson", "umfrageliste", "polska"]
    assert await seen() == ["robinson", "umfrageliste", "polska", "unheeded"]


#: As an older version accepted it; the fault is the other controller's.
UNSOUND = TWO.replace('id = "umfrage"', 'id = "umfrage"\nformerly = "known"')


async def test_a_revision_that_an_older_version_accepted_is_taken_for_a_database_that_is_away(
    api: Api, store: Store
) -> None:
    unsound = await apply_unread(store, UNSOUND)
    newest = await store.policies.apply(TWO, "anna")
    with capture_logs() as logged:
        whole = await api.ask("GET", f"{REVISIONS}/{unsound}")
        for path in (f"{CAMPAIGNS}?revision={unsound}", f"{CAMPAIGNS}/renewals?revision={unsound}"):
            (await api.ask("GET", path)).problem(HTTPStatus.CONFLICT)
        token = await api.token(Role.AUDITOR, controllers={"acme"})
        part = await api.ask("GET", f"{REVISIONS}/{unsound}", token=token)
    detail = whole.problem(HTTPStatus.CONFLICT)["detail"]
    assert f"policy revision {unsound} is not valid for this version of ccari" in detail
    assert "formerly" in detail
    assert "umfrage" not in part.text
    assert (
        part.problem(HTTPStatus.CONFLICT)["detail"]
        == f"policy revision {unsound} is not valid for this version of ccari"
    )
    assert "database_away" not in {line["event"] for line in logged}
    assert (await api.ask("GET", f"{REVISIONS}/{newest}")).status == HTTPStatus.OK


async def test_a_policy_in_force_that_is_not_sound_is_told_as_another_trouble(api: Api, store: Store) -> None:
    unsound = await apply_unread(store, UNSOUND)
    with capture_logs() as logged:
        detail = (await api.ask("GET", CAMPAIGNS)).problem(HTTPStatus.CONFLICT)["detail"]
    assert detail == f"policy revision {unsound} is not valid for this version of ccari"
    assert "database_away" not in {line["event"] for line in logged}
