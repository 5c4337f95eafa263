"""What a target saw happen, as a tree: processes in their parents, their threads and images in them.

A driver's prints stand beside the callback in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.ntpaths import base_name
from harness.runs.trial import TrialPrint

__all__ = ["TreeRow", "call_tree", "tree_as_json", "tree_lines"]

_CallKey: TypeAlias = tuple[object, ...]
"""What tells one callback call from the others of a run."""
_MAX_WIDTH = 60
"""Characters of the tree beside which prints begin; a longer line pushes its print away."""
_KERNEL = 0
"""As the process of an image: a driver was mapped."""


@dataclass
class TreeRow:
    """A line of the tree and what stands below it."""

    text: str
    prints: list[str] = field(default_factory=list)
    rows: list[TreeRow] = field(default_factory=list)


def _call_key(event: Event) -> _CallKey:
    """The same for a call that is under way and for its account when it has ended."""
    ids = (getattr(event, name, None) for name in ("pid", "tid", "base"))
    return (type(event), event.time, event.cpu, *ids)


def call_tree(seen: Iterable[Event], printed: Sequence[TrialPrint]) -> list[TreeRow]:
    """The tree of a target's account of its callback calls; what the driver printed outside of them stands
    at the outermost level, in its place."""
    prints: dict[_CallKey, list[str]] = {}
    for one in printed:
        if one.call is not None:
            prints.setdefault(_call_key(one.call), []).append(one.text)
    return _Tree(prints).build(seen, [one for one in printed if one.call is None])


class _Tree:
    def __init__(self, prints: Mapping[_CallKey, list[str]]) -> None:
        self._prints = dict(prints)
        self._roots: list[TreeRow] = []
        self._processes: dict[int, TreeRow] = {}

    def build(self, seen: Iterable[Event], outside: Sequence[TrialPrint]) -> list[TreeRow]:
        waiting = list(outside)
        entered = 0
        for event in seen:
            if isinstance(event, Marker):
                self._name_helper(event)
                continue
            while waiting and waiting[0].after <= entered:
                self._roots.append(TreeRow("the driver", [waiting.pop(0).text]))
            entered += 1
            self._take(event)
        self._roots += [TreeRow("the driver", [one.text]) for one in waiting]
        return list(_joined(self._roots))

    def _take(self, event: Event) -> None:
        match event:
            case ProcessCreate():
                by = _by(event.creating_pid, event.creating_tid)
                row = TreeRow(f"{_base(event.image) or 'process'} {event.pid}{by}")
                parent = self._processes.get(event.parent_pid) if event.parent_pid is not None else None
                (self._roots if parent is None else parent.rows).append(row)
                self._processes[event.pid] = row
            case ProcessExit():
                row = self._below(event.pid, "process ends")
                self._processes.pop(event.pid, None)
            case ThreadCreate():
                remote = event.creating_pid not in (None, event.pid)
                by = _by(event.creating_pid, event.creating_tid) if remote else ""
                row = self._below(event.pid, f"thread {event.tid}{by}")
            case ThreadExit():
                row = self._below(event.pid, f"thread {event.tid} ends")
            case ImageLoad():
                name = _base(event.image)
                row = self._below(event.pid or _KERNEL, f"image {name or '(no name)'}")
                process = self._processes[event.pid or _KERNEL]
                if event.pid and name.lower().endswith(".exe"):
                    process.text = process.text.replace("process ", f"{name} ", 1)
            case _:
                return
        row.prints += self._prints.pop(_call_key(event), [])

    def _name_helper(self, said: Marker) -> None:
        row = self._processes.get(said.pid)
        if row is not None and said.phase == "begin":
            row.text += f" (the guest helper: {said.action})"

    def _below(self, pid: int, text: str) -> TreeRow:
        process = self._processes.get(pid)
        if process is None:
            process = TreeRow("the kernel" if pid == _KERNEL else f"process {pid}")
            self._processes[pid] = process
            self._roots.append(process)
        row = TreeRow(text)
        process.rows.append(row)
        return row


def _base(image: str | None) -> str:
    return base_name(image or "")


def _by(pid: int | None, tid: int | None) -> str:
    return "" if pid is None else f", by {pid}.{tid}"


def _joined(rows: Iterable[TreeRow]) -> Iterator[TreeRow]:
    """Images one after another that nothing was printed for are one row; so are prints outside of calls."""
    last: TreeRow | None = None
    for row in rows:
        row.rows = list(_joined(row.rows))
        image = row.text.startswith("image ") and not row.prints
        if last is not None and image and last.text.startswith("image ") and not last.prints:
            last.text += f", {row.text.removeprefix('image ')}"
        elif last is not None and row.text == last.text == "the driver":
            last.prints += row.prints
        else:
            if last is not None:
                yield last
            last = row
    if last is not None:
        yield last


def tree_lines(rows: Sequence[TreeRow], depth: int = 0) -> Iterator[str]:
    """The tree as text, the prints in a column beside it.

    The text holds what the target printed: hand it to :func:`harness.report.text.printable` before it is
    shown.
    """
    for row in rows:
        text = f"{'  ' * depth}{row.text}"
        first, *others = row.prints or [""]
        yield f"{text:<{_MAX_WIDTH}}  | {first}" if first else text
        for other in others:
            yield f"{'':<{_MAX_WIDTH}}  | {other}"
        yield from tree_lines(row.rows, depth + 1)


def tree_as_json(rows: Iterable[TreeRow]) -> list[dict[str, object]]:
    """The tree as values that JSON has."""
    return [{"what": row.text, "prints": row.prints, "below": tree_as_json(row.rows)} for row in rows]
