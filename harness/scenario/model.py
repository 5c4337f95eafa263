"""What a scenario file means: frozen records of its steps and of the order it expects.

Every record keeps the ``line`` of the file it was written on. Durations are in 100 ns units, as all target
times are. A scenario binds names: ``$notepad`` below is the PID that the step's actor reported::

    steps:
      - launch: {image: notepad.exe, as: notepad}
      - terminate: notepad

Names that steps bind (see :func:`names_of`), and the key each has in the bindings of a run:

====================================  =====================================================================
step                                  binds
====================================  =====================================================================
``launch ... as: x``                  ``x`` the new PID, ``x.tid`` its first TID (so does run)
``create_thread ... as: x``           ``x`` the new TID (so do create_remote_thread and inject)
``open_device ... as: x``             ``x`` the PID of the process that keeps the device open
any step done by an actor, ``by: x``  ``x`` the PID of the actor process of that step
the first step done by an actor       ``agent`` the PID of its actor process
====================================  =====================================================================

Inside the step ``repeat`` a name is bound once a round, from 1: its keys are ``x[1]``, ``x[2]``, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from harness.actions import Action, FieldType
from harness.lines import Grammar
from harness.printmasks import PrintMasks

__all__ = [
    "ActionValue",
    "ActorStep",
    "AnyOrder",
    "AnyValue",
    "Constraint",
    "Expectation",
    "ExpectedAnswer",
    "ExpectedBytes",
    "Item",
    "Literal",
    "LoadDriver",
    "Never",
    "Next",
    "Not",
    "OneOf",
    "OneOfValues",
    "Optional",
    "Pattern",
    "Repeat",
    "RepeatSteps",
    "Scenario",
    "Sequence",
    "Settle",
    "Step",
    "UnloadDriver",
    "Variable",
    "Within",
    "names_of",
    "round_key",
    "seconds",
]

UNITS_PER_SECOND = 10_000_000


def seconds(duration: int) -> float:
    """A duration of this module (100 ns units) in seconds."""
    return duration / UNITS_PER_SECOND


def round_key(name: str, number: int) -> str:
    """The key, in the bindings of a run, of ``name`` as bound in that round (from 1) of a step ``repeat``."""
    return f"{name}[{number}]"


@dataclass(frozen=True)
class Variable:
    """``$name`` or ``$name.tid``."""

    name: str
    """Without the dollar sign."""


# --- steps ---


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do; steps run in the order they are written."""

    line: int


ActionValue: TypeAlias = str | int | Variable | tuple[str, ...]
"""What a field of an action holds: a text, a number or a duration, a process, arguments. A buffer is a text,
as the helper's command line has it."""


@dataclass(frozen=True)
class ExpectedBytes:
    """What the bytes of an answer are to be."""

    data: bytes
    mask: bytes
    """As long; 0xFF for a byte that counts, 0 for any."""

    def fits(self, data: bytes) -> bool:
        """Whether ``data`` is that, no shorter and no longer."""
        if len(data) != len(self.data):
            return False
        return all((a ^ b) & mask == 0 for a, b, mask in zip(data, self.data, self.mask, strict=True))

    def __str__(self) -> str:
        pairs = (f"{byte:02x}" if mask else "??" for byte, mask in zip(self.data, self.mask, strict=True))
        return " ".join(pairs)


@dataclass(frozen=True)
class ExpectedAnswer:
    """What a driver is to answer to a request, or a program is to end with."""

    output: ExpectedBytes | None = None
    returned: int | None = None
    """IO_STATUS_BLOCK.Information: how many bytes it says that it returned, or took."""
    code: int | None = None
    """With which exit code a program is to end; None: 0, where the target executes it at all."""


@dataclass(frozen=True, kw_only=True)
class ActorStep(Step):
    """A step done by the guest helper, in a process of its own."""

    action: Action
    values: tuple[ActionValue, ...]
    """One each of the action's fields; its default where the scenario does not say."""
    bind: str | None = None
    """``as:``, the name for what the action makes."""
    by: str | None = None
    """Name to bind to the PID of the helper process."""
    status: int = 0
    """Win32 error code that the action is to end with; 0: it is to succeed."""
    answer: ExpectedAnswer = field(default_factory=ExpectedAnswer)

    def names(self) -> Iterator[tuple[str, str]]:
        """Names that ``as:`` binds, each with the number of the helper's result that it stands for."""
        if self.bind is not None:
            for suffix, made in self.action.binds:
                yield self.bind + suffix, made

    @property
    def duration(self) -> int:
        """For how long the helper sleeps."""
        return sum(units for units in self.values_of(FieldType.DURATION) if isinstance(units, int))

    def values_of(self, *types: FieldType) -> Iterator[ActionValue]:
        """The values of the fields of these types."""
        for what, value in zip(self.action.fields, self.values, strict=True):
            if what.type in types:
                yield value


@dataclass(frozen=True, kw_only=True)
class Settle(Step):
    """Wait until the guest has been quiet for ``quiet``, at the latest after ``maximum``, of target time."""

    quiet: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class LoadDriver(Step):
    """Load the driver here, instead of before the first step."""


@dataclass(frozen=True, kw_only=True)
class UnloadDriver(Step):
    """Unload the driver here, instead of after the last step."""


@dataclass(frozen=True, kw_only=True)
class RepeatSteps(Step):
    """Do ``steps`` again and again; names are bound anew in each round."""

    times: int
    steps: tuple[Step, ...]


# --- what an expectation says about one event ---

Literal: TypeAlias = int | bool | str | None
"""What a field is compared with: a number, a glob, ``null`` for a field that the line does not carry."""


@dataclass(frozen=True)
class AnyValue:
    """``any``: no constraint, written down."""


@dataclass(frozen=True)
class OneOfValues:
    """A YAML list: equal to one of these."""

    values: tuple[Literal, ...]


@dataclass(frozen=True)
class Not:
    """``{not: X}``: everything but X."""

    of: Literal | Variable | OneOfValues


Constraint: TypeAlias = Literal | Variable | AnyValue | OneOfValues | Not


@dataclass(frozen=True)
class Pattern:
    """``kind: {field: constraint, ...}``: one event of that kind whose fields fit."""

    kind: str | None
    """A key of :data:`harness.events.KINDS`; None (in a scope only): every kind that has the fields."""
    fields: tuple[tuple[str, Constraint], ...]
    line: int


# --- the order ---


@dataclass(frozen=True)
class Sequence:
    """A list: each item later than the one before, with anything between."""

    items: tuple[Item, ...]
    line: int


@dataclass(frozen=True)
class Next:
    """``next: X``: the first event of X is the very next event in scope."""

    of: Item
    line: int


@dataclass(frozen=True)
class AnyOrder:
    """All of these, in whatever order; lists among them may interleave."""

    items: tuple[Item, ...]
    line: int


@dataclass(frozen=True)
class OneOf:
    """One of these."""

    items: tuple[Item, ...]
    line: int


@dataclass(frozen=True)
class Optional:
    """This, or nothing."""

    of: Item
    line: int


@dataclass(frozen=True)
class Repeat:
    """This, at least ``minimum`` times and at most ``maximum`` times (None: no limit), one after the other.

    A variable that is named only inside ``of`` is bound anew in each round.
    """

    of: Item
    minimum: int
    maximum: int | None
    line: int


@dataclass(frozen=True)
class Never:
    """Between the neighbours of this item in its list, no event in scope fits one of these."""

    patterns: tuple[Pattern, ...]
    line: int


@dataclass(frozen=True)
class Within:
    """The neighbours of this item are at most ``limit`` of target time apart."""

    limit: int
    line: int


Item: TypeAlias = Pattern | Sequence | Next | AnyOrder | OneOf | Optional | Repeat | Never | Within


@dataclass(frozen=True)
class Expectation:
    """One block of ``expect``: judged on its own; it shares with other blocks only what steps have bound."""

    scope: tuple[Pattern, ...]
    """An event that fits one of these is in scope; empty: every event of the kinds the block speaks of."""
    order: Sequence | None
    never: tuple[Pattern, ...]
    """Forbidden to every event in scope, from the first to the last."""
    only: bool
    """Every event in scope must be claimed by the order."""
    line: int
    requires: tuple[Pattern, ...] = ()
    """Without an event of the recording for each of these the block is not judged."""


@dataclass(frozen=True)
class Scenario:
    """A scenario file."""

    path: Path
    name: str
    summary: str
    steps: tuple[Step, ...]
    expect: tuple[Expectation, ...]
    lifecycle_off: frozenset[str]
    """Names of lifecycle rules (:mod:`harness.order.lifecycle`) not to hold the trace to."""
    seed: int | None
    """Seed to use where the command line gives none."""
    profile: str | None
    """Profile of the virtual target that the scenario needs, for example ``win10-1903``."""
    policy: str | None = None
    """Who goes first in the virtual target where the order is open; None: ``default``."""
    processors: int | None = None
    """How many the virtual target has; None: 2."""
    print_masks: PrintMasks = field(default_factory=dict, hash=False)
    """Which debug prints are to pass, where that is not Windows' own choice."""
    lines: Grammar | None = field(default=None, hash=False)
    """Of the driver's lines; None: the built-in one."""
    requires: tuple[Pattern, ...] = ()
    """Without an event of the recording for each of these no block is judged."""
    observe: bool = False
    """Nothing is expected; the lifecycle rules and the standing rules hold all the same."""
    rules_off: frozenset[str] = frozenset()
    """Names of standing rules (:mod:`harness.standingrules`) not to hold the drivers to."""
    line: int = 1
    """Where its name is written."""

    def without_rules(self, names: frozenset[str]) -> Scenario:
        """The same, with these standing rules switched off, too."""
        return replace(self, rules_off=self.rules_off | names)

    def names(self) -> dict[str, int]:
        """Names that the steps bind, see :func:`names_of`."""
        return names_of(self.steps)

    @property
    def loads_again(self) -> bool:
        """Whether the steps load the driver more than once."""
        return (
            sum(max(rounds, 1) for step, rounds in _walk(self.steps, 0) if isinstance(step, LoadDriver)) > 1
        )


def names_of(steps: tuple[Step, ...]) -> dict[str, int]:
    """Names that these steps bind → in how many rounds of a step ``repeat``; 0: once, outside of any."""
    found: dict[str, int] = {}
    for step, rounds in _walk(steps, 0):
        if not isinstance(step, ActorStep):
            continue
        found.setdefault("agent", 0)
        if step.by is not None:
            found[step.by] = rounds
        found.update((name, rounds) for name, _ in step.names())
    return found


def _walk(steps: tuple[Step, ...], rounds: int) -> Iterator[tuple[Step, int]]:
    for step in steps:
        if isinstance(step, RepeatSteps):
            yield from _walk(step.steps, max(rounds, 1) * step.times)
        else:
            yield step, rounds
