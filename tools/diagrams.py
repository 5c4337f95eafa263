"""Redraw the diagrams and tables of the pages in ``docs/`` from the code: ``python -m tools.diagrams``.

A drawing stands between ``<!-- drawn: NAME -->`` and ``<!-- end -->``; everything else on the page is written
by hand. ``--check`` only says whether the page is up to date (exit code 1 when not).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial

from harness import errors
from harness.actions import ACTIONS
from harness.callbacks import CALLBACK_KINDS
from harness.events import KINDS
from harness.kd.transitions import TRANSITIONS
from harness.scenario import RULES
from harness.scenario.steps import HARNESS_STEPS
from harness.standingrules import STANDING_RULES
from harness.virtual.kernel.exports import DATA, EXPORTS, SUBSYSTEMS
from tools.reference import draw_commands, draw_keys, draw_python
from tools.rooms import PACKAGE, ROOMS, imports_of, room_of

__all__ = ["DRAWINGS", "PAGES", "redraw"]

PAGES = tuple(
    PACKAGE.parent / "docs" / f"{name}.md"
    for name in (
        *("architecture", "scenarios", "verdicts", "exports", "commands", "events", "python"),
        *("scenario-keys", "grammar-keys", "machine-keys"),
    )
)


def draw_rooms() -> str:
    """The rooms, row by row, with the imports that the code really makes."""
    names = {room for row in ROOMS for room in row}
    edges = set()
    for path in PACKAGE.rglob("*.py"):
        room = room_of(path)
        for module, _ in imports_of(path):
            parts = module.split(".")
            if parts[0] == "harness" and len(parts) > 1 and parts[1] in names - {room, "errors"}:
                edges.add((room, parts[1]))
    lines = ["```mermaid", "flowchart TD"]
    for level, row in reversed(list(enumerate(ROOMS))):
        lines.append(f"  subgraph row{level}[ ]")
        lines += [f"    {room}" for room in row if room != "__main__"]
        lines.append("  end")
    lines += [f"  {a} --> {b}" for a, b in sorted(edges) if "__" not in a]
    return "\n".join([*lines, "```"])


def draw_errors() -> str:
    """The error tree with the exit codes, from the classes themselves."""

    def walk(cls: type[errors.ProcnotifyError], depth: int) -> list[str]:
        code = getattr(cls, "exit_code", None)
        summary = (cls.__doc__ or "").splitlines()[0].rstrip(".:")
        head = f"{'  ' * depth}{cls.__name__}"
        rows = [f"{head:<24} {'' if code is None else code:<4} {summary}"]
        own = [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
        return rows + [line for sub in own for line in walk(sub, depth + 1)]

    return "\n".join(["```", f"{'class':<24} exit meaning", *walk(errors.ProcnotifyError, 0), "```"])


def draw_events() -> str:
    """Every kind of event with its own fields."""
    common = {"index", "line", "time", "cpu", "seq", "host_time", "witness", "call"}
    rows = ["| kind | its own fields | meaning |", "|---|---|---|"]
    for kind, cls in KINDS.items():
        own = ", ".join(f"`{name}`" for name in cls.__struct_fields__ if name not in common)
        rows.append(f"| `{kind}` | {own} | {(cls.__doc__ or '').splitlines()[0]} |")
    return "\n".join(rows)


def draw_callbacks() -> str:
    """Every callback kind: how a driver asks for it and how it is then called."""
    rows = ["| kind | registered with | removed with | IRQL | in the context of |", "|---|---|---|---|---|"]
    for row in CALLBACK_KINDS.values():
        group = row.group
        register = ", ".join(f"`{registration.routine}`" for registration in group.registrations)
        remove = f"`{group.remove}`" if group.remove is not None else "the same, Remove TRUE"
        context = f"{row.context}: `{row.context_fields[0]}`, `{row.context_fields[1]}`"
        rows.append(f"| `{row.kind}` | {register} | {remove} | {group.irql} | {context} |")
    return "\n".join(rows)


def draw_link() -> str:
    """The KD link's phases, one diagram a role; what is not in the table is dropped with a reason."""
    parts = []
    for role, phases in TRANSITIONS.items():
        reached = {
            after for phase, inputs in phases.items() for after in inputs.values() if after is not phase
        }
        lines = [
            f"The {role.value}:",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *(f"  [*] --> {phase.value}" for phase in phases if phase not in reached),
        ]
        for phase, inputs in phases.items():
            for after in dict.fromkeys(inputs.values()):
                labels = ", ".join(what.value for what, to in inputs.items() if to is after)
                lines.append(f"  {phase.value} --> {after.value}: {labels}")
        parts.append("\n".join([*lines, "```"]))
    return "\n\n".join(parts)


def draw_steps() -> str:
    """Every step of a scenario: how it is written, what it does, what it binds."""
    rows = ["| step | does | `as: NAME` binds |", "|---|---|---|"]
    for action in ACTIONS.values():
        names = ["as", "by"] if action.binds else ["by"]
        written = ", ".join([*(field.name for field in action.fields), *action.answer, *names])
        forms = [f"`{action.key}: {{{written}}}`"]
        if action.main is not None:
            forms.append(f"`{action.key}: {action.example}`")
        rows.append(f"| {' or '.join(forms)} | {action.does} | {action.binds_words} |")
    for key, (value, does) in HARNESS_STEPS.items():
        rows.append(f"| `{key}{': ' if value else ''}{value}` | {does} | |")
    return "\n".join(rows)


def draw_rules() -> str:
    """The lifecycle rules with their sources."""
    rows = ["| rule | promises | source |", "|---|---|---|"]
    rows += [f"| `{rule.name}` | {rule.sentence} | {rule.source} |" for rule in RULES.values()]
    return "\n".join(rows)


def draw_exports() -> str:
    """What the virtual target serves of ntoskrnl.exe and hal.dll, by their prefix."""
    rows = ["| module | routines and variables |", "|---|---|"]
    for module in SUBSYSTEMS:
        names = sorted(name for name, row in EXPORTS.items() if row.handler.__module__ == module.__name__)
        about = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        rows.append(f"| {about} | {', '.join(f'`{name}`' for name in names)} |")
    rows.append(f"| Variables | {', '.join(f'`{name}`' for name in sorted(DATA))} |")
    return "\n".join(rows)


def draw_standing() -> str:
    """The standing rules with their sources."""
    rows = ["| rule | on Windows reported by | says | source |", "|---|---|---|---|"]
    rows += [
        f"| `{rule.name}` | {rule.in_verifier or 'nothing'} | {rule.sentence} | {rule.source} |"
        for rule in STANDING_RULES.values()
    ]
    return "\n".join(rows)


DRAWINGS: dict[str, Callable[[], str]] = {
    "rooms": draw_rooms,
    "errors": draw_errors,
    "events": draw_events,
    "callbacks": draw_callbacks,
    "link": draw_link,
    "steps": draw_steps,
    "rules": draw_rules,
    "standing": draw_standing,
    "exports": draw_exports,
    "commands": draw_commands,
    "scenario_keys": partial(draw_keys, "scenario"),
    "grammar_keys": partial(draw_keys, "lines"),
    "machine_keys": partial(draw_keys, "machine"),
    "python": draw_python,
}


def redraw(text: str) -> str:
    """The page with every drawing made anew; KeyError for a name that is not in :data:`DRAWINGS`."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- drawn: {name} -->\n{DRAWINGS[name]()}\n<!-- end -->"

    return re.sub(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def main(arguments: list[str]) -> int:
    stale = 0
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = redraw(old)
        stale += old != new
        if arguments != ["--check"]:
            page.write_text(new, encoding="utf-8", newline="\n")
    return int(stale > 0 and arguments == ["--check"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
