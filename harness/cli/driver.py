"""``procnotify driver``: compile a driver without system packages."""

from __future__ import annotations

from pathlib import Path

import click

from harness.resources import driver_sources
from harness.toolchain import Arch, CompilerRefusal, build_driver

__all__ = ["command"]


@click.group("driver")
def command() -> None:
    """Build a driver.

    \b
    Example:
      procnotify driver build --arch x64 --out procnotify.sys
    """


@command.command("build")
@click.option(
    "--source",
    type=click.Path(exists=True, path_type=Path),
    help="Folder (or file) of WDK sources, C or C++.  [default: the project's own driver]",
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
@click.option("-v", "--verbose", is_flag=True, help="Show each step, and all that the compiler says.")
def build(source: Path | None, arch: str, out: Path | None, verbose: bool) -> None:
    """Compile a driver to a .sys with a .pdb beside it. The same sources give the same file, byte for byte.

    \b
    Examples:
      procnotify driver build
      procnotify driver build --source path/to/mydriver --arch x86 --out mydriver.sys
    """
    sources = source or driver_sources() / "procnotify"
    root = sources.resolve()
    target = out or Path(f"{root.name if root.is_dir() else root.stem}.sys")
    try:
        result = build_driver(sources, Arch(arch), target, progress=_say if verbose else None)
    except CompilerRefusal as refusal:
        if verbose:
            click.echo(refusal.output, err=True)
        raise
    click.echo(f"{result.path}  {arch}  {result.path.stat().st_size} bytes")
    click.echo(f"{result.pdb}")
    click.echo(f"SHA-256 {result.sha256}")


def _say(step: str) -> None:
    click.echo(step, err=True)
