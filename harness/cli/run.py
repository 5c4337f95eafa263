"""``procnotify run``: scenarios on a machine, judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from harness.cli import INTERRUPTED
from harness.cli._again import again, shown_words
from harness.cli._completion import names_or_files
from harness.cli._failing import fail_calls as fail_each
from harness.cli._failing import fail_calls_option, refuse_beside_fail_calls
from harness.cli._options import (
    connection_text,
    drivers_option,
    json_option,
    kdfiles_option,
    lines_option,
    log_options,
    policy_option,
    print_json,
    print_mask_option,
    processors_option,
    strict_option,
    timeout_option,
    without_rule_option,
    witness_option,
)
from harness.cli._outputs import refuse_to_overwrite
from harness.cli._project import project_file_of
from harness.cli._replaying import run_replay
from harness.cli._reports import begin_report, finish_html, finish_junit, html_option, tell_ci_service
from harness.cli._running import MAX_AT_A_TIME, cluster_option, seed_option, trace_dir_option
from harness.cli._seeds import MAX_SEEDS, first_and_number, seed_range
from harness.debuggers import DEBUGGERS
from harness.errors import ProcnotifyError, UsageError
from harness.events import WitnessName
from harness.internal import internal_error
from harness.lines import Grammar
from harness.machines import MACHINES
from harness.outcome import Outcome, worst
from harness.report.console import make_console
from harness.report.frequency import frequencies
from harness.report.runs_json import result_as_json
from harness.report.terminal import TerminalReport
from harness.report.text import one_line
from harness.runs.cluster import run_cluster
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.parallel import run_parallel
from harness.runs.rig import KeptTraces
from harness.runs.scenarios import find_scenarios, load_scenarios
from harness.runs.series import Series, run_series
from harness.runs.watch import Watch
from harness.verdict.causes import by_cause

__all__ = ["command"]

_VIRTUAL, _NATIVE = "virtual", "native"
MAX_RETRIES = 100
"""Of one run, at most."""


@click.command(short_help="run scenarios on a machine and check the callback order")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--machine",
    default=_VIRTUAL,
    show_default=True,
    metavar="NAME|FILE",
    shell_complete=names_or_files(MACHINES, files=True),
    help=f"Where the driver runs: {', '.join(MACHINES)}, or the path of a machine file (lab.yaml).",
)
@click.option(
    "--debugger",
    default=_NATIVE,
    show_default=True,
    shell_complete=names_or_files((*DEBUGGERS, NO_DEBUGGER)),
    metavar="NAME",
    help=f"Who listens: {', '.join(DEBUGGERS)}; or {NO_DEBUGGER}: the virtual target runs in this process,"
    " with the same events and verdicts, in a fraction of the time.",
)
@drivers_option("The driver to test. Without it the project's own, built when the cache does not have it.")
@seed_option("Seed of the virtual target. Without it the scenario's own, or 1.")
@click.option(
    "--repeat",
    type=click.IntRange(min=1, max=MAX_SEEDS),
    metavar="N",
    help="Run everything N times, with seed, seed+1, ... Without it once.",
)
@click.option(
    "--seeds",
    callback=seed_range,
    metavar="A-B",
    help="Run everything with each seed from A to B; only what does not pass is shown and keeps its trace.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=MAX_AT_A_TIME),
    default=1,
    show_default=True,
    metavar="N",
    help=f"So many runs at a time, each in a process of its own; only with --debugger {NO_DEBUGGER}.",
)
@cluster_option(", each on a machine of its own")
@click.option(
    "--keep-traces",
    type=click.Choice([kept.value for kept in KeptTraces]),
    help="Of which runs the traces stay. Without it of all, with --seeds of those that failed.",
)
@click.option(
    "--connection",
    callback=connection_text,
    metavar="K",
    help="Where the debugger listens, as for WinDbg's -k. Without it a free port on loopback and a new key.",
)
@timeout_option
@click.option(
    "--step-timeout",
    type=click.FloatRange(min=0.1),
    default=Watch.printing,
    show_default=True,
    metavar="SECONDS",
    help="A driver that prints without end during one step hangs after this long, and what the step sleeps.",
)
@trace_dir_option(
    "Where the folder with this call's traces is made; `latest` beside it stands for the newest."
)
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
@html_option
@click.option(
    "--retries",
    type=click.IntRange(min=0, max=MAX_RETRIES),
    default=0,
    show_default=True,
    metavar="N",
    help="Begin a run whose rig failed anew, at most N times; a result that needed it says so.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Do the run of a replay file again, bit for bit, with the scenario in it (docs/exploring.md).",
)
@kdfiles_option
@strict_option
@witness_option
@without_rule_option
@fail_calls_option
@click.option("--fail-fast", is_flag=True, help="Stop after the first run that does not pass.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what did not pass, and the totals.")
@policy_option
@processors_option
@print_mask_option
@lines_option
@json_option
@log_options
def command(
    paths: tuple[Path, ...],
    machine: str,
    debugger: str,
    drivers: tuple[Path, ...],
    seed: int | None,
    policy: str | None,
    processors: int | None,
    print_masks: dict[str, int],
    lines: Grammar | None,
    repeat: int | None,
    seeds: range | None,
    jobs: int,
    cluster: str | None,
    keep_traces: str | None,
    connection: str | None,
    timeout: float,
    step_timeout: float,
    trace_dir: Path,
    junit: Path | None,
    html: Path | None,
    retries: int,
    replay: Path | None,
    kdfiles: bool,
    strict: bool,
    witness: WitnessName | None,
    rules_off: frozenset[str],
    fail_calls: bool,
    fail_fast: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run every scenario in PATH... and check the order of the driver's events.

    PATH is a scenario file, or a folder: every *.yaml and *.yml in it and below it whose first key is
    `scenario`. All scenario files are read before anything starts.

    The traces go into a folder of their own, TRACE_DIR/TIME-ID. Of calls in which everything passed the
    newest 20 folders are kept, of all others every one.

    On GitHub Actions and Azure Pipelines each cause of a failure is also an annotation at the scenario's
    line, and all runs are a table in the summary (docs/ci.md).

    \b
    Examples:
      procnotify run scenarios
      procnotify run scenarios --repeat 50 --seed 1 --junit results.xml
      procnotify run scenarios --policy random --repeat 100
      procnotify run scenarios --driver bus.sys --driver mydriver.sys
      procnotify run scenarios --debugger none --seeds 1-10000 --jobs 2
      procnotify run scenarios --debugger none --seeds 1-100000 --cluster tcp://lab:8786
      procnotify run scenarios --machine lab.yaml --repeat 50
      procnotify run scenarios --machine lab.yaml --driver mydriver.sys --kdfiles
      procnotify run scenarios --driver silent.sys --witness target
      procnotify run --replay lost-update.replay.json --driver mydriver.sys
      procnotify run scenarios --debugger none --driver mydriver.sys --fail-calls
      procnotify run scenarios --html report.html
      procnotify run scenarios --json > results.json

    \b
    Exit code: 2 when the input is wrong; otherwise, of all runs, the first of these that happened:
      3  the rig failed (no connection, target lost, debugger died, lines lost); with --strict, a promise
         could not be judged
      4  the target bugchecked
      1  the driver broke a promise
      0  all held that could be judged
      5  nothing of any scenario could be judged
    After Ctrl-C it is 130.
    """
    if html is not None and (replay is not None or fail_calls):
        which = "--replay" if replay is not None else "--fail-calls"
        raise UsageError(f"--html has no page for {which}", hint="leave out the one or the other")
    if replay is not None:
        return run_replay(
            replay,
            paths,
            debugger=debugger,
            drivers=drivers,
            watch=Watch(silence=timeout, printing=step_timeout),
            trace_dir=trace_dir,
            quiet=quiet,
            as_json=as_json,
        )
    if not paths:
        raise click.UsageError("Missing argument 'PATH...'.")
    if fail_calls:
        refuse_beside_fail_calls(debugger)
    seed, repeat = first_and_number(seed, repeat, seeds)
    if jobs > 1 and debugger != NO_DEBUGGER:
        raise UsageError(
            f"--jobs {jobs} has no use for a debugger",
            hint=f"add --debugger {NO_DEBUGGER}, or leave out --jobs",
        )
    if cluster is not None:
        _check_cluster(jobs, connection)
    say = partial(click.echo, err=True)
    found = find_scenarios(paths)
    for path in found.left_aside:
        say(f"procnotify: left aside, its first key is not 'scenario': {one_line(str(path))}")
    scenarios, errors = load_scenarios(found.scenarios)
    for error in errors:
        say(f"procnotify: {one_line(str(error))}")
    if errors:
        if as_json:
            print_json(exit_code=Outcome.USAGE, error=one_line(str(errors[0])))
        return Outcome.USAGE
    read = (*found.scenarios, *drivers, Path(machine))
    refuse_to_overwrite({"--junit": junit, "--html": html}, read, in_place=("--junit",))
    if junit is not None:
        begin_report(junit, "--junit")
    if html is not None:
        begin_report(html, "--html")
    scenarios = [scenario.without_rules(rules_off) for scenario in scenarios]
    runs = len(scenarios) * repeat
    report = TerminalReport(make_console(stderr=as_json), runs=runs, quiet=quiet, passing=seeds is None)
    kept = KeptTraces(keep_traces or (KeptTraces.ALL if seeds is None else KeptTraces.FAILED).value)
    series = Series(())
    failed: list[ProcnotifyError] = []
    try:
        with (
            open_rig(
                machine=machine,
                debugger=debugger,
                driver=drivers[-1] if drivers else None,
                other_drivers=drivers[:-1],
                trace_folder=trace_dir,
                connection=connection,
                watch=Watch(silence=timeout, printing=step_timeout),
                policy=policy,
                processors=processors,
                keep_traces=kept,
                retries=retries,
                kdfiles=kdfiles,
                strict=strict,
                witness=witness,
                print_masks=print_masks,
                lines=lines,
                elsewhere=cluster is not None,
                subscribers=(report,),
                building=say,
            ) as rig,
            report,
        ):
            if fail_calls:
                return fail_each(rig, scenarios, seed, as_json=as_json)
            run = run_series if jobs == 1 else partial(run_parallel, jobs=jobs)
            if cluster is not None:
                listener = None if debugger == NO_DEBUGGER else debugger
                run = partial(run_cluster, address=cluster, machine=machine, debugger=listener)
            series = run(rig, scenarios, seed=seed, repeat=repeat, fail_fast=fail_fast)
            if series.refused is not None:
                raise series.refused
    except Exception as error:
        # Whatever it is, what came of the runs before it is told.
        if not series.results and series.interrupted is None:
            raise
        failed.append(error if isinstance(error, ProcnotifyError) else internal_error(error))
    if series.interrupted is not None:
        say(f"procnotify: {one_line(series.interrupted.reason)}; {series.interrupted.left}")
    report.summary()
    if seeds is not None:
        for alike in by_cause(series.results):
            like = again(
                machine,
                debugger,
                drivers,
                policy,
                processors,
                print_masks,
                kdfiles=kdfiles,
                strict=strict,
                witness=witness,
                rules_off=rules_off,
                in_project=project_file_of(click.get_current_context()) is not None,
            )
            words = ["procnotify", "run", str(alike[0].path), "--seed", str(alike[0].seed), *like]
            say(f"again: {one_line(shown_words(words))}")
    if rig.traces.path is not None:
        click.echo(f"traces: {one_line(str(rig.traces.path))}", err=as_json)
    if junit is not None:
        failed += finish_junit(junit, series.results)
    if html is not None:
        failed += finish_html(html, series.results, often=frequencies(series.results))
    for failure in failed:
        say(f"procnotify: {one_line(str(failure))}")
    tell_ci_service(series.results, to_stderr=as_json)
    code = INTERRUPTED if series.interrupted is not None else _code(series, failed)
    if as_json:
        _print_json(series, code, rig.traces.path, failed)
    return code


def _check_cluster(jobs: int, connection: str | None) -> None:
    """On a cluster each worker does one run at a time, over a connection of its machine's own."""
    if jobs > 1:
        raise UsageError(
            "--jobs is for this computer, --cluster for others",
            hint="leave out the one or the other; a cluster does as many runs at a time as it has machines",
        )
    if connection is not None:
        raise UsageError(
            "--connection names one place, and on a cluster every worker listens at its own",
            hint="leave out --connection",
        )


def _code(series: Series, failed: Iterable[ProcnotifyError]) -> int:
    return worst((series.outcome, *map(Outcome.of, failed)))


def _print_json(series: Series, code: int, traces: Path | None, failed: Sequence[ProcnotifyError]) -> None:
    interrupted = series.interrupted
    error = {"error": one_line(str(failed[0]))} if failed else {}
    print_json(
        exit_code=code,
        **error,
        traces=traces,
        results=[result_as_json(result) for result in series.results],
        interrupted=None if interrupted is None else result_as_json(interrupted),
    )
