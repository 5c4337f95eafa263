"""``procnotify explore``: many schedules of one scenario, and what fails in some of them."""

from __future__ import annotations

import os
import secrets
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import click
from click.core import ParameterSource

import harness
from harness.cli import INTERRUPTED
from harness.cli._again import shown_words
from harness.cli._options import (
    drivers_option,
    json_option,
    log_options,
    print_json,
    print_mask_option,
    processors_option,
    strict_option,
    without_rule_option,
    witness_option,
)
from harness.cli._reports import annotate_ci_service
from harness.cli._running import MAX_AT_A_TIME, cluster_option, seed_option, trace_dir_option
from harness.cli._seeds import MAX_SEEDS, explored_seeds
from harness.errors import RigError, ScenarioError, UsageError
from harness.events import WitnessName
from harness.exploration.exploring import EXHAUSTIVE, Exploration, Explorer, Plan
from harness.exploration.journal import Journal
from harness.exploration.keeping import keep_replay
from harness.exploration.replayfile import FileDigest, ingredients, text_sha256
from harness.exploration.running import trials_here, trials_on_cluster
from harness.report.exploration import account_lines, exploration_as_json, failure_annotations
from harness.report.text import one_line
from harness.runs.batches import BatchLost
from harness.runs.opening import NO_DEBUGGER, open_rig
from harness.runs.rig import KeptTraces, Rig
from harness.runs.runner import seed_of
from harness.scenario import Scenario, parse
from harness.virtual.dispatcher.policies import POLICIES, check_policy
from harness.yamlfile.nodes import Source
from harness.yamlfile.parse import read_text

__all__ = ["command"]

MAX_PREEMPTIONS: Final = 8
TOLD_EVERY: Final = 5.0
"""Seconds between two lines of progress."""
_DEFAULT: Final = "urw"


def _policy(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return value if value == EXHAUSTIVE else check_policy(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}, {EXHAUSTIVE}") from None


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_AT_A_TIME)
    return min(os.cpu_count() or 1, MAX_AT_A_TIME)


@click.command(short_help="look for the interleavings that break a driver")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option(
    "--seeds",
    type=click.IntRange(min=1, max=MAX_SEEDS),
    callback=explored_seeds,
    metavar="N",
    help=f"Explore N seeds, at most {MAX_SEEDS:,}. Without it 100; with the exhaustive policy 1.",
)
@seed_option("The first seed. Without it the scenario's own, or 1.", metavar="S")
@click.option(
    "--policy",
    default=_DEFAULT,
    show_default=True,
    callback=_policy,
    metavar="NAME",
    help=f"Who goes first: {', '.join(POLICIES)}, or {EXHAUSTIVE}: all with at most --preemptions.",
)
@click.option(
    "--preemptions",
    type=click.IntRange(min=0, max=MAX_PREEMPTIONS),
    default=Plan.preemptions,
    show_default=True,
    metavar="K",
    help=f"With {EXHAUSTIVE}: how many preemptions a schedule has at most.",
)
@click.option(
    "--max-schedules",
    type=click.IntRange(min=1),
    default=Plan.schedules,
    show_default=True,
    metavar="N",
    help=f"With {EXHAUSTIVE}: give up after so many schedules.",
)
@click.option(
    "--cpus",
    type=click.IntRange(min=1, max=MAX_AT_A_TIME),
    metavar="K",
    help="So many runs at a time, each in a process of its own. Without it one for each processor here.",
)
@cluster_option()
@drivers_option("The driver to test. Without it the project's own, built when the cache does not have it.")
@processors_option
@print_mask_option
@witness_option
@strict_option
@without_rule_option
@click.option("--fail-fast", is_flag=True, help="Look for no more once a schedule has failed.")
@click.option("--no-shrink", is_flag=True, help="Do not look for the fewest preemptions of a failure.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("replays"),
    show_default=True,
    metavar="DIR",
    help="Where the replay files of failures are written.",
)
@trace_dir_option("Where the folder with the traces of failures is made.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep what is found in FILE as it comes; where FILE is there, go on where it ends.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
@log_options
def command(
    scenario: Path,
    seeds: int | None,
    seed: int | None,
    policy: str,
    preemptions: int,
    max_schedules: int,
    cpus: int | None,
    cluster: str | None,
    drivers: tuple[Path, ...],
    processors: int | None,
    print_masks: dict[str, int],
    witness: WitnessName | None,
    strict: bool,
    rules_off: frozenset[str],
    fail_fast: bool,
    no_shrink: bool,
    out: Path,
    trace_dir: Path,
    resume: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run SCENARIO on the virtual target under many schedules, without a debugger, and say what breaks.

    Every failure is played back to see that it repeats, shrunk to the fewest preemptions, and written as a
    replay file, which `procnotify run --replay` does again bit for bit (docs/exploring.md).

    \b
    Examples:
      procnotify explore scenarios/notepad-launch.yaml --seeds 1000
      procnotify explore race.yaml --driver mydriver.sys --policy pct:depth=2
      procnotify explore race.yaml --driver mydriver.sys --policy exhaustive --preemptions 1
      procnotify explore race.yaml --seeds 100000 --resume race.journal
      procnotify explore race.yaml --seeds 1000000 --cluster tcp://lab:8786

    \b
    Exit code: 2 when the input is wrong; otherwise, of all schedules, the first of these that happened:
      3  the rig failed, or a schedule did not repeat
      4  the target bugchecked
      1  the driver broke a promise
      0  all held that could be judged
      5  nothing could be judged
    After Ctrl-C it is 130; what was found by then is told.
    """
    if policy != EXHAUSTIVE:
        _check_bounds()
    if cluster is not None and cpus is not None:
        raise UsageError("--cpus is for this computer, --cluster for others", hint="leave out one of them")
    say = partial(click.echo, err=True)
    text = read_text(Source(scenario, ScenarioError))
    explored = parse(text, scenario).without_rules(rules_off)
    first = seed_of(explored, seed)
    plan = Plan(
        range(first, first + (seeds or (1 if policy == EXHAUSTIVE else 100))),
        policy,
        preemptions,
        max_schedules,
        fail_fast,
        not no_shrink,
    )
    with ExitStack() as stack:
        rig = stack.enter_context(
            open_rig(
                machine="virtual",
                debugger=NO_DEBUGGER,
                driver=drivers[-1] if drivers else None,
                other_drivers=drivers[:-1],
                trace_folder=trace_dir,
                processors=processors,
                print_masks=print_masks,
                strict=strict,
                witness=witness,
                keep_traces=KeptTraces.FAILED,
                elsewhere=cluster is not None,
                building=say,
            )
        )
        journal = None
        if resume is not None:
            journal = stack.enter_context(Journal(resume, _decides(rig, explored, text, plan, rules_off)))
        run = stack.enter_context(
            trials_here(rig, explored, cpus=cpus or _cpus())
            if cluster is None
            else trials_on_cluster(rig, explored, address=cluster, exploration=secrets.token_hex(8))
        )
        explorer = Explorer(run, plan, journal=journal, told=(lambda *_: None) if quiet else _Progress(plan))
        try:
            found = explorer.explore()
        except BrokenProcessPool:
            raise RigError(
                "a process that did a run ended without a word", hint="explore with --cpus 1 to see why"
            ) from None
        except BatchLost as lost:
            raise RigError(str(lost)) from None
        replays = {
            failure.cause: keep_replay(
                rig, explored, text, failure, out, policy=found.policy, without_rules=rules_off
            )
            for failure in explorer.worth_a_look()
            if not found.interrupted
        }
    for line in account_lines(found, plan, replays):
        click.echo(one_line(line), err=as_json)
    for replay in replays.values():
        words = ["procnotify", "run", "--replay", str(replay)]
        words += [word for driver in drivers for word in ("--driver", str(driver))]
        say(f"again: {one_line(shown_words(words))}")
    annotate_ci_service(failure_annotations(found, explored, replays), to_stderr=as_json)
    if found.interrupted and resume is not None:
        say(f"procnotify: interrupted; the same command goes on from {one_line(str(resume))}")
    code = INTERRUPTED if found.interrupted else int(found.outcome)
    if as_json:
        print_json(exit_code=code, scenario=explored.name, **exploration_as_json(found, plan, replays))
    return code


def _check_bounds() -> None:
    """The bounds are those of the exhaustive policy; elsewhere nobody would keep them."""
    ctx = click.get_current_context()
    for name in ("preemptions", "max_schedules"):
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"--{name.replace('_', '-')} is a bound of --policy {EXHAUSTIVE}",
                hint=f"add --policy {EXHAUSTIVE}, or leave it out",
            )


def _decides(
    rig: Rig, scenario: Scenario, text: str, plan: Plan, rules_off: frozenset[str]
) -> dict[str, str]:
    """What decides which runs there are and what comes of each."""
    boot = rig.boot(plan.seeds.start, scenario)
    parts = ingredients(rig, scenario)
    guest: tuple[FileDigest, ...] = (parts["helper"], parts["probe"], *parts["files"])
    return {
        "procnotify": harness.__version__,
        "scenario": text_sha256(text),
        "drivers": " ".join(driver.sha256 for driver in parts["drivers"]),
        "files for the guest": " ".join(file.sha256 for file in guest),
        "lines": parts["lines"]["sha256"],
        "policy": plan.policy,
        "first seed": str(plan.seeds.start),
        "processors": str(boot.processors),
        "print masks": str(sorted(boot.print_masks.items())),
        "witness": str(rig.witness),
        "strict": str(rig.strict),
        "rules off": " ".join(sorted(rules_off)),
    }


class _Progress:
    """A line now and then."""

    def __init__(self, plan: Plan) -> None:
        self._all = "" if plan.policy == EXHAUSTIVE else f" of {len(plan.seeds)}"
        self._told = monotonic()

    def __call__(self, found: Exploration, purpose: str) -> None:
        if monotonic() - self._told >= TOLD_EVERY:
            self._told = monotonic()
            click.echo(
                f"{found.schedules}{self._all} schedules, {found.failed} failed,"
                f" {len(found.orders)} orders, {len(found.encounters)} pairs of accesses"
                f"{'; ' if purpose else ''}{purpose}",
                err=True,
            )
