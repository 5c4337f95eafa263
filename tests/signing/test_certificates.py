"""Certificates: the one that is made, and the user's own with all that can be wrong with them."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from harness.errors import RigError, UsageError
from harness.signing import made_certificate, read_certificate
from harness.signing.certificate import MAX_FILE, SigningCertificate, make_certificate

NOW = datetime.now(UTC)
ONE, OTHER = make_certificate(NOW), make_certificate(NOW)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCNOTIFY_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def files_of(certificate: SigningCertificate, folder: Path, name: str = "one") -> tuple[Path, Path]:
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.pem)
    key.write_bytes(certificate.key_pem())
    return pem, key


def test_a_made_certificate_is_for_code_signing_and_nothing_else() -> None:
    (certificate,) = ONE.chain
    extensions = certificate.extensions
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in usage] == ["1.3.6.1.5.5.7.3.3"]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (
        certificate.not_valid_before_utc < NOW < NOW + timedelta(days=3650) < certificate.not_valid_after_utc
    )
    assert ONE.has_root
    assert ONE.subject == "CN=procnotify test certificate"
    assert ONE.thumbprint != OTHER.thumbprint


def test_it_is_made_once_for_a_user(data: Path) -> None:
    first, cer = made_certificate()
    again, _ = made_certificate()
    assert first.thumbprint == again.thumbprint
    assert cer.read_bytes() == first.der
    assert x509.load_der_x509_certificate(cer.read_bytes()) == first.chain[0]
    assert {path.name for path in (data / "signing").iterdir()} == {
        "test-certificate.cer",
        "test-certificate.pem",
    }
    if sys.platform != "win32":
        assert stat.S_IMODE((data / "signing" / "test-certificate.pem").stat().st_mode) == 0o600


def test_several_that_make_it_at_a_time_get_the_same() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [job.result() for job in [pool.submit(made_certificate) for _ in range(4)]]
    assert len({certificate.thumbprint for certificate, _ in made}) == 1


def test_a_made_one_that_was_damaged_is_named(data: Path) -> None:
    made_certificate()
    (data / "signing" / "test-certificate.pem").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"test-certificate\.pem is no certificate"):
        made_certificate()


def test_a_data_folder_that_is_none(data: Path) -> None:
    data.write_bytes(b"")
    with pytest.raises(RigError, match="PROCNOTIFY_DATA"):
        made_certificate()


def test_the_users_own_in_each_form(tmp_path: Path) -> None:
    pem, key = files_of(ONE, tmp_path)
    der = tmp_path / "one.cer"
    der.write_bytes(ONE.der)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(ONE.pem + OTHER.pem)
    for file in (pem, der, chain):
        assert read_certificate(file, key).thumbprint == ONE.thumbprint
    assert len(read_certificate(chain).chain) == 2
    with pytest.raises(RigError, match="was not named"):
        read_certificate(pem).key_pem()


def expired(pem: Path, key: Path) -> None:
    old = make_certificate(NOW - timedelta(days=4000))
    pem.write_bytes(old.pem)
    key.write_bytes(old.key_pem())


def not_yet_valid(pem: Path, key: Path) -> None:
    new = make_certificate(NOW + timedelta(days=40))
    pem.write_bytes(new.pem)
    key.write_bytes(new.key_pem())


def encrypted(pem: Path, key: Path) -> None:
    assert ONE.key is not None
    form = Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    key.write_bytes(ONE.key.private_bytes(*form))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda pem, key: pem.unlink(), r"cannot read .*one\.pem: "),
        (lambda pem, key: key.unlink(), r"cannot read .*one\.key: "),
        (lambda pem, key: pem.write_bytes(b""), r"one\.pem is no certificate"),
        (lambda pem, key: pem.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA"), "is no certificate"),
        (lambda pem, key: pem.write_bytes(b"x" * (MAX_FILE + 1)), f"it is larger than {MAX_FILE} bytes"),
        (lambda pem, key: key.write_bytes(b"-----BEGIN"), r"one\.key is no private key"),
        (
            lambda pem, key: key.write_bytes(OTHER.key_pem()),
            r"one\.key is not that of the certificate .*one\.pem",
        ),
        (encrypted, r"one\.key has a passphrase; take it away: openssl pkey"),
        (expired, r"is valid from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d, and today is"),
        (not_yet_valid, "is valid from"),
    ],
)
def test_what_is_wrong_with_the_users_own(
    tmp_path: Path, damage: Callable[[Path, Path], object], words: str
) -> None:
    pem, key = files_of(ONE, tmp_path)
    damage(pem, key)
    with pytest.raises(UsageError, match=words):
        read_certificate(pem, key)
