"""Policies by name: ``random``, ``pct:depth=3,decisions=200``, ``urw:events=120/33/5``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from harness.virtual.dispatcher.policy import Policy, RandomPolicy, RunOn
from harness.virtual.dispatcher.sampling import PartialOrderSampling, PriorityPolicy, UniformWalk

__all__ = ["POLICIES", "check_policy", "make_policy", "with_estimates"]

POLICIES: Final = (
    RunOn.name,
    RandomPolicy.name,
    UniformWalk.name,
    PriorityPolicy.name,
    PartialOrderSampling.name,
)
"""What ``--policy`` takes; the first is the default."""
MAX_DEPTH: Final = 64
MAX_DECISIONS: Final = 1_000_000
MAX_THREADS: Final = 256
"""Of which the events can be given."""

_Numbers = tuple[int, ...]
_SETTINGS: Final[Mapping[str, Mapping[str, tuple[int, int]]]] = {
    PriorityPolicy.name: {"depth": (1, MAX_DEPTH), "decisions": (1, MAX_DECISIONS)},
    UniformWalk.name: {"events": (MAX_THREADS, MAX_DECISIONS)},
}
"""Policy → its settings, each with its bounds; of a list the most numbers and the highest of them."""
_LISTS: Final = frozenset({"events"})
_NUMBER = re.compile("[0-9]{1,9}", re.ASCII)


def check_policy(text: str) -> str:
    """``text``, which is a name of :data:`POLICIES`, perhaps with settings behind a colon.

    :raises ValueError: it is not; with the reason.
    """
    _parsed(text)
    return text


def make_policy(text: str, seed: int) -> Policy:
    """The policy of that name and settings. Its generator is its own, so that the model draws what it draws
    under the default.

    :raises ValueError: see :func:`check_policy`.
    """
    name, settings = _parsed(text)
    rng = Random(f"{name} {seed}")
    makers: dict[str, Callable[[], Policy]] = {
        RunOn.name: RunOn,
        RandomPolicy.name: lambda: RandomPolicy(rng),
        UniformWalk.name: lambda: UniformWalk(rng, settings.get("events", ())),
        PriorityPolicy.name: lambda: PriorityPolicy(
            rng,
            settings.get("depth", (PriorityPolicy.DEPTH,))[0],
            settings.get("decisions", (PriorityPolicy.DECISIONS,))[0],
        ),
        PartialOrderSampling.name: lambda: PartialOrderSampling(rng),
    }
    return makers[name]()


def with_estimates(text: str, *, decisions: int, events: _Numbers) -> str:
    """The same policy with what a trial run told, where it takes that and was not told it.

    :param decisions: questions of the run at which somebody else was able.
    :param events: questions of each thread, in the order in which the threads were first seen.
    """
    name, settings = _parsed(text)
    told = {
        "decisions": (max(decisions, 1),),
        "events": tuple(max(count, 1) for count in events[:MAX_THREADS]),
    }
    for key in _SETTINGS.get(name, {}):
        if told.get(key):
            settings.setdefault(key, tuple(min(number, MAX_DECISIONS) for number in told[key]))
    words = ",".join(f"{key}={'/'.join(map(str, numbers))}" for key, numbers in sorted(settings.items()))
    return f"{name}:{words}" if words else name


def _parsed(text: str) -> tuple[str, dict[str, _Numbers]]:
    name, colon, rest = text.partition(":")
    if name not in POLICIES:
        raise ValueError(f"there is no policy {name[:80]!r}; known: {', '.join(POLICIES)}")
    settings: dict[str, _Numbers] = {}
    known = _SETTINGS.get(name, {})
    for part in rest.split(",") if colon else ():
        key, _, value = part.partition("=")
        if key not in known:
            raise ValueError(
                f"the policy {name} has no setting {key[:80]!r}; it has {', '.join(known) or 'none'}"
            )
        numbers = value.split("/")
        low, high = known[key]
        most, least = (low, 0) if key in _LISTS else (1, low)
        proper = len(numbers) <= most and all(
            _NUMBER.fullmatch(number) and least <= int(number) <= high for number in numbers
        )
        if not proper:
            wanted = f"up to {most} numbers with / between them" if key in _LISTS else "a number"
            raise ValueError(f"{key} of the policy {name} is {wanted}, {least} to {high}, not {value[:80]!r}")
        settings[key] = tuple(map(int, numbers))
    return name, settings
