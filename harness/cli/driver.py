"""``procnotify driver``: compile a driver without system packages."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.cli._signing import sign, verify
from harness.errors import UsageError
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
    "sources",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder (or file) of driver sources, C or C++; may be given several times.  [default: the project's"
    " own driver]",
)
@click.option(
    "-I",
    "--include",
    "includes",
    metavar="DIR",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A further folder of headers; may be given several times.",
)
@click.option(
    "-D",
    "--define",
    "defines",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="A macro, 1 without a value; may be given several times.",
)
@click.option(
    "--integritycheck",
    is_flag=True,
    help="Link with /INTEGRITYCHECK, which PsSetCreateProcessNotifyRoutineEx and ObRegisterCallbacks demand;"
    " a #pragma comment(linker, ...) in a source does the same.",
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
@click.option("-v", "--verbose", is_flag=True, help="Show each step, which a terminal shows anyway.")
@json_option
def build(
    sources: tuple[Path, ...],
    includes: tuple[Path, ...],
    defines: tuple[str, ...],
    integritycheck: bool,
    arch: str,
    out: Path | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Compile a driver to a .sys with a .pdb beside it. The same sources give the same file, byte for byte.

    What the compiler warns of is shown with its source line, arguments that do not fit the format of a
    DbgPrint above all. Errors are shown all.

    \b
    Examples:
      procnotify driver build
      procnotify driver build --source path/to/mydriver --arch x86 --out mydriver.sys
      procnotify driver build --source driver --source shared -I include -D POOL_NX_OPTIN=1 --integritycheck

    \b
    Exit codes:
      0  built
      2  the compiler refuses the sources, or the command line is wrong
      3  the compiler could not be run, or the disk is full
    """
    sources = sources or (driver_sources() / "procnotify",)
    root = sources[0].resolve()
    target = out or Path(f"{root.name if root.is_dir() else root.stem}.sys")
    warnings: list[str] = []
    try:
        result = build_driver(
            sources,
            Arch(arch),
            target,
            includes=includes,
            defines=dict(_macro(written) for written in defines),
            integrity_check=integritycheck,
            progress=_say if verbose or sys.stderr.isatty() else None,
            warned=warnings.append,
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


def _macro(written: str) -> tuple[str, str]:
    """``NAME`` or ``NAME=VALUE``."""
    name, _, value = written.partition("=")
    if not name.isidentifier() or not name.isascii():
        raise UsageError(f"-D {written} names no macro", hint="write -D NAME or -D NAME=VALUE")
    return name, value if "=" in written else "1"


def _say(step: str) -> None:
    click.echo(printable(step), err=True)
