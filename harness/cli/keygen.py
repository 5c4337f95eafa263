"""``procnotify keygen``: a new KDNET key."""

from __future__ import annotations

import secrets

import click

from harness.kd.kdnet import Key

__all__ = ["command"]


@click.command(short_help="make a KDNET key")
def command() -> int:
    """Print a new random KDNET key, 256 bits in four base-36 parts.

    \b
    At the target, as administrator:
      bcdedit /dbgsettings net hostip:A.B.C.D port:50000 key:KEY

    \b
    Example:
      procnotify keygen
    """
    click.echo(Key.generate(secrets.token_bytes).format())
    return 0
