# ruff: noqa: N999 - a module has the name of its command
"""``procnotify try``: a driver without a scenario, in its first minute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from harness.cli import INTERRUPTED
from harness.cli._failing import fail_calls as fail_each
from harness.cli._failing import fail_calls_option
from harness.cli._options import (
    json_option,
    print_json,
    print_masks_option,
    processors_option,
    without_rule_option,
)
from harness.errors import UsageError
from harness.outcome import Outcome
from harness.report.calltree import TreeRow, call_tree, tree_as_json, tree_lines
from harness.report.explanation import broken_rules_text, explanation_text
from harness.report.text import one_line, printable
from harness.report.verdict import broken_rules_as_json
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.progress import PhaseEntered, Progress, StepStarted
from harness.runs.result import RunResult
from harness.runs.runner import DEFAULT_SEED, RunInterrupted
from harness.runs.steps import STAYS_LOADED
from harness.runs.trial import Trial, exercise

__all__ = ["command"]

_OPEN_MASKS = {"DEFAULT": 0xF, "IHVDRIVER": 0xF}
"""So that a plain DbgPrint is heard."""


@click.command(short_help="load a driver on the virtual target and show what it does")
@click.argument("driver", type=click.Path(path_type=Path), metavar="FILE.sys")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=DEFAULT_SEED,
    show_default=True,
    metavar="N",
    help="Seed of the virtual target.",
)
@processors_option
@print_masks_option("0xf, of DEFAULT and IHVDRIVER, and of the others errors alone")
@without_rule_option
@fail_calls_option
@click.option(
    "--trace-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the trace, in a folder that is made here.",
)
@json_option
def command(
    driver: Path,
    seed: int,
    processors: int | None,
    print_masks: dict[str, int],
    rules_off: frozenset[str],
    fail_calls: bool,
    trace_dir: Path | None,
    as_json: bool,
) -> int:
    """Load FILE.sys on the virtual target, let processes, threads and images come and go, and show that.

    No scenario, no configuration, no debugger: a program is launched, gets a thread from another process and
    is ended, a library is loaded, and the driver is unloaded, loaded again, and unloaded while a program
    still runs. Shown are the callbacks as the target called them, a tree of processes with their threads and
    images, the driver's prints beside them, and what was wrong: a bugcheck, a hang, a standing rule that is
    broken (docs/verdicts.md). Where the driver refuses or ends a program, what needs it is left out, and that
    is told; so is that a driver has no unload routine.

    A plain DbgPrint is heard, which Windows would hide; --print-mask says otherwise.

    \b
    Examples:
      procnotify try mydriver.sys
      procnotify try mydriver.sys --without-rule CallbackWaitsLong
      procnotify try mydriver.sys --fail-calls
      procnotify try mydriver.sys --json > found.json

    \b
    Exit codes:
      0  nothing was wrong
      1  the driver did something wrong
      2  the command line or the file is wrong, or the driver used what the virtual target lacks
      3  the rig failed
      4  the target bugchecked
    After Ctrl-C it is 130.
    """
    if fail_calls and trace_dir is not None:
        raise UsageError("--fail-calls keeps no traces", hint="leave out --trace-dir")
    trial = Trial()
    say = partial(click.echo, err=as_json)
    with ExitStack() as closing:
        folder = trace_dir or Path(closing.enter_context(TemporaryDirectory(prefix="procnotify-")))
        rig = closing.enter_context(
            open_rig(
                machine="virtual",
                debugger=NO_DEBUGGER,
                driver=driver,
                trace_folder=folder,
                processors=processors,
                print_masks={**_OPEN_MASKS, **print_masks},
                subscribers=() if fail_calls else (trial.see, _tell_progress),
                building=partial(click.echo, err=True),
            )
        )
        if fail_calls:
            return fail_each(
                replace(rig, undone=lambda _: None),
                [exercise().without_rules(rules_off)],
                seed,
                as_json=as_json,
            )
        try:
            result = trial.run(rig, exercise().without_rules(rules_off), seed)
        except RunInterrupted as interrupted:
            click.echo(f"procnotify: {one_line(interrupted.result.reason)}", err=True)
            return INTERRUPTED
        trace = rig.traces.path if trace_dir is not None else None
    rows = call_tree(trial.seen, trial.prints)
    _show(say, rows, trial)
    if result is None:
        assert trial.refused is not None
        raise trial.refused
    for line in _account(result, trial.undone):
        say(printable(line))
    if trace is not None:
        click.echo(f"traces: {one_line(str(trace))}", err=True)
    if as_json:
        _print_json(driver, seed, result, rows, trial.undone)
    return int(result.outcome)


def _tell_progress(progress: Progress) -> None:
    match progress:
        case PhaseEntered(phase) if phase in ("boot", "check"):
            click.echo(f"procnotify: {phase}", err=True)
        case StepStarted(text):
            click.echo(f"procnotify: {printable(text)}", err=True)


def _show(say: partial[None], rows: list[TreeRow], trial: Trial) -> None:
    if not trial.seen:
        say("the target called no callback of this driver")
    for line in tree_lines(rows):
        say(printable(line))
    if trial.beyond:
        say(f"and {trial.beyond} more lines of the driver")


def _account(result: RunResult, undone: Sequence[str]) -> Iterable[str]:
    """The outcome, and why."""
    yield ""
    yield f"{result.outcome.words}: {result.observed}" if result.observed else result.outcome.words
    yield from undone
    yield from result.limits
    if result.outcome is Outcome.PASSED:
        stays = any(STAYS_LOADED in each for each in undone)
        yield f"{'it stays loaded' if stays else 'nothing is left behind'}, and no standing rule is broken"
        return
    yield result.reason
    yield from broken_rules_text(result.broken_rules, result.reason).splitlines()
    if result.check is not None:
        yield from explanation_text(result.check, result.reason).splitlines()


def _print_json(
    driver: Path, seed: int, result: RunResult, rows: list[TreeRow], undone: Sequence[str]
) -> None:
    print_json(
        exit_code=int(result.outcome),
        driver=driver,
        seed=seed,
        outcome=result.outcome.words,
        reason=result.reason,
        observed=result.observed or None,
        broken_rules=broken_rules_as_json(result.broken_rules),
        notes=[*undone, *result.notes],
        tree=tree_as_json(rows),
        seconds=round(result.seconds, 3),
    )
