"""Words that the texts about instances have in common."""

from __future__ import annotations

from harness.verdict.instances import Instances

__all__ = ["count_of", "left_out_lines", "percent"]


def count_of(number: int, what: str) -> str:
    """``1 instance``, ``1,000 instances``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share of 1, as precise as it is worth."""
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def left_out_lines(found: Instances) -> list[str]:
    """What of the recordings was not taken, and what they do not tell, a line each."""
    lines = [
        f"left out: {count_of(count, 'instance')}, {why}" for why, count in sorted(found.left_out.items())
    ]
    for scenario, count in sorted(found.other_scenarios.items()):
        what = f"of the scenario {scenario}" if scenario else "not of a scenario run"
        lines.append(f"left out: {count_of(count, 'recording')} {what}")
    if found.programs_unknown:
        number = found.programs_unknown
        lines.append(f"left out: {number:,} process{'es' * (number != 1)} of which no program is told")
    if found.unordered:
        kinds = ", ".join(sorted(found.unordered))
        lines.append(f"the recordings do not tell which of two events came first, where one is: {kinds}")
    return [*lines, *found.notes]
