"""An audit that could ask nobody passes for one that found nothing."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests import advisories
from tests.advisories import obstacle

ANSWERS = {
    "/holes": b'{"vulnerabilities": [{"id": "X"}]}',
    "/none": b'{"vulnerabilities": []}',
    "/page": b"<html>",
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ANSWERS.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_database_that_knows_holes_is_not_asked(database: str) -> None:
    assert obstacle(f"{database}/holes") == ""


@pytest.mark.parametrize("path", ["none", "page", "nothing-there"])
def test_a_mirror_that_knows_no_advisories_finds_every_package_sound(database: str, path: str) -> None:
    assert "database" in obstacle(f"{database}/{path}")


def test_a_database_that_says_nothing_holds_the_tests_up_or_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "ANSWER_SECONDS", 0.1)
    with HTTPServer(("127.0.0.1", 0), _Handler) as silent:
        assert "does not answer" in obstacle(f"http://127.0.0.1:{silent.server_port}/holes")
