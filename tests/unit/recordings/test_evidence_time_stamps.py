"""A time stamp proves to somebody who trusts the authority, and not the centre, that a seal was there."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from ccari.cli.evidence_verify import _print
from ccari.errors import ConfigError, EvidenceError
from ccari.policy import seal
from ccari.policy.seal import Statement
from ccari.ports.evidence import Account, TimeStamp
from ccari.recordings.evidence.authority import MOST_BYTES, Authority, authority, time_stamp_request
from ccari.recordings.evidence.pack import TIME_STAMPS
from ccari.recordings.evidence.stamper import Known
from ccari.recordings.evidence.verifying import Verdict, verify
from tests.tsa import SIGNS_SECONDS, SigningAuthority
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import KEY
from tests.unit.recordings.packing import Files, fault_of, files_of, packed, vcon_of

#: OpenSSL signs by the clock of the machine, to the second, and may do so in the second in which the test began.
A_MOMENT = timedelta(seconds=2)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> SigningAuthority:
    return SigningAuthority(tmp_path_factory.mktemp("court") / "tsa")


@pytest.fixture(scope="module")
def trusted(court: SigningAuthority) -> Authority:
    return authority(court.root)


def later(count: int, account: Account | None = None) -> list[Statement]:
    """The seal of an account, and that many after it."""
    statements = [(account or accounts.call()).seals[0].seal.statement]
    for number in range(count):
        at = statements[-1].sealed_at + timedelta(minutes=1)
        statements.append(Statement(at, 3, bytes([number]) * 32, statements[-1].digest, KEY.fingerprint))
    return statements


def stamped(court: SigningAuthority, statements: list[Statement], account: Account | None = None) -> Account:
    response = court.stamp(statements[-1])
    at = authority(court.root).stamped(response, statements[-1]).at
    stamp = TimeStamp(statements, response, at)
    return replace(account or accounts.call(), time_stamps=[stamp])


def verified(account: Account, trusted: Authority | None) -> Verdict:
    return verify(packed(account), [KEY.verifying], authority=trusted)


@pytest.mark.parametrize("after", [0, 1, 59])
def test_a_seal_under_a_time_stamp_is_not_proven(
    court: SigningAuthority, trusted: Authority, after: int
) -> None:
    """Whether it is the seal that was stamped, or one before it."""
    before = datetime.now(UTC) - A_MOMENT
    verdict = verified(stamped(court, later(after)), trusted)
    (at,) = verdict.stamped_at
    assert at is not None
    assert before <= at <= datetime.now(UTC)
    assert (verdict.authorities, verdict.unchecked) == (("CN=Time stamps,O=A court",), 0)


def test_two_authorities_are_said_to_have_told_what_one_of_them_did(
    court: SigningAuthority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As once another authority was chosen, between two seals of a request."""
    office = SigningAuthority(tmp_path / "office", "Other time stamps")
    first, then = (stamped(by, later(after)).time_stamps[0] for after, by in enumerate((court, office)))
    both = tmp_path / "both.pem"
    both.write_bytes(court.root.read_bytes() + office.root.read_bytes())
    verdict = verified(replace(accounts.call(), time_stamps=[first, then]), authority(both))
    assert verdict.authorities == ("CN=Time stamps,O=A court", "CN=Other time stamps,O=A court")
    assert verdict.stamped_by == ("CN=Time stamps,O=A court",)
    _print(verdict)
    assert "says CN=Time stamps,O=A court\n" in capsys.readouterr().out


def test_a_request_is_not_proven(court: SigningAuthority, trusted: Authority) -> None:
    account = accounts.request()
    assert verified(stamped(court, later(2, account), account), trusted).stamped_at != (None,)


def test_time_stamps_that_nobody_checked_count_as_checked(court: SigningAuthority) -> None:
    verdict = verified(stamped(court, later(1)), None)
    assert (verdict.stamped_at, verdict.authorities, verdict.unchecked) == ((None,), (), 1)


def test_a_pack_without_time_stamps_claims_one(trusted: Authority) -> None:
    verdict = verified(accounts.call(), trusted)
    assert (verdict.stamped_at, verdict.authorities, verdict.unchecked) == ((None,), (), 0)
    assert TIME_STAMPS not in files_of(packed())


def test_openssl_cannot_check_a_time_stamp_as_the_readme_says(court: SigningAuthority) -> None:
    files = files_of(packed(stamped(court, later(3))))
    assert "openssl ts -verify" in files["README.txt"].decode()
    (row,) = json.loads(files[TIME_STAMPS])
    canonical = json.dumps(row["statements"][-1], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row["of"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert court.verifies(files[row["file"]], bytes.fromhex(row["of"]))
    assert not court.verifies(files[row["file"]], bytes(32))


def test_openssl_does_not_say_by_the_readme_when_a_seal_was_there(
    court: SigningAuthority, trusted: Authority, tmp_path: Path
) -> None:
    """To somebody who has the pack and the authority's certificates, and not ccari."""
    account = stamped(court, later(3))
    (at,) = verified(account, trusted).stamped_at
    files = files_of(packed(account))
    (row,) = json.loads(files[TIME_STAMPS])
    (tmp_path / "time_stamps").mkdir()
    (tmp_path / row["file"]).write_bytes(files[row["file"]])
    lines = [line.strip() for line in files["README.txt"].decode().splitlines()]
    said = [
        subprocess.run(
            line.replace("NN", "01")
            .replace(" OF ", f" {row['of']} ")
            .replace("CERTIFICATES.pem", str(court.root))
            .split(),
            cwd=tmp_path, capture_output=True, text=True, timeout=SIGNS_SECONDS, check=True,
        ).stdout
        for line in lines if line.startswith("openssl ts ")
    ]  # fmt: skip
    assert at is not None
    assert said[0].startswith("Verification: OK")
    # a single-digit day is padded with a space
    assert f"Time stamp: {at:%b} {at.day:2} {at:%H:%M:%S %Y} GMT" in "".join(said[1:])


def test_the_vcon_does_not_name_the_time_stamp(court: SigningAuthority) -> None:
    account = stamped(court, later(1))
    basis = next(
        each["body"] for each in vcon_of(packed(account))["attachments"] if each["purpose"] == "lawful_basis"
    )
    proofs = [each["proof_data"] for each in basis["proof_mechanisms"]]
    assert {"system": "RFC 3161 time stamp", "seal": later(1)[-1].digest.hex()} in proofs


def test_the_vcon_says_another_moment_than_the_authority(court: SigningAuthority, trusted: Authority) -> None:
    """The centre signs the vCon, and could write any moment into it."""
    account = stamped(court, later(1))
    (stamp,) = account.time_stamps
    earlier = replace(account, time_stamps=[replace(stamp, at=stamp.at - timedelta(days=90))])
    with pytest.raises(
        EvidenceError, match=r"vcon\.json: the time stamp 1 is of another moment than the authority says"
    ):
        verified(earlier, trusted)


def test_the_vcon_names_a_time_stamp_that_is_not_in_the_pack(
    court: SigningAuthority, trusted: Authority
) -> None:
    def without(files: Files) -> None:
        files[TIME_STAMPS] = b"[]"

    assert (
        fault_of(without, stamped(court, later(1)), authority=trusted)
        == "vcon.json: a time stamp is not in the pack"
    )


def test_a_pack_is_made_whose_seals_do_not_lead_to_the_time_stamp(court: SigningAuthority) -> None:
    statements = later(2)
    with pytest.raises(EvidenceError, match="a seal before its time stamp was changed or removed"):
        packed(stamped(court, [statements[0], statements[2]]))


def _of_another(files: Files, court: SigningAuthority) -> None:
    rows = json.loads(files[TIME_STAMPS])
    files[rows[0]["file"]] = court.stamp(replace(later(1)[-1], leaves=99))


def _left_out(files: Files, _: SigningAuthority) -> None:
    rows = json.loads(files[TIME_STAMPS])
    del rows[0]["statements"][1]
    files[TIME_STAMPS] = json.dumps(rows).encode()


def _of_other_seals(files: Files, _: SigningAuthority) -> None:
    rows = json.loads(files[TIME_STAMPS])
    del rows[0]["statements"][0]
    files[TIME_STAMPS] = json.dumps(rows).encode()


def _earlier(files: Files, _: SigningAuthority) -> None:
    rows = json.loads(files[TIME_STAMPS])
    rows[0]["statements"][-1]["sealed_at"] = "2026-01-01T00:00:00.000000+00:00"
    files[TIME_STAMPS] = json.dumps(rows).encode()


def _torn(files: Files, _: SigningAuthority) -> None:
    files["time_stamps/01.tsr"] = files["time_stamps/01.tsr"][:-9]


def _gone(files: Files, _: SigningAuthority) -> None:
    rows = json.loads(files[TIME_STAMPS])
    rows[0]["file"] = "time_stamps/02.tsr"
    files[TIME_STAMPS] = json.dumps(rows).encode()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_of_another, "time_stamps.json: time stamp 1: the time stamp is of something else"),
        (_left_out, "time_stamps.json: time stamp 1 does not lead to a seal of the journal"),
        (_of_other_seals, "time_stamps.json: time stamp 1 does not lead to a seal of the journal"),
        (_earlier, "time_stamps.json: time stamp 1: the time stamp is of something else"),
        (_torn, "time_stamps.json: time stamp 1: it is no answer of a time-stamping authority (RFC 3161)"),
        (_gone, "time_stamps.json is damaged"),
    ],
    ids=["of another seal", "a seal left out", "of other seals", "a seal dated back", "torn", "not there"],
)
def test_a_time_stamp_that_proves_something_else_passes(
    court: SigningAuthority, trusted: Authority, change: Callable[[Files, SigningAuthority], None], fault: str
) -> None:
    account = stamped(court, later(2))
    assert fault_of(lambda files: change(files, court), account, authority=trusted) == fault


def test_a_time_stamp_of_somebody_else_passes(trusted: Authority, tmp_path: Path) -> None:
    """For example, one by an authority that the centre itself runs."""
    own = SigningAuthority(tmp_path / "own")
    with pytest.raises(
        EvidenceError,
        match=r"time stamp 1: the time stamp is not signed by a trusted authority: unable to get .*: give the certificates of all",
    ):
        verified(stamped(own, later(1)), trusted)


def test_a_time_stamp_is_lost_with_its_certificate() -> None:
    """Evidence is kept for longer than certificates are valid. This one ended in January 2020, its root in February."""
    folder = Path(__file__).parent
    statement = Statement(datetime(2020, 1, 10, 11, 59, tzinfo=UTC), 1, bytes(32), bytes(32), "0" * 16)
    of_2020 = authority(folder / "root_of_2020.pem")
    stamped = of_2020.stamped((folder / "stamp_of_2020.tsr").read_bytes(), statement)
    assert (stamped.at, stamped.by) == (
        datetime(2020, 1, 10, 12, tzinfo=UTC),
        "CN=Time stamps of 2020,O=A court",
    )


def test_a_certificate_that_was_over_signs_time_stamps(tmp_path: Path) -> None:
    over = SigningAuthority(
        tmp_path / "over", validity=("-not_before", "20200101000000Z", "-not_after", "20200201000000Z")
    )
    with pytest.raises(EvidenceError, match="not signed by a trusted authority: certificate has expired"):
        authority(over.root).stamped(over.stamp(later(0)[0]), later(0)[0])


def _of_no_known_version(signers: x509.Certificate) -> bytes:
    return signers.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04", 1)


def _of_the_same_number(
    signers: x509.Certificate,
    *extensions: x509.ExtensionType,
    issuer: x509.Name | None = None,
) -> bytes:
    """What somebody else claims the signer to be. It is longer: OpenSSL takes the shorter one to check the signature with."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Time stamps of the state")])
    builder = x509.CertificateBuilder(issuer or signers.issuer, name, signers.public_key(), signers.serial_number,
                                      signers.not_valid_before_utc, signers.not_valid_after_utc)  # fmt: skip
    for each in extensions or (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]),):
        builder = builder.add_extension(each, critical=True)
    padded = builder.add_extension(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(999)), critical=False
    )
    return padded.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def _in_other_letters(signers: x509.Certificate) -> bytes:
    """OpenSSL takes it for a certificate by the same issuer."""
    attributes = [x509.NameAttribute(each.oid, str(each.value).upper()) for each in signers.issuer]
    return _of_the_same_number(signers, issuer=x509.Name(attributes))


@pytest.mark.parametrize("along", [_of_the_same_number, _in_other_letters])
def test_whoever_adds_a_certificate_to_a_time_stamp_says_who_signed_it(
    court: SigningAuthority, trusted: Authority, along: Callable[[x509.Certificate], bytes]
) -> None:
    """The certificates that come with it are not signed."""
    signers = x509.load_pem_x509_certificate((court.folder / "signer.pem").read_bytes())
    statement = later(0)[0]
    with pytest.raises(EvidenceError, match="more than one certificate of the number that its signer's has"):
        trusted.stamped(court.stamp(statement, along(signers)), statement)


def test_a_certificate_that_nobody_can_read_ends_in_a_traceback(
    court: SigningAuthority, trusted: Authority
) -> None:
    signers = x509.load_pem_x509_certificate((court.folder / "signer.pem").read_bytes())
    statement = later(0)[0]
    with pytest.raises(EvidenceError, match="the time stamp has a certificate that cannot be read"):
        trusted.stamped(court.stamp(statement, _of_no_known_version(signers)), statement)


@pytest.mark.parametrize("kind", [b"\x48", b"\x03"], ids=["of no known kind", "bits"])
def test_a_signer_whose_name_is_no_text_ends_in_a_traceback(
    court: SigningAuthority, trusted: Authority, kind: bytes
) -> None:
    statement = later(0)[0]
    # the last one is in what names the signer
    before, _, after = court.stamp(statement).rpartition(b"\x0c\x07A court")
    with pytest.raises(EvidenceError, match="not signed by a trusted authority: its signature is not valid"):
        trusted.stamped(before + kind + b"\x07A court" + after, statement)


@pytest.mark.parametrize("padding", [0, 999], ids=["shorter", "longer"])
def test_the_certificates_of_a_time_stamp_have_to_come_in_one_order(
    court: SigningAuthority, trusted: Authority, padding: int
) -> None:
    """OpenSSL sends the signer's first, whatever DER says."""
    name, key = x509.Name([]), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, accounts.NOON, accounts.NOON)
    unrecognized = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(padding))
    between = builder.add_extension(unrecognized, critical=False).sign(key, hashes.SHA256())
    statement = later(0)[0]
    response = court.stamp(statement, between.public_bytes(Encoding.DER))
    assert trusted.stamped(response, statement).by == "CN=Time stamps,O=A court"


def test_a_time_stamp_without_end_is_read(court: SigningAuthority, trusted: Authority) -> None:
    """For one that repeats itself in the right way, the library's time to find what was signed grows with the square of
    its length.
    """
    name, key = x509.Name([]), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, accounts.NOON, accounts.NOON)
    endless = builder.add_extension(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(MOST_BYTES)), critical=False
    ).sign(key, hashes.SHA256())
    statement = later(0)[0]
    with pytest.raises(
        EvidenceError, match="it is longer than an answer of a time-stamping authority can be"
    ):
        trusted.stamped(court.stamp(statement, endless.public_bytes(Encoding.DER)), statement)


@pytest.mark.parametrize(
    "response",
    ["", "30", "3080", "308100", "3082", "30060203", "3003020100", "30023000",
     "300730003003020100", "3009300030050201003000", "30820001", "30ff" + "ff" * 127, "3000" * 9999],
)  # fmt: skip
def test_an_answer_that_is_no_der_ends_in_a_traceback(trusted: Authority, response: str) -> None:
    with pytest.raises(EvidenceError, match="it is no answer of a time-stamping authority"):
        trusted.stamped(bytes.fromhex(response), later(0)[0])


def test_a_signer_whom_nobody_names_is_called_a_forger(court: SigningAuthority, trusted: Authority) -> None:
    """For example by an authority that sends no certificate, though it is asked to."""
    statement = later(0)[0]
    asked = (
        TimestampRequestBuilder()
        .data(statement.canonical)
        .hash_algorithm(HashAlgorithm.SHA256)
        .cert_request(cert_request=False)
        .build()
    )
    response = court.answer(asked.as_bytes())
    with pytest.raises(EvidenceError, match="the time stamp came without the certificate of its signer"):
        trusted.stamped(response, statement)


def test_an_old_answer_passes_for_a_new_one(court: SigningAuthority, trusted: Authority) -> None:
    statement = later(0)[0]
    asked, another = time_stamp_request(statement), time_stamp_request(statement)
    response = court.answer(asked.content)
    assert trusted.stamped(response, statement, asked.nonce) == trusted.stamped(response, statement)
    with pytest.raises(EvidenceError, match="the time stamp is the answer to another question"):
        trusted.stamped(response, statement, another.nonce)


def test_a_refusal_of_the_authority_passes_for_a_time_stamp(
    court: SigningAuthority, trusted: Authority
) -> None:
    with pytest.raises(
        EvidenceError, match="the authority gave no time stamp: rejection; Bad request format or system error"
    ):
        trusted.stamped(court.answer(b"no question"), later(0)[0])


def test_a_file_without_certificates_is_trusted_or_a_traceback(
    tmp_path: Path, court: SigningAuthority
) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.pem: No such file"):
        authority(tmp_path / "none.pem")
    with pytest.raises(ConfigError, match=r"signer\.key contains no certificate in PEM format"):
        authority(court.folder / "signer.key")
    twice = tmp_path / "twice.pem"
    twice.write_bytes(court.root.read_bytes() * 2)
    assert authority(twice).stamped(court.stamp(later(0)[0]), later(0)[0]).by == "CN=Time stamps,O=A court"


def test_seals_that_do_not_follow_one_another_do() -> None:
    statements = later(3)
    assert seal.follow(statements)
    assert seal.follow(statements[:1])
    assert not seal.follow([statements[0], statements[2], statements[3]])
    assert not seal.follow(statements[::-1])


def test_the_login_at_the_authority_is_shown_where_what_is_known_of_it_is(trusted: Authority) -> None:
    """The name and the password, in a traceback for example."""
    assert "YWNtZ" not in repr(Known(trusted, "Basic YWNtZTpzZWNyZXQ="))
