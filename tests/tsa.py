"""A time-stamping authority (RFC 3161): OpenSSL's, which signs, behind HTTP."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import encode_basic_auth, hdrs, web

from ccari.policy.seal import Statement
from ccari.recordings.evidence.authority import time_stamp_request

SIGNS_SECONDS = 20.0
SHUTDOWN_SECONDS = 0.1
_CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = this
[this]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class SigningAuthority:
    """Its root is in ``root.pem`` of a folder, and signs the certificate that signs time stamps. ``validity``: of that."""

    def __init__(
        self, folder: Path, name: str = "Time stamps", validity: Sequence[str] = ("-days", "30")
    ) -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        self._configuration = folder / "openssl.cnf"
        self._configuration.write_text(_CONFIGURATION.format(folder=folder))
        (folder / "serial").write_text("01")
        self._openssl("req", "-x509", *_KEY, "-keyout", "root.key", "-out", "root.pem", "-days", "3650",
                      "-subj", f"/O=A court/CN=Root of {name}", "-config", "openssl.cnf", "-extensions", "root")  # fmt: skip
        self._openssl("req", *_KEY, "-keyout", "signer.key", "-out", "signer.csr", "-subj", f"/O=A court/CN={name}",
                      "-config", "openssl.cnf")  # fmt: skip
        self._openssl("x509", "-req", "-in", "signer.csr", "-CA", "root.pem", "-CAkey", "root.key", "-out", "signer.pem",
                      *validity, "-extfile", "openssl.cnf", "-extensions", "signer")  # fmt: skip

    def answer(self, question: bytes, along: bytes = b"") -> bytes:
        """A TimeStampResp in DER to a TimeStampReq in DER; a refusal if that is none. ``along``: a certificate in DER, sent along
        with the signer's, if that is asked for.
        """
        (self.folder / "question").write_bytes(question)
        (self.folder / "along.pem").write_text(ssl.DER_cert_to_PEM_cert(along))
        self._openssl("ts", "-reply", "-queryfile", "question", "-signer", "signer.pem", "-inkey", "signer.key",
                      *(("-chain", "along.pem") if along else ()), "-config", "openssl.cnf", "-out", "answer")  # fmt: skip
        return (self.folder / "answer").read_bytes()

    def stamp(self, statement: Statement, along: bytes = b"") -> bytes:
        return self.answer(time_stamp_request(statement).content, along)

    def verifies(self, response: bytes, digest: bytes) -> bool:
        """Whether OpenSSL takes it for a time stamp of that hash, as somebody does who does not have ccari."""
        (self.folder / "response").write_bytes(response)
        command = [
            "openssl",
            "ts",
            "-verify",
            "-in",
            "response",
            "-digest",
            digest.hex(),
            "-CAfile",
            "root.pem",
        ]
        return (
            subprocess.run(
                command, cwd=self.folder, capture_output=True, timeout=SIGNS_SECONDS, check=False
            ).returncode
            == 0
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, timeout=SIGNS_SECONDS, check=True
        )


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Desk:
    """The authority's address. ``handler`` answers in its place; ``asked`` are the questions that came."""

    authority: SigningAuthority
    url: str = ""
    handler: Handler | None = None
    asked: list[bytes] = field(default_factory=list)
    password: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        self.asked.append(content)
        if self.handler is not None:
            return await self.handler(request)
        if request.headers.get(hdrs.AUTHORIZATION, "") != (
            encode_basic_auth("ccari", self.password) if self.password else ""
        ):
            return web.Response(status=401)
        if request.content_type != "application/timestamp-query":
            return web.Response(status=415)
        signed = await asyncio.to_thread(self.authority.answer, content)
        return web.Response(body=signed, content_type="application/timestamp-reply")


@asynccontextmanager
async def open_desk(authority: SigningAuthority) -> AsyncIterator[Desk]:
    """Answers on a free port while the context lasts."""
    desk, application = Desk(authority), web.Application()
    application.router.add_post("/tsr", desk.answer)
    # of a question that is never answered
    runner = web.AppRunner(application, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        desk.url = f"http://{host}:{port}/tsr"
        yield desk
    finally:
        await runner.cleanup()
