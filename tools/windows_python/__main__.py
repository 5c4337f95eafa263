"""``python -m tools.windows_python``: the project's own programs and tests in a Windows Python under Wine.

Exit code: of `run` that of the program, and 130 if it was interrupted; otherwise as in harness/errors.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from harness.cli.wine import Shown
from harness.errors import ProcnotifyError
from tools.windows_python.debugger import pykd_environment
from tools.windows_python.lock import lock as pin
from tools.windows_python.prefix import ROOT, WindowsPython
from tools.windows_python.run import INTERRUPTED
from tools.windows_python.run import run as run_program
from tools.windows_python.setup import setup as build


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """A Windows CPython under Wine, for the project's own tests.

    \b
    Examples:
      python -m tools.windows_python setup
      python -m tools.windows_python run -m pytest tests/kd
      python -m tools.windows_python run -m harness run scenarios
    """


@commands.command()
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the wheels and Debian packages, instead of the registries.",
)
@click.option("--pykd", is_flag=True, help="Put a Python 3.9 with pykd beside it, for --debugger pykd.")
def setup(source: Path | None, pykd: bool) -> None:
    """Build the Python in the cache folder, and prove that it works.

    Takes a minute and 1.5 GB, once. Interrupted, it goes on where it stood; repeated, it only checks. The
    Python with pykd is the one that `procnotify wine setup` makes, which is run first if need be.

    \b
    Examples:
      python -m tools.windows_python setup
      python -m tools.windows_python setup --pykd
    """
    prefix = WindowsPython()
    with Shown() as reporter:
        facts = build(prefix, reporter, source=source, pykd=pykd)
    click.echo(f"Python {facts['python']} for {facts['platform']} is ready under Wine, in {prefix.root}")


@commands.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run python.exe with ARGUMENTS in the current folder; the project is this checkout.

    The exit code is the program's. There is no standard input.

    \b
    Examples:
      python -m tools.windows_python run -m pytest -x tests/kd
      python -m tools.windows_python run -c "import sys; print(sys.platform)"
    """
    prefix = WindowsPython()
    environment = pykd_environment(prefix) | prefix.project_environment(os.environ)
    sys.exit(run_program(prefix, arguments, environment))


@commands.command()
def lock() -> None:
    """Pin the dependencies anew: write requirements.txt out of pyproject.toml and tox.ini.

    \b
    Example:
      python -m tools.windows_python lock
    """
    click.echo(f"{pin(ROOT)} wheels are pinned")


def main() -> None:
    """Entry point: what goes wrong is one line and its exit code."""
    try:
        commands.main(standalone_mode=False, prog_name="python -m tools.windows_python")
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ProcnotifyError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
