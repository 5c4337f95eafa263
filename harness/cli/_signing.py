"""``procnotify driver sign`` and ``procnotify driver verify``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.errors import UsageError
from harness.report.text import printable
from harness.signing import SigningCertificate, made_certificate, read_certificate, sign_driver, verify_driver

__all__ = ["sign", "verify"]

MADE = "made"

_certificate = click.option(
    "--certificate",
    metavar="FILE|made",
    default=MADE,
    show_default=True,
    help="Certificate of the signer, PEM or DER; 'made' is your test certificate, made the first time.",
)


@click.command("sign")
@click.argument("driver", type=click.Path(dir_okay=False, path_type=Path))
@_certificate
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Private key of the certificate, PEM without a passphrase.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The signed .sys to write.  [default: DRIVER itself]",
)
@json_option
def sign(driver: Path, certificate: str, key: Path | None, out: Path | None, as_json: bool) -> None:
    """Sign a driver with a test certificate, and verify it.

    A guest loads it once it takes test signatures (bcdedit /set testsigning on); the .cer file that is named
    is for a guest that is to trust the signer. Needs osslsigncode, or signtool on Windows.

    \b
    Examples:
      procnotify driver sign mydriver.sys
      procnotify driver sign mydriver.sys --certificate mine.pem --key mine.key --out signed.sys

    \b
    Exit codes:
      0  signed
      2  the driver, the certificate or the key is wrong, or the command line is
      3  osslsigncode is missing or failed
    """
    target = out or driver
    signer, cer = _signer(certificate, key)
    signature = sign_driver(driver, signer, target)
    if as_json:
        print_json(
            exit_code=0,
            image=target,
            signer=signer.subject,
            thumbprint=signer.thumbprint,
            certificate=cer,
            verified=signature is not None,
            digest=None if signature is None else signature.digest,
        )
        return
    click.echo(printable(f"{target}  signed by {signer.subject}"))
    click.echo(f"thumbprint {signer.thumbprint}")
    if cer is not None:
        click.echo(printable(f"certificate for the guest: {cer}"))
    if signature is None:
        click.echo(
            "not verified: the chain's root is not in the certificate's file, or there is no osslsigncode"
        )
    else:
        click.echo(f"verified: digest {signature.digest}")


@click.command("verify")
@click.argument("driver", type=click.Path(dir_okay=False, path_type=Path))
@_certificate
@json_option
def verify(driver: Path, certificate: str, as_json: bool) -> None:
    """Verify that a driver is what was signed, and who signed it. Needs osslsigncode.

    \b
    Examples:
      procnotify driver verify mydriver.sys
      procnotify driver verify mydriver.sys --certificate mine.pem

    \b
    Exit codes:
      0  it is signed by the certificate, or by one that it has issued
      2  it is not signed, was altered afterwards, or was signed by another; or the command line is wrong
      3  osslsigncode is missing or failed
    """
    signer = made_certificate()[0] if certificate == MADE else read_certificate(Path(certificate))
    signature = verify_driver(driver, signer)
    if as_json:
        print_json(
            exit_code=0,
            image=driver,
            signer=signature.subject,
            thumbprint=signature.thumbprint,
            digest=signature.digest,
        )
        return
    click.echo(printable(f"{driver}  signed by {signature.subject}"))
    click.echo(f"thumbprint {signature.thumbprint}")
    click.echo(f"digest {signature.digest}")


def _signer(certificate: str, key: Path | None) -> tuple[SigningCertificate, Path | None]:
    """Who signs, and the file of the certificate that was made."""
    if certificate == MADE:
        if key is not None:
            raise UsageError("--key is given without its certificate", hint="name it with --certificate")
        return made_certificate()
    if key is None:
        raise UsageError("the certificate is given without its key", hint="name it with --key")
    return read_certificate(Path(certificate), key), None
