"""``procnotify doctor``: which link between a machine and a verdict is broken."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.text import Text

from harness.cli._options import (
    connection_text,
    debugger_option,
    json_option,
    log_options,
    print_json,
    timeout_option,
)
from harness.errors import UsageError
from harness.outcome import Outcome
from harness.report.console import make_console
from harness.report.text import one_line
from harness.runs.doctor import Finding, LinkState, examine
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.runner import DEFAULT_SEED
from harness.runs.watch import Watch

__all__ = ["command"]

_STYLES = {
    LinkState.SOUND: "green",
    LinkState.BROKEN: "bold red",
    LinkState.NOT_REACHED: "dim",
    LinkState.NOT_ASKED: "dim",
}


@click.command(short_help="find the broken link between a machine and a verdict")
@click.argument("machine", metavar="MACHINE")
@debugger_option
@click.option(
    "--driver",
    type=click.Path(path_type=Path),
    metavar="FILE.sys",
    help="The driver to load. Without it the project's own, which prints when it is loaded.",
)
@click.option(
    "--connection",
    callback=connection_text,
    metavar="K",
    help="Where the debugger listens, as for WinDbg's -k. Without it the machine's own choice.",
)
@timeout_option
@json_option
@log_options
def command(
    machine: str, debugger: str, driver: Path | None, connection: str | None, timeout: float, as_json: bool
) -> int:
    """Try every link of the chain on MACHINE: a name, or a machine file.

    The machine is brought up, its guest asked how Windows was started, the debugger attached, a print sent
    through, a driver loaded and unloaded, the target let go. The first link that breaks is named with what
    was seen there and the way out.

    \b
    Examples:
      procnotify doctor virtual
      procnotify doctor lab.yaml --debugger pykd
      procnotify doctor lab.yaml --driver my.sys --log doctor.log

    \b
    Exit code:
      0  every link is sound
      1  the driver does not load or unload, or prints without end
      2  the command line, the machine file or the driver file is wrong
      3  a link is broken
      4  the target bugchecked
    """
    if debugger == NO_DEBUGGER:
        raise UsageError("without a debugger there is no chain to look at", hint="choose another --debugger")
    console = make_console(stderr=as_json)

    def tell(finding: Finding) -> None:
        line = Text(f"{finding.state:<12}", style=_STYLES[finding.state])
        line.append(str(finding.link), style="default")
        words = [finding.evidence] if finding.error is None else [finding.error.message, finding.error.hint]
        for told in filter(None, words):
            line.append(f"\n    {one_line(told)}", style="default")
        console.print(line, soft_wrap=True)

    with (
        tempfile.TemporaryDirectory(prefix="procnotify-") as folder,
        open_rig(
            machine=machine,
            debugger=debugger,
            driver=driver,
            trace_folder=Path(folder),
            connection=connection,
            watch=Watch(silence=timeout),
            building=lambda line: click.echo(line, err=True),
        ) as rig,
    ):
        findings = examine(rig, seed=DEFAULT_SEED, tell=tell)
    broken = next((finding.error for finding in findings if finding.error is not None), None)
    code = Outcome.PASSED if broken is None else Outcome.of(broken)
    if as_json:
        print_json(exit_code=code, machine=machine, links=[_as_json(finding) for finding in findings])
    return code


def _as_json(finding: Finding) -> dict[str, object]:
    hint = "" if finding.error is None else finding.error.hint
    return {
        "link": finding.link.name.lower(),
        "what": finding.link.value,
        "state": finding.state.value,
        "evidence": finding.evidence,
        "hint": hint,
    }
