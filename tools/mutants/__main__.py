"""``python -m tools.mutants``: try changes, show those that no test notices.

Exit code: 0 every change was noticed, 1 some survived, 2 the command line or the tests themselves are wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.mutants.mutation import Mutation, MutationError, sample
from tools.mutants.named import NAMED
from tools.mutants.trial import Fate, Trial, copy_tree

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = """\
examples:
  python -m tools.mutants --room order --room verdict --count 30 --seed 7
  python -m tools.mutants --named                  # all that were noticed by nobody once
  python -m tools.mutants --named looser-within    # one of them
  python -m tools.mutants --list
"""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutants",
        description="Try single changes to the code and show those that no test notices.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--room", action="append", metavar="ROOM", help="a room to sample; may be repeated")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="changes to try; by default 20")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which changes; by default 1")
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="seconds for the tests of one change"
    )
    parser.add_argument("--named", nargs="*", metavar="NAME", help="these named changes; without NAME all")
    parser.add_argument("--list", action="store_true", help="print the named changes and stop")
    asked = parser.parse_args(arguments)
    if not asked.list and asked.named is None and not asked.room:
        parser.error("say what to try: --room ROOM or --named")
    if asked.named is not None and asked.room:
        parser.error("--named and --room are two different things")
    if asked.count < 1:
        parser.error("--count must be at least 1")
    return asked


def mutations_of(root: Path, asked: argparse.Namespace) -> list[Mutation]:
    """The changes that the command line asks for.

    :raises MutationError: one of them cannot be made.
    """
    if asked.named is None:
        return sample(root, asked.room, count=asked.count, seed=asked.seed)
    unknown = sorted(set(asked.named) - set(NAMED))
    if unknown:
        raise MutationError(f"no change is named {', '.join(unknown)}; --list shows them")
    return [NAMED[name].mutation(root, name) for name in asked.named or NAMED]


def try_all(trial: Trial, mutations: Sequence[Mutation]) -> list[Mutation]:
    """Try each and tell what became of it; those that survived."""
    survivors = []
    for tests in dict.fromkeys(mutation.tests for mutation in mutations):
        trial.require_passing(tests)
    for number, mutation in enumerate(mutations, 1):
        fate = trial.fate_of(mutation)
        print(f"{number}/{len(mutations)} {mutation.name}: {fate.value}", flush=True)
        if fate is Fate.SURVIVED:
            print(mutation.diff(), flush=True)
            survivors.append(mutation)
    return survivors


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    asked = _parse(arguments)
    if asked.list:
        for name, change in NAMED.items():
            print(f"{name}: {change.says} ({change.path})")
        return 0
    try:
        mutations = mutations_of(root, asked)
        with tempfile.TemporaryDirectory(prefix="procnotify-mutants-") as folder:
            trial = Trial(copy_tree(root, Path(folder)), seconds=asked.timeout)
            survivors = try_all(trial, mutations)
    except MutationError as error:
        print(f"tools.mutants: {error}", file=sys.stderr)
        return 2
    print(f"{len(mutations) - len(survivors)} of {len(mutations)} changes were noticed")
    for mutation in survivors:
        print(f"  survived: {mutation.name}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
