"""Compute a profile from recorded launches: ``python -m tools.derive_profile CSV PROGRAM...``.

The recording is not copied; what comes out are facts about all launches together: which events never
changed order (reduced to what the rest does not imply), who did what how often, which events came and went
together, and quantiles of durations.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from harness.errors import TraceError, UsageError
from harness.trace.sources.procmon import RecordedEvent, RecordedLaunch, read_launches
from harness.virtual.nt.profile import Delay, Image, Launch, Node, Profile, Variant

__all__ = ["always_before", "derive_launch", "derive_profile"]

INPUT_GAP = 10_000_000
"""Microseconds without any event after which a launch counts as waiting for somebody to use its window."""
END_GAP = 4_000_000
"""Exits closer together than this (microseconds) belong to one end of the process."""


def always_before(launches: Sequence[RecordedLaunch]) -> dict[str, set[str]]:
    """For every event the events that came earlier in every launch that had both."""
    before: dict[str, set[str]] = {}
    swapped: set[tuple[str, str]] = set()
    for launch in launches:
        names = [event.id for event in launch.events]
        for index, name in enumerate(names):
            before.setdefault(name, set()).update(names[:index])
        swapped.update(combinations(names, 2))
    return {
        name: {first for first in earlier if (name, first) not in swapped} for name, earlier in before.items()
    }


def _sorted(before: dict[str, set[str]], rank: dict[str, float]) -> list[str]:
    """The events in an order that keeps ``before``."""
    order: list[str] = []
    waiting = sorted(before, key=lambda name: rank[name])
    while waiting:
        free = next((name for name in waiting if before[name].issubset(order)), None)
        if free is None:
            raise TraceError(f"the recorded launches contradict each other about {', '.join(waiting[:4])}")
        waiting.remove(free)
        order.append(free)
    return order


def _reduced(before: dict[str, set[str]], present: dict[str, set[int]]) -> dict[str, set[str]]:
    """``before`` without what follows from the rest, whichever of the launches' events happen.

    A step over a third event is left out only where that event was in every launch that had the two: an event
    that may be missing cannot be relied on to keep its neighbours in order.
    """
    return {
        name: {
            first
            for first in earlier
            if not any(
                first in before[middle] and present[first] & present[name] <= present[middle]
                for middle in earlier
            )
        }
        for name, earlier in before.items()
    }


def _quantiles(values: Sequence[int]) -> Delay:
    ordered = sorted(values)
    last = len(ordered) - 1
    low, first, middle, third, high = (ordered[round(last * part / 4)] for part in range(5))
    return low, first, middle, third, high


def _end_begins(launch: RecordedLaunch) -> int:
    """Time of the first exit of the process's end (earlier exits are threads that ended by themselves)."""
    begin = launch.exit_time
    for event in reversed(launch.events):
        if event.kind != "exit" or begin - event.time > END_GAP:
            break
        begin = event.time
    return begin


def _waits_for_input(launch: RecordedLaunch) -> set[str]:
    """Events after the first long quiet, as far as they are not exits."""
    times = [event for event in launch.events if event.kind != "exit"]
    for index, (one, other) in enumerate(pairwise(times)):
        if other.time - one.time > INPUT_GAP:
            return {event.id for event in times[index + 1 :]}
    return set()


class _Facts:
    """What all launches say about one event."""

    def __init__(self, sample: RecordedEvent) -> None:
        self.sample = sample
        self.phase: Literal["start", "input", "exit"] = "exit" if sample.kind == "exit" else "start"
        self.by: Counter[str] = Counter()
        self.delays: list[int] = []
        self.idle: list[int] = []
        self.after_input = 0
        self.ranks: list[int] = []


def _gather(launches: Sequence[RecordedLaunch]) -> dict[str, _Facts]:
    """Who, how often and in which phase."""
    facts: dict[str, _Facts] = {}
    for launch in launches:
        late = _waits_for_input(launch)
        for rank, event in enumerate(launch.events):
            fact = facts.setdefault(event.id, _Facts(event))
            fact.by[event.by] += 1
            fact.ranks.append(rank)
            fact.after_input += event.id in late
    for fact in facts.values():
        if fact.after_input * 2 > len(fact.ranks):
            fact.phase = "input"
    return facts


def _measure(
    launches: Sequence[RecordedLaunch], before: dict[str, set[str]], facts: dict[str, _Facts]
) -> None:
    """How long after its predecessors (or the beginning of its phase) each event came."""
    for launch in launches:
        when = {event.id: event.time for event in launch.events}
        begins = {
            "start": 0,
            "input": min(
                (event.time for event in launch.events if facts[event.id].phase == "input"), default=0
            ),
            "exit": _end_begins(launch),
        }
        for event in launch.events:
            fact = facts[event.id]
            begin = begins[fact.phase]
            if fact.phase == "exit" and event.time < begin:
                fact.idle.append(event.time - when[f"create {event.thread}"])
                continue
            ready = [when[name] for name in before[event.id] if name in when]
            fact.delays.append(event.time - max([begin, *ready]))


def _unused(launch: RecordedLaunch, facts: dict[str, _Facts]) -> int:
    """How long its window was there before somebody used it; 0 where nobody did."""
    started = max((event.time for event in launch.events if facts[event.id].phase == "start"), default=0)
    used = [event.time for event in launch.events if facts[event.id].phase == "input"]
    return max(min(used) - started, 0) if used else 0


def _node(name: str, fact: _Facts, after: list[str], observed: int) -> Node:
    by_itself = len(fact.idle) * 2 >= observed
    return Node(
        id=name,
        kind=fact.sample.kind,
        by=dict(sorted(fact.by.items(), key=lambda item: (-item[1], item[0]))),
        delay=_quantiles(fact.delays or fact.idle),
        after=after,
        phase=fact.phase,
        image=fact.sample.image,
        thread=fact.sample.thread,
        idle=_quantiles(fact.idle) if fact.phase == "exit" and by_itself else None,
    )


def derive_launch(launches: Sequence[RecordedLaunch]) -> Launch:
    """The facts about launches of one program.

    :raises TraceError: there are none, or their constant orders contradict each other.
    """
    if not launches:
        raise TraceError("no complete launch of that program in the recording")
    before = always_before(launches)
    facts = _gather(launches)
    _measure(launches, before, facts)
    order = _sorted(before, {name: sum(fact.ranks) / len(fact.ranks) for name, fact in facts.items()})
    names = [{event.id for event in launch.events} for launch in launches]
    present = {name: {number for number, had in enumerate(names) if name in had} for name in order}
    after = _reduced(before, present)
    absent: dict[tuple[str, ...], list[int]] = {}
    for launch, had in zip(launches, names, strict=True):
        without = tuple(name for name in order if name not in had)
        absent.setdefault(without, []).append(_unused(launch, facts))
    return Launch(
        image=launches[0].image,
        observed=len(launches),
        nodes=[
            _node(name, facts[name], sorted(after[name], key=order.index), len(launches)) for name in order
        ],
        variants=[
            Variant(len(unused), list(without), _quantiles(unused))
            for without, unused in sorted(absent.items())
        ],
        exit_delay=_quantiles([launch.exit_time - launch.events[-1].time for launch in launches]),
        exit_by_last=sum(launch.exit_by == launch.events[-1].by for launch in launches),
    )


def derive_profile(csv: Path, programs: Sequence[str], *, name: str, build: int, source: str) -> Profile:
    """The profile of ``programs`` as ``csv`` recorded them."""
    images: dict[str, Image] = {}
    launches: list[Launch] = []
    for program in programs:
        recorded = read_launches(csv, program)
        launches.append(derive_launch(recorded))
        for launch in recorded:
            for event in launch.events:
                if event.image is not None and "#" not in event.id:
                    images.setdefault(event.image.casefold(), Image(event.image, event.base, event.size))
    return Profile(name, build, source, [images[key] for key in sorted(images)], launches)


def _line(value: object) -> str:
    """One YAML line; lists and mappings inside it in flow style."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=100_000)


def _render(profile: Profile) -> str:
    """The profile as YAML: a line for every image, event and variant; addresses in hex."""
    plain = msgspec.to_builtins(profile)
    images, launches = plain.pop("images"), plain.pop("launches")
    text = yaml.safe_dump(plain, sort_keys=False, width=100) + "images:\n"
    for image in images:
        text += f"- {{path: {image['path']}, base: {image['base']:#x}, size: {image['size']:#x}}}\n"
    text += "launches:\n"
    for launch in launches:
        rows = {key: launch.pop(key) for key in ("nodes", "variants")}
        head = [
            f"{key}: {list(value) if isinstance(value, tuple) else value}\n" for key, value in launch.items()
        ]
        text += "- " + "  ".join(head)
        for key, items in rows.items():
            text += f"  {key}:\n" + "".join(f"  - {_line(item)}" for item in items)
    return text


def main(arguments: Sequence[str]) -> int:
    """``CSV PROGRAM...``: print the profile; the exit code."""
    if len(arguments) < 2:
        raise UsageError(
            "derive needs a Process Monitor CSV and the names of programs", hint="CSV notepad.exe ..."
        )
    profile = derive_profile(
        Path(arguments[0]),
        arguments[1:],
        name="win10-1903",
        build=18362,
        source=(
            "Process Monitor's process events on Windows 10 1903 x64,"
            " eronnen/procmon-parser tests/resources (MIT); computed by tools.derive_profile"
        ),
    )
    print(_render(profile), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
