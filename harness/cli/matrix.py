"""``procnotify matrix``: scenarios on many machines, with many debuggers and drivers."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from harness.cli import INTERRUPTED
from harness.cli._options import json_option, kdfiles_option, log_options, print_json
from harness.cli._outputs import refuse_to_overwrite
from harness.cli._reports import begin_report, relay_to_ci_service
from harness.cli._running import MAX_AT_A_TIME, trace_dir_option
from harness.errors import UsageError
from harness.files import cannot_write
from harness.outcome import Outcome, worst
from harness.report.console import make_console
from harness.report.html.matrixpage import CELL_PAGE
from harness.report.html.writing import write_matrix_html
from harness.report.matrix import cell_as_json, cell_line, matrix_table, write_matrix_junit
from harness.report.text import one_line
from harness.runs.matrix import RUN_LOG, CellResult, MatrixInterrupted, matrix_cells, run_matrix
from harness.runs.opening import check_serving
from harness.yamlfile.finding import yaml_files_below

__all__ = ["command"]

_ITS_OWN: Final = frozenset(
    {"--machine", "--debugger", "--driver", "--json", "--junit", "--html", "--trace-dir", "--kdfiles"}
)
"""Options of ``run`` that are the matrix's own, or that it sets for each cell."""


@click.command(short_help="run scenarios on many machines, with many debuggers and drivers")
@click.argument("paths", nargs=-1, required=True, metavar="PATH... [-- RUN-OPTIONS]")
@click.option(
    "--machine",
    "machines",
    multiple=True,
    default=("virtual",),
    show_default=True,
    metavar="NAME",
    help="Where the drivers run; once for each machine.",
)
@click.option(
    "--debugger",
    "debuggers",
    multiple=True,
    default=("native",),
    show_default=True,
    metavar="NAME",
    help="Who listens; once for each debugger.",
)
@click.option(
    "--driver",
    "drivers",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.sys",
    help="The driver to test; once for each driver. Without it the project's own.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=MAX_AT_A_TIME),
    metavar="N",
    help="So many machines at a time. Without it all.",
)
@trace_dir_option("Where the folder of this matrix is made, with a folder for each cell.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML of all.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page with a table of all cells that a browser opens; each cell's runs have a page of their"
    " own in its folder, to which it links.",
)
@kdfiles_option
@json_option
@log_options
def command(
    paths: tuple[str, ...],
    machines: tuple[str, ...],
    debuggers: tuple[str, ...],
    drivers: tuple[Path, ...],
    jobs: int | None,
    trace_dir: Path,
    junit: Path | None,
    html: Path | None,
    kdfiles: bool,
    as_json: bool,
) -> int:
    """Run every scenario in PATH... with every combination of machine, debugger and driver.

    Each cell is one `procnotify run`; what stands behind `--` is given to every one: seeds, policies,
    deadlines, --strict. Machines run side by side, the cells of one machine one after the other.

    \b
    Examples:
      procnotify matrix scenarios --debugger native --debugger pykd
      procnotify matrix scenarios --machine lab.yaml --machine virtual --driver a.sys --driver b.sys
      procnotify matrix scenarios --driver a.sys --driver b.sys --html matrix.html -- --seeds 1-20
      procnotify matrix scenarios --machine lab.yaml --driver mydriver.sys --kdfiles

    \b
    Exit code: of all cells, the first of these that happened:
      2  the input of one is wrong
      3  the rig failed
      4  the target bugchecked
      1  the driver broke a promise
      0  all held that could be judged
      5  nothing of any scenario could be judged
    After Ctrl-C it is 130.
    """
    for word in paths:
        if (option := word.partition("=")[0]) in _ITS_OWN:
            raise UsageError(
                f"{option} stands behind --", hint="it is an option of matrix itself: put it before"
            )
    if kdfiles:
        for debugger in debuggers:
            check_serving(debugger)
        paths = (*paths, "--kdfiles")
    read = (*_named_files(paths), *drivers, *map(Path, machines))
    refuse_to_overwrite({"--junit": junit, "--html": html}, read, in_place=("--junit",))
    console = make_console(stderr=as_json)
    cells = matrix_cells(machines, debuggers, drivers or (None,))
    folder = trace_dir / f"matrix-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(folder, error, hint="choose another --trace-dir") from None
    if html is not None:
        begin_report(html, "--html")
    interrupted = False

    def tell(result: CellResult) -> None:
        console.print(cell_line(result), soft_wrap=True)

    console.print(f"{len(cells)} cells on {len(set(machines))} machine(s); all that they say is in {folder}")
    try:
        page = None if html is None else CELL_PAGE
        results = run_matrix(cells, paths, folder, jobs=jobs or len(cells), tell=tell, html=page)
    except MatrixInterrupted as end:
        results, interrupted = list(end.results), True
    console.print(matrix_table(results))
    relay_to_ci_service((result.folder / RUN_LOG for result in results), to_stderr=as_json)
    code: int = worst(result.outcome for result in results)
    for path, option, write in ((junit, "--junit", write_matrix_junit), (html, "--html", write_matrix_html)):
        if path is None:
            continue
        try:
            write(path, results)
        except OSError as error:
            failed = cannot_write(path, error, hint=f"choose another {option}")
            click.echo(f"procnotify: {one_line(str(failed))}", err=True)
            code = worst((Outcome(code), Outcome.of(failed)))
    if interrupted:
        code = INTERRUPTED
    if as_json:
        print_json(exit_code=code, folder=folder, cells=[cell_as_json(result) for result in results])
    return code


def _named_files(words: Iterable[str]) -> Iterator[Path]:
    """The scenario files, and whatever else the words of ``procnotify run`` name."""
    for path in map(Path, words):
        if path.is_dir():
            yield from yaml_files_below(path)
        elif path.is_file():
            yield path
