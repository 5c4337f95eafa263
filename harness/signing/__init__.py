"""Signatures of drivers: a test certificate, signing with it, and whether a file still is what was signed."""

from harness.signing.certificate import SigningCertificate, made_certificate, read_certificate
from harness.signing.signature import Signature, SigningError, sign_driver, verify_driver

__all__ = [
    "Signature",
    "SigningCertificate",
    "SigningError",
    "made_certificate",
    "read_certificate",
    "sign_driver",
    "verify_driver",
]
