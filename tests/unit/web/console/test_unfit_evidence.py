"""Evidence that does not fit together is not given out, and the reason is told in the reader's language."""

from http import HTTPStatus

from ccari.keyring.secrets import SecretStore
from ccari.ports.access import Role
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store.test_evidence_commands import over
from tests.unit.web.api import Api
from tests.unit.web.console.browsing import Visitor, signed_in


async def test_a_polish_officer_is_told_in_english_why_evidence_is_none(
    api: Api, visitor: Visitor, store: Store, front: Front
) -> None:
    assert isinstance(front.secrets, SecretStore)
    SigningKeys(front.secrets.folder).create()
    call = await over(store)
    async with store.database.connection() as connection:
        await connection.execute("UPDATE calls SET heard_at = now() WHERE id = $1", call.id)
    visitor.language = "pl"
    await signed_in(api, visitor, Role.DPO)
    seen = await visitor.get(f"/console/calls/{call.id}/evidence")
    assert seen.status == HTTPStatus.CONFLICT
    assert f"połączenie {call.id} niczego już nie dowodzi: przy połączeniu jest odtworzony" in seen.words
    assert "journal" not in seen.words
