"""A scenario to begin with, from one recording: what it shows of one process, to be read and loosened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.errors import UsageError
from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.mining.scenariofile import LAUNCHER, PROCESS, literal_text, quoted_text
from harness.ntpaths import base_name
from harness.trace.choice import Choice
from harness.trace.lives import Life, Lives

__all__ = ["MAX_IMAGES", "recorded_scenario"]

MAX_IMAGES: Final = 8
"""The first images of a process that the order has; behind them the loader's own choices begin."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_TAKEN: Final = frozenset({LAUNCHER, "agent", "any"})
_SYSWOW64: Final = re.compile(r"\\Windows\\SysWOW64\\[^\\]+\Z", re.IGNORECASE)
_MAX_ACTIONS: Final = 12


def recorded_scenario(events: Iterable[Event], *, recording: str, process: str | None = None) -> str:
    """The text of a scenario file: the process is launched and ended as in the recording, and its events are
    to come in the order in which they came there.

    :param events: of the recording, to be iterated as often as needed.
    :param recording: its file, for a comment.
    :param process: the PID of the process, or the name of its program; None for the first that a step of the
        recording launched, else the first that was created.
    :raises UsageError: the recording has no creation of such a process, or does not name its program.
    """
    life, launched = _chosen(events, process)
    seen = _seen(events, life)
    return "".join(f"{line}\n" for line in _lines(seen, life, recording, launched=launched))


@dataclass
class _Seen:
    """What the recording has of the process, each in the order in which it came."""

    kept: list[Event] = field(default_factory=list)
    images_left: int = 0
    threads_left: int = 0
    terminated: bool = False
    """Its exit came while a step of the recording ended a process."""
    actions: dict[str, None] = field(default_factory=dict)
    """Of the recording's steps, which are not those of the scenario, each once."""
    first_tid: int | None = None
    image: str = ""
    """Path of the first image that goes by the program's name."""


def _chosen(events: Iterable[Event], process: str | None) -> tuple[Life, bool]:
    """The process, and whether a step of the recording launched it."""
    wanted = Choice(() if process is None else (process,)).numbers(events)
    lives = Lives()
    helpers: set[int] = set()
    launched: set[int] = set()
    found: dict[int, Life] = {}
    for event in events:
        life = lives.take(event)
        if life is None:
            continue
        if isinstance(event, Marker):
            helpers.add(life.number)
        elif isinstance(event, ProcessCreate):
            found[life.number] = life
            if life.parent is not None and life.parent.number in helpers:
                launched.add(life.number)
    candidates = [
        life
        for number, life in found.items()
        if life.program and (number in wanted if wanted is not None else number not in helpers)
    ]
    if not candidates:
        which = "a process that is no guest helper" if process is None else f"the process {process!r}"
        raise UsageError(
            f"the recording does not have {which} with its creation and its program",
            hint="--process names another one; `procnotify show` lists them",
        )
    life = min(candidates, key=lambda each: (each.number not in launched, each.number))
    return life, life.number in launched


def _seen(events: Iterable[Event], life: Life) -> _Seen:
    """What :func:`_lines` tells of the process."""
    seen = _Seen()
    lives = Lives()
    images: set[str] = set()
    once: set[type[Event]] = set()
    open_action = ""
    for event in events:
        owner = lives.take(event)
        if isinstance(event, Marker):
            open_action = event.action if event.phase == "begin" else ""
            if event.phase == "begin" and event.action not in ("launch", "terminate", "sleep"):
                seen.actions[event.action] = None
        if owner is None or owner.number != life.number:
            continue
        match event:
            case ImageLoad():
                name = _image_name(event)
                if not name or name in images or len(images) == MAX_IMAGES:
                    seen.images_left += 1
                    continue
                images.add(name)
                if name == life.program.lower():
                    seen.image = seen.image or event.image or ""
            case ThreadCreate() if seen.first_tid is None:
                seen.first_tid = event.tid
            case ThreadCreate():
                seen.threads_left += 1
                continue
            case ThreadExit() if event.tid != seen.first_tid or ThreadExit in once:
                continue
            case ProcessCreate() | ProcessExit() if type(event) in once:
                continue
            case ProcessExit():
                seen.terminated = open_action == "terminate"
            case ProcessCreate() | ThreadExit():
                pass
            case _:
                continue
        once.add(type(event))
        seen.kept.append(event)
    return seen


def _lines(seen: _Seen, life: Life, recording: str, *, launched: bool) -> Iterator[str]:
    stem = life.program.lower().removesuffix(".exe")
    name = stem if _NAME.fullmatch(stem) and stem not in _TAKEN else PROCESS
    words = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:60] or PROCESS
    yield f"# From {_comment(recording)}: process {life.pid}."
    yield "# What came there once may come otherwise: `procnotify mine` finds what many recordings share."
    yield f"scenario: recorded-{words}"
    yield f"summary: {quoted_text(f'What {_comment(life.program)} did in a recording.')}"
    yield "steps:"
    yield f"  - launch: {{image: {quoted_text(_launched(life, seen))}, as: {name}, by: {LAUNCHER}}}"
    if seen.actions:
        told = ", ".join(list(seen.actions)[:_MAX_ACTIONS])
        yield f"  # The recording's own steps besides, which are to be written here: {told}"
    yield "  - settle: {quiet: 300ms, max: 10s}"
    if life.ended is None or seen.terminated or not launched:
        yield f"  - terminate: ${name}"
    else:
        yield "  # It ended by itself. One that does not needs this:"
        yield f"  # - terminate: ${name}"
    yield "expect:"
    yield f"  - scope: {{pid: ${name}}}"
    yield "    # Anything may come between two of these. Where nothing promises which is first, put them into"
    yield "    # `any_order: [...]`; what must follow at once says `next: {...}`."
    yield "    order:"
    for event in seen.kept:
        yield f"      - {_pattern(event, name)}  # {_place(event)}"
    if seen.images_left:
        yield f"      # images that are not here: {seen.images_left}, further ones or again the same"
    if seen.threads_left:
        yield f"      # threads that are not here: {seen.threads_left}"
    if life.ended is None:
        yield "      # its end is not in the recording"


def _image_name(event: ImageLoad) -> str:
    """As a pattern without a backslash sees it; in small letters where that changes nothing else."""
    name = base_name(event.image or "")
    return name.lower() if name.isascii() else name


def _launched(life: Life, seen: _Seen) -> str:
    """What the step launches: a name is looked for in System32, where a 32-bit program is not."""
    found = _SYSWOW64.search(seen.image)
    return f"C:{found[0]}" if found is not None else life.program


def _pattern(event: Event, name: str) -> str:
    fields = [f"pid: ${name}"]
    match event:
        case ProcessCreate():
            if event.parent_pid is not None:
                fields.append(f"parent_pid: ${LAUNCHER}")
            if event.creating_pid is not None and event.creating_pid == event.parent_pid:
                fields.append(f"creating_pid: ${LAUNCHER}")
            return _written("process_create", fields)
        case ThreadCreate():
            return _written("thread_create", [*fields, f"tid: ${name}.tid"])
        case ImageLoad():
            return _written("image_load", [*fields, f"image: {literal_text(_image_name(event))}"])
        case ThreadExit():
            return _written("thread_exit", [*fields, f"tid: ${name}.tid"])
        case _:
            return _written("process_exit", fields)


def _written(kind: str, fields: Sequence[str]) -> str:
    return f"{kind}: {{{', '.join(fields)}}}"


def _place(event: Event) -> str:
    return f"event {event.index}" if event.time is None else f"event {event.index}, {event.time / 1e7:.4f} s"


def _comment(text: str) -> str:
    return ascii(text)[1:-1][:200]
