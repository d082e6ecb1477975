"""Services beside those of the ground."""

import contextlib
from collections.abc import AsyncIterator

from tests.integration.ground import Ground
from tests.integration.service import Service


@contextlib.asynccontextmanager
async def with_fastagi(ground: Ground, ari: str | None = None) -> AsyncIterator[Service]:
    """A service that also answers over FastAGI, where the pbx asks; it ends in order if it still runs at the end."""
    made = ground.service(ari=ari)
    made.environment = {**made.environment, "CCARI_AGI__LISTEN": f"127.0.0.1:{ground.lab.pbx.agi_port}"}
    await made.start()
    try:
        yield made
    finally:
        still = made.process is not None and made.process.returncode is None
        status = await made.stop()
    assert not still or status == 0, made.errors.read_text()


def connections(service: Service) -> int:
    """How often it has connected to Asterisk."""
    return sum(line["event"] == "asterisk_connected" for line in service.lines())
