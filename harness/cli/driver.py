"""``procnotify driver``: compile a driver without system packages."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.cli._signing import sign, verify
from harness.report.text import printable
from harness.resources import driver_sources
from harness.toolchain import Arch, SourceError, build_driver

__all__ = ["command"]


@click.group("driver")
def command() -> None:
    """Build a driver, sign it, verify its signature.

    \b
    Examples:
      procnotify driver build --arch x64 --out procnotify.sys
      procnotify driver sign procnotify.sys
    """


command.add_command(sign)
command.add_command(verify)


@command.command("build")
@click.option(
    "--source",
    type=click.Path(exists=True, path_type=Path),
    help="Folder (or file) of driver sources, C or C++.  [default: the project's own driver]",
)
@click.option(
    "--arch",
    type=click.Choice([arch.value for arch in Arch]),
    default=Arch.X64.value,
    show_default=True,
    help="Architecture of the target.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .sys to write; the .pdb goes beside it.  [default: NAME.sys in the current folder]",
)
@click.option("-v", "--verbose", is_flag=True, help="Show each step.")
@json_option
def build(source: Path | None, arch: str, out: Path | None, verbose: bool, as_json: bool) -> None:
    """Compile a driver to a .sys with a .pdb beside it. The same sources give the same file, byte for byte.

    What the compiler warns of is shown with its source line, arguments that do not fit the format of a
    DbgPrint above all. Errors are shown all.

    \b
    Examples:
      procnotify driver build
      procnotify driver build --source path/to/mydriver --arch x86 --out mydriver.sys

    \b
    Exit codes:
      0  built
      2  the compiler refuses the sources, or the command line is wrong
      3  the compiler could not be run, or the disk is full
    """
    sources = source or driver_sources() / "procnotify"
    root = sources.resolve()
    target = out or Path(f"{root.name if root.is_dir() else root.stem}.sys")
    warnings: list[str] = []
    try:
        result = build_driver(
            sources, Arch(arch), target, progress=_say if verbose else None, warned=warnings.append
        )
    except SourceError as refused:
        _say(refused.output.rstrip("\n"))
        raise
    for warning in warnings:
        _say(warning)
    if as_json:
        print_json(
            exit_code=0,
            image=result.path,
            pdb=result.pdb,
            arch=arch,
            bytes=result.path.stat().st_size,
            sha256=result.sha256,
            warnings=warnings,
        )
        return
    click.echo(f"{result.path}  {arch}  {result.path.stat().st_size} bytes")
    click.echo(f"{result.pdb}")
    click.echo(f"SHA-256 {result.sha256}")


def _say(step: str) -> None:
    click.echo(printable(step), err=True)
