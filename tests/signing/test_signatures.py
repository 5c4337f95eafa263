"""Drivers that are signed, and then held to their signature by osslsigncode."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pefile
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness.errors import DriverFileError, UsageError
from harness.signing import SigningError, sign_driver, verify_driver
from harness.signing.certificate import SigningCertificate, make_certificate
from harness.signing.signature import _signtool_words
from harness.toolchain import Arch, default_driver

ONE, OTHER = (make_certificate(datetime.now(UTC)) for _ in range(2))
SECURITY = pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_SECURITY"]


@pytest.fixture(autouse=True)
def osslsigncode(program: Callable[[str], str]) -> str:
    return program("osslsigncode")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    out = tmp_path / "signed.sys"
    assert sign_driver(default_driver().path, ONE, out) is not None
    return out


def security_size(path: Path) -> int:
    with pefile.PE(str(path), fast_load=True) as image:
        size: int = image.OPTIONAL_HEADER.DATA_DIRECTORY[SECURITY].Size
        assert image.verify_checksum()
    return size


@pytest.mark.parametrize("arch", [Arch.X64, Arch.X86])
def test_a_signed_driver_is_what_was_signed(tmp_path: Path, arch: Arch) -> None:
    driver, out = default_driver(arch).path, tmp_path / "folder" / "signed.sys"
    signature = sign_driver(driver, ONE, out)
    assert signature == verify_driver(out, ONE)
    assert signature is not None
    assert (signature.subject, signature.thumbprint) == (ONE.subject, ONE.thumbprint)
    assert len(bytes.fromhex(signature.digest)) == 32
    assert security_size(driver) == 0
    assert security_size(out) > 500
    assert [left.name for left in out.parent.iterdir()] == ["signed.sys"]


def test_a_signature_is_replaced_in_place(signed: Path) -> None:
    size = len(signed.read_bytes())
    sign_driver(signed, OTHER, signed)
    assert verify_driver(signed, OTHER).thumbprint == OTHER.thumbprint
    assert abs(len(signed.read_bytes()) - size) < 64


def test_another_certificate_does_not_vouch_for_it(signed: Path) -> None:
    with pytest.raises(DriverFileError) as refused:
        verify_driver(signed, OTHER)
    said = str(refused.value)
    assert "was signed by /CN=procnotify test certificate, whom CN=procnotify test certificate" in said
    assert f"(thumbprint {OTHER.thumbprint}) does not vouch for" in said
    assert "self-signed certificate" in said
    assert "\n" not in said


def test_a_file_that_was_altered_is_told_from_one_of_another_signer(signed: Path) -> None:
    data = bytearray(signed.read_bytes())
    data[0x500] ^= 1
    signed.write_bytes(data)
    with pytest.raises(
        DriverFileError, match=r"signed\.sys was altered after it was signed: its digest is [0-9a-f]{64}"
    ):
        verify_driver(signed, ONE)


def test_a_driver_that_is_not_signed(tmp_path: Path) -> None:
    with pytest.raises(DriverFileError, match="is not signed; sign it: procnotify driver sign"):
        verify_driver(default_driver().path, ONE)


def test_a_signature_that_was_cut_off(signed: Path) -> None:
    signed.write_bytes(signed.read_bytes()[:-200])
    with pytest.raises(DriverFileError):
        verify_driver(signed, ONE)


@pytest.mark.parametrize("data", [b"", b"MZ", b"hello" * 100, b"MZ" + bytes(58) + b"\xff\xff\xff\xff"])
def test_what_is_no_image(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.sys"
    file.write_bytes(data)
    with pytest.raises(DriverFileError, match=r"a\.sys is no PE image"):
        sign_driver(file, ONE, tmp_path / "out.sys")
    with pytest.raises(DriverFileError, match=r"a\.sys is no PE image"):
        verify_driver(file, ONE)
    assert not (tmp_path / "out.sys").exists()


def test_a_driver_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DriverFileError, match="cannot read"):
        verify_driver(tmp_path / "none.sys", ONE)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose another --out"):
        sign_driver(default_driver().path, ONE, tmp_path)


def issued(
    by: SigningCertificate, name: str = "issued", *extensions: x509.ExtensionType
) -> SigningCertificate:
    """A certificate of another name; its root is not in the file."""
    assert isinstance(by.key, rsa.RSAPrivateKey)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(by.chain[0].subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(by.chain[0].not_valid_before_utc)
        .not_valid_after(by.chain[0].not_valid_after_utc)
    )
    for extension in extensions:
        unsigned = unsigned.add_extension(extension, critical=False)
    return SigningCertificate((unsigned.sign(by.key, hashes.SHA256()),), key)


def test_a_chain_without_its_root_is_signed_with_and_not_verified(tmp_path: Path) -> None:
    leaf = issued(ONE)  # as no CA may
    assert not leaf.has_root
    assert sign_driver(default_driver().path, leaf, tmp_path / "out.sys") is None
    with pytest.raises(DriverFileError, match="was signed by /CN=issued"):
        verify_driver(tmp_path / "out.sys", OTHER)


def authority() -> SigningCertificate:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(6)
        .not_valid_before(ONE.chain[0].not_valid_before_utc)
        .not_valid_after(ONE.chain[0].not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return SigningCertificate((certificate,), key)


def test_no_address_in_an_unverified_file_is_asked(tmp_path: Path) -> None:
    """The signer's certificate says who tells whether it was revoked, and that one does not answer."""
    root, out = authority(), tmp_path / "out.sys"
    with socket.create_server(("127.0.0.1", 0)) as asked:
        address = x509.UniformResourceIdentifier(f"http://127.0.0.1:{asked.getsockname()[1]}/revoked.crl")
        leaf = issued(
            root,
            "issued",
            x509.CRLDistributionPoints([x509.DistributionPoint([address], None, None, None)]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
        )
        assert sign_driver(default_driver().path, leaf, out) is None
        assert verify_driver(out, root).thumbprint == root.thumbprint
        with pytest.raises(DriverFileError, match="was signed by /CN=issued, whom CN=procnotify test"):
            verify_driver(out, OTHER)
        asked.setblocking(False)
        with pytest.raises(BlockingIOError):
            asked.accept()


def test_a_machine_without_the_tool_says_where_to_get_it(
    signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for work in (lambda: sign_driver(signed, ONE, signed), lambda: verify_driver(signed, ONE)):
        with pytest.raises(SigningError, match="no osslsigncode on this machine; install it: apt install"):
            work()


@pytest.mark.skipif(sys.platform == "win32", reason="the tool that fails is a shell's script")
def test_a_tool_that_fails_is_the_rigs(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "osslsigncode"
    tool.write_text("#!/bin/sh\necho Failed to do it >&2\nexit 255\n", encoding="utf-8")
    tool.chmod(0o755)
    before = signed.read_bytes()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SigningError, match=r"signed\.sys could not be signed: Failed to do it"):
        sign_driver(signed, ONE, signed)
    assert signed.read_bytes() == before


def test_signtool_gets_key_and_certificate_in_a_file_with_a_password(tmp_path: Path) -> None:
    *words, pfx, p, password, image = _signtool_words(ONE, tmp_path, Path("a.sys"))
    assert (words, p, image) == (["sign", "/fd", "SHA256", "/f"], "/p", "a.sys")
    key, certificate, others = load_key_and_certificates(Path(pfx).read_bytes(), password.encode())
    assert certificate == ONE.chain[0]
    assert key is not None
    assert ONE.key is not None
    assert key.public_key() == ONE.key.public_key()
    assert others == []
