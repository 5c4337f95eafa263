"""Profiles: what was observed about a Windows version, as facts a launch is drawn from.

A profile holds no recording. It says which images a launch maps, which events never changed order
(``after``), which thread did what how often (``by``), and how long things took (``delay``, five
quantiles). :mod:`tools.derive_profile` computes it; :mod:`harness.virtual.nt.launch` draws from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from random import Random
from typing import Literal

import msgspec

from harness.errors import UsageError

__all__ = [
    "BootProcess",
    "Delay",
    "Image",
    "Launch",
    "Node",
    "Profile",
    "Variant",
    "draw",
    "load_boot",
    "load_profile",
    "profile_names",
]

Delay = tuple[int, int, int, int, int]
"""Minimum, quartiles and maximum of a duration, in microseconds."""

MAX_NODES = 4_096
"""Most events a profile may describe for one launch; a launch in the recordings has about 70."""


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An executable file as it was seen mapped."""

    path: str
    """NT path."""
    base: int
    size: int
    """SizeOfImage, bytes."""


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event of a launch."""

    id: str
    kind: Literal["load", "create", "exit"]
    """An image load, a thread's creation or a thread's exit."""
    by: dict[str, int]
    """Who did it, and in how many launches: a thread's ordinal in its process (``0`` is the first),
    ``parent`` (the thread that created the process) or ``other`` (a thread of yet another process)."""
    delay: Delay
    """From the last of ``after``, or from the beginning of its phase if that was later, to this event."""
    after: list[str] = []
    """Events that came before this one in every launch that had both, without those that the rest implies."""
    phase: Literal["start", "input", "exit"] = "start"
    """``start`` happens by itself, ``input`` when somebody first uses the window, ``exit`` at the end."""
    image: str | None = None
    """For ``load``: the NT path."""
    thread: int | None = None
    """For ``create`` and ``exit``: the ordinal of the thread."""
    idle: Delay | None = None
    """For ``exit``: a pool thread's time-out; it ends by itself this long after its creation."""


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Launches that had the same events."""

    count: int
    without: list[str]
    """Ids of the nodes that did not happen."""
    unused: Delay = (0, 0, 0, 0, 0)
    """From the end of the start until somebody used the window for the first time, for which the nodes of the
    phase ``input`` wait."""


class Launch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known about starting and ending one program."""

    image: str
    """NT path of the executable."""
    observed: int
    """How many launches the facts were computed from; 0 for a launch made up from a file's imports."""
    nodes: list[Node]
    """In an order that keeps every ``after``."""
    variants: list[Variant]
    exit_delay: Delay
    """From the last thread's exit to the process's."""
    exit_by_last: int
    """In how many launches the process's exit was reported in the thread whose exit was reported last. Not in
    all: a thread reports its exit before it counts itself out."""


class BootProcess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process that runs before the first scenario step."""

    name: str
    image: str
    """NT path; empty for System and Registry."""
    parent: str
    """Name of the parent, or empty."""
    session: int
    threads: int
    pid: int | None = None
    """Fixed for System only."""


class Profile(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """Facts about one Windows version; equal to itself alone."""

    name: str
    build: int
    source: str
    """Where the facts come from, in words."""
    images: list[Image]
    launches: list[Launch]


class _Boot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    processes: list[BootProcess]


def _packaged(name: str) -> bytes:
    return (resources.files("harness.virtual") / "profiles" / name).read_bytes()


def profile_names() -> list[str]:
    """The profiles that come with the package."""
    folder = resources.files("harness.virtual") / "profiles"
    names = (item.name for item in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.startswith("win"))


@lru_cache(maxsize=8)
def load_profile(name: str) -> Profile:
    """The packaged profile ``name``, checked.

    :raises UsageError: there is none of that name.
    """
    known = profile_names()
    if name not in known:
        raise UsageError(f"no profile named {name!r}", hint=f"known profiles: {', '.join(known)}")
    profile = msgspec.yaml.decode(_packaged(f"{name}.yaml"), type=Profile)
    for launch in profile.launches:
        check_launch(launch)
    return profile


@lru_cache(maxsize=1)
def load_boot() -> tuple[BootProcess, ...]:
    """The processes every profile boots with, parents first."""
    return tuple(msgspec.yaml.decode(_packaged("boot.yaml"), type=_Boot).processes)


def check_launch(launch: Launch) -> None:
    """Raise UsageError unless every ``after`` names an earlier node and the numbers make sense."""
    if len(launch.nodes) > MAX_NODES:
        raise UsageError(
            f"{launch.image}: {len(launch.nodes)} events in one launch; the limit is {MAX_NODES}"
        )
    seen: set[str] = set()
    for node in launch.nodes:
        unknown = [name for name in node.after if name not in seen]
        if unknown or node.id in seen:
            raise UsageError(f"{launch.image}: event {node.id!r} is out of order or repeated ({unknown})")
        if list(node.delay) != sorted(node.delay) or node.delay[0] < 0:
            raise UsageError(f"{launch.image}: the quantiles of {node.id!r} do not ascend from 0 or more")
        seen.add(node.id)


def draw(delay: Sequence[int], rng: Random) -> int:
    """A duration in 100 ns units from the distribution the five quantiles describe.

    Between two quantiles it is even in the logarithm: durations have long tails, and a straight line up to
    the maximum would make every fourth draw an extreme one.
    """
    position = rng.random() * (len(delay) - 1)
    index = int(position)
    low, high = delay[index] + 1, delay[index + 1] + 1
    return round((low * math.pow(high / low, position - index) - 1) * 10)
