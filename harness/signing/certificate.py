"""Code-signing certificates: the user's own, and a test certificate that is made once for a user."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.errors import RigError, UsageError
from harness.files import read_file, write_whole
from harness.resources import data_dir

__all__ = ["MAX_FILE", "SigningCertificate", "made_certificate", "make_certificate", "read_certificate"]

MAX_FILE: Final = 1024 * 1024
"""Largest certificate or key file that is read, in bytes."""
NAME: Final = "procnotify test certificate"
"""The common name of a certificate that is made."""
VALID: Final = timedelta(days=3652)
KEY_BITS: Final = 2048
"""Of RSA, which every Windows with signed drivers takes."""


@dataclass(frozen=True)
class SigningCertificate:
    """A certificate that is valid now, the others of its file, and its private key where one was named."""

    chain: tuple[x509.Certificate, ...]
    """The signer's own first."""
    key: PrivateKeyTypes | None = None

    @property
    def subject(self) -> str:
        """``CN=procnotify test certificate``"""
        return self.chain[0].subject.rfc4514_string()

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate in lower-case hexadecimal, by which Windows calls it."""
        return self.chain[0].fingerprint(hashes.SHA1()).hex()

    @property
    def der(self) -> bytes:
        """The signer's own certificate, as a ``.cer`` file for Windows."""
        return self.chain[0].public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """All certificates."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)

    @property
    def has_root(self) -> bool:
        """Whether one of the certificates is its own issuer: a signature can be followed to its end."""
        return any(each.subject == each.issuer for each in self.chain)

    def key_pem(self) -> bytes:
        """The private key; RigError where none was named."""
        if self.key is None:
            raise RigError(f"the private key of {self.subject} was not named")
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_certificate(now: datetime) -> SigningCertificate:
    """A new self-signed code-signing certificate with a new RSA key, valid for ten years.

    :param now: aware; it is valid from the day before on, for a guest's clock may be behind.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return SigningCertificate((certificate,), key)


def made_certificate() -> tuple[SigningCertificate, Path]:
    """The user's test certificate, made the first time; and the ``.cer`` file of it, for the guest.

    :raises RigError: the user's data folder cannot be written.
    :raises UsageError: what lies there was damaged, or has expired.
    """
    folder = data_dir("signing")
    both, cer = folder / "test-certificate.pem", folder / "test-certificate.cer"
    if not both.exists():
        made = make_certificate(datetime.now(UTC))
        temporary = folder / f".{secrets.token_hex(8)}"
        try:
            # One file: no certificate lies beside another's key. Of two processes the first one's stays.
            write_whole(temporary, made.pem + made.key_pem(), mode=0o600)
            with contextlib.suppress(FileExistsError):
                both.hardlink_to(temporary)
            temporary.unlink()
        except OSError as error:
            raise RigError(f"cannot write {both}: {error.strerror}") from error
    certificate = read_certificate(both, both)
    if not cer.exists():
        try:
            write_whole(cer, certificate.der)
        except OSError as error:
            raise RigError(f"cannot write {cer}: {error.strerror}") from error
    return certificate, cer


def read_certificate(file: Path, key_file: Path | None = None) -> SigningCertificate:
    """The certificates of a file (PEM, or DER of one), and the private key of the first (PEM, not encrypted).

    :raises UsageError: a file cannot be read or is no such file, the key is another certificate's, or the
        certificate is not valid now.
    """
    data = _read(file)
    try:
        pem = b"-----BEGIN" in data
        chain = x509.load_pem_x509_certificates(data) if pem else [x509.load_der_x509_certificate(data)]
    except ValueError as error:
        raise UsageError(f"{file} is no certificate: {error}", hint="PEM or DER is what is read") from error
    first, now = chain[0], datetime.now(UTC)
    if not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
        raise UsageError(
            f"the certificate {file} is valid from {first.not_valid_before_utc:%Y-%m-%d}"
            f" to {first.not_valid_after_utc:%Y-%m-%d}, and today is {now:%Y-%m-%d}"
        )
    return SigningCertificate(tuple(chain), None if key_file is None else _key(key_file, file, first))


def _key(key_file: Path, file: Path, certificate: x509.Certificate) -> PrivateKeyTypes:
    try:
        key = load_pem_private_key(_read(key_file), password=None)
    except TypeError as error:
        raise UsageError(
            f"the key {key_file} has a passphrase",
            hint=f"take it away: openssl pkey -in {key_file} -out FILE",
        ) from error
    except ValueError as error:
        raise UsageError(f"{key_file} is no private key: {error}", hint="PEM is what is read") from error
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise UsageError(f"the key {key_file} is not that of the certificate {file}")
    return key


def _read(path: Path) -> bytes:
    try:
        return read_file(path, limit=MAX_FILE)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
