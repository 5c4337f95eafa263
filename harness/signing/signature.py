"""Sign drivers and look at their signatures, by osslsigncode, or on Windows by Microsoft's signtool.

The files that are signed come from the user, and what a verifying tool prints of them is not trusted: only
whether it succeeded decides, the words are for people.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from harness.errors import DriverFileError, RigError, UsageError
from harness.files import cannot_write, read_file, write_whole
from harness.processes import run_child
from harness.signing.certificate import SigningCertificate

__all__ = ["MAX_IMAGE", "Signature", "SigningError", "sign_driver", "verify_driver"]

MAX_IMAGE: Final = 256 * 1024 * 1024
"""Largest driver that is signed or verified, in bytes."""
TOOL_SECONDS: Final = 60.0
_HINT: Final = "install it: apt install osslsigncode, brew install osslsigncode, winget install osslsigncode"
_DIGEST: Final = re.compile(r"^Calculated message digest\s*:\s*([0-9A-Fa-f]{40,128})", re.MULTILINE)
_SUBJECT: Final = re.compile(
    r"^Signer's certificate:.{0,200}?Subject:\s*(\S[^\n]{0,200}?)\s*$", re.MULTILINE | re.DOTALL
)
_OFFLINE: Final = "-ignore-crl"
"""What keeps osslsigncode from asking the addresses that stand in the certificates of a file that nobody has
verified yet, and from refusing it where none answers; it knows the word since 2.9 (its change log)."""


class SigningError(RigError):
    """The tool that signs or verifies is missing, or failed."""


@dataclass(frozen=True)
class Signature:
    """A signature that holds."""

    subject: str
    """Of the signer's certificate."""
    thumbprint: str
    """Its SHA-1."""
    digest: str
    """The Authenticode digest of the image, SHA-256 in lower-case hexadecimal: what was signed."""


def sign_driver(driver: Path, certificate: SigningCertificate, out: Path) -> Signature | None:
    """Sign ``driver`` with SHA-256 and write it to ``out``, whole or not at all; a signature that it has is
    replaced. The result is verified; None where that cannot be done here: the certificate's file does not
    hold the chain's root, or there is only signtool, which knows the certificates that its Windows trusts.

    :raises DriverFileError: it is no PE image, or cannot be read.
    :raises UsageError: ``out`` cannot be written.
    :raises SigningError: see there.
    """
    image = _image(driver)
    with tempfile.TemporaryDirectory(prefix="procnotify-signing-") as temporary:
        folder = Path(temporary)
        unsigned, signed = folder / "unsigned.sys", folder / "signed.sys"
        unsigned.write_bytes(image)
        ossl = shutil.which("osslsigncode")
        if ossl is not None:
            code, said = _run([ossl, *_ossl_words(certificate, folder, unsigned, signed)])
        elif sys.platform == "win32" and (signtool := shutil.which("signtool")) is not None:
            shutil.copyfile(unsigned, signed)
            code, said = _run([signtool, *_signtool_words(certificate, folder, signed)])
        else:
            raise SigningError("there is no osslsigncode on this machine", hint=_HINT)
        if code != 0:
            raise SigningError(f"{driver} could not be signed: {_last_words(said)}")
        result = None
        if ossl is not None and certificate.has_root:
            result = _verify(ossl, signed, certificate, str(driver))
        try:
            write_whole(out, signed.read_bytes())
        except OSError as error:
            raise cannot_write(out, error, hint="choose another --out") from error
    return result


def verify_driver(driver: Path, certificate: SigningCertificate) -> Signature:
    """Whether ``driver`` is what was signed, and by the certificate, or by one that it has issued.

    :raises DriverFileError: it is no PE image, is not signed, was altered afterwards, or is another's.
    :raises SigningError: see there.
    """
    _image(driver)
    ossl = shutil.which("osslsigncode")
    if ossl is None:
        raise SigningError("there is no osslsigncode on this machine", hint=_HINT)
    return _verify(ossl, driver, certificate, str(driver))


def _verify(ossl: str, image: Path, certificate: SigningCertificate, name: str) -> Signature:
    with tempfile.TemporaryDirectory(prefix="procnotify-signing-") as temporary:
        trusted = Path(temporary) / "trusted.pem"
        trusted.write_bytes(certificate.pem)
        offline = [_OFFLINE] if _OFFLINE in _run([ossl, "verify", "--help"])[1] else []
        code, said = _run([ossl, "verify", *offline, "-CAfile", str(trusted), "-in", str(image.absolute())])
    digest = _DIGEST.search(said)
    if code == 0 and digest is not None:
        return Signature(certificate.subject, certificate.thumbprint, digest[1].lower())
    if "No signature found" in said or digest is None:
        raise DriverFileError(f"{name} is not signed", hint="sign it: procnotify driver sign")
    if "MISMATCH" in said:
        raise DriverFileError(
            f"{name} was altered after it was signed: its digest is {digest[1].lower()}", hint="sign it anew"
        )
    signer = _SUBJECT.search(said)
    raise DriverFileError(
        f"{name} was signed by {signer[1] if signer else 'somebody'}, whom {certificate.subject}"
        f" (thumbprint {certificate.thumbprint}) does not vouch for: {_last_words(said)}",
        hint="name the signer's certificate, or its root's, with --certificate",
    )


def _ossl_words(certificate: SigningCertificate, folder: Path, unsigned: Path, signed: Path) -> list[str]:
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.pem)
    key.touch(mode=0o600)
    key.write_bytes(certificate.key_pem())
    words = ["sign", "-h", "sha256", "-certs", str(chain), "-key", str(key)]
    return [*words, "-in", str(unsigned), "-out", str(signed)]


def _signtool_words(certificate: SigningCertificate, folder: Path, signed: Path) -> list[str]:
    """signtool takes key and certificate from a PFX file, and signs in place."""
    key = certificate.key
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise UsageError("signtool signs with RSA and ECDSA keys only")
    password = secrets.token_hex(16)
    pfx = folder / "signer.pfx"
    others = list(certificate.chain[1:]) or None
    encryption = BestAvailableEncryption(password.encode())
    pfx.write_bytes(serialize_key_and_certificates(b"signer", key, certificate.chain[0], others, encryption))
    return ["sign", "/fd", "SHA256", "/f", str(pfx), "/p", password, str(signed)]


def _run(argv: Sequence[str]) -> tuple[int, str]:
    """Exit code and everything printed, in the order in which it came."""
    name = Path(argv[0]).name
    try:
        code, said = run_child(
            argv,
            timeout=TOOL_SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise SigningError(f"cannot run {name}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise SigningError(f"{name} did not end within {TOOL_SECONDS:.0f} s") from None
    return code, said.decode("utf-8", "replace")


def _last_words(said: str) -> str:
    """The lines that say why, without OpenSSL's stack of errors."""
    lines = [line.strip() for line in said.splitlines()]
    told = [line for line in lines if "rror" in line or "ailed" in line or "nable" in line]
    plain = [line for line in told if not re.search(r"[0-9A-F]{8,}:error:", line)]
    return " | ".join(dict.fromkeys(plain or told or lines[-3:]))[:400]


def _image(path: Path) -> bytes:
    try:
        data = read_file(path, limit=MAX_IMAGE)
    except OSError as error:
        raise DriverFileError(f"cannot read {path}: {error.strerror}") from error
    start = int.from_bytes(data[0x3C:0x40], "little")
    if data[:2] != b"MZ" or data[start : start + 4] != b"PE\0\0":
        raise DriverFileError(f"{path} is no PE image")
    return data
