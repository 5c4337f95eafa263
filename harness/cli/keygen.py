"""``procnotify keygen``: a new KDNET key."""

from __future__ import annotations

import secrets

import click

from harness.cli._options import json_option, print_json
from harness.kd.kdnet import Key

__all__ = ["command"]


@click.command(short_help="make a KDNET key")
@json_option
def command(as_json: bool) -> int:
    """Print a new random KDNET key, 256 bits in four base-36 parts.

    \b
    At the target, as administrator:
      bcdedit /dbgsettings net hostip:A.B.C.D port:50000 key:KEY

    \b
    Example:
      procnotify keygen
    """
    key = Key.generate(secrets.token_bytes).format()
    if as_json:
        print_json(exit_code=0, key=key)
    else:
        click.echo(key)
    return 0
