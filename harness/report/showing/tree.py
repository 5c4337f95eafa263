"""The processes of a recording as a tree: a child under its parent, with its threads and images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

from harness.events import Event, ImageLoad, ThreadCreate, ThreadExit, kind_of
from harness.report.showing.words import Segments, duration_text, process_name, time_text
from harness.report.text import one_line
from harness.trace.lives import KERNEL, MAX_NAME, Life, Lives, file_name

__all__ = ["MAX_INDENTED", "MAX_LISTED", "MAX_LIVING", "ProcessTree"]

MAX_LISTED: Final = 100_000
"""Threads and images that are listed in all; further ones are counted."""
MAX_LIVING: Final = 1_000_000
"""Threads at one time whose exits are told from those of threads that were there before the recording."""
MAX_INDENTED: Final = 40
"""Generations that are set in further; later ones stand as far in as these."""


@dataclass
class _Thread:
    tid: int
    created: int | None = None
    """Target time in 100 ns, as the next."""
    ended: int | None = None
    has_ended: bool = False


@dataclass
class _Content:
    """What the chosen events say of one process."""

    events: int = 0
    threads: int = 0
    ended_threads: int = 0
    images: int = 0
    listed_threads: list[_Thread] = field(default_factory=list)
    listed_images: list[tuple[str, int | None]] = field(default_factory=list)
    """File name and base."""
    living: dict[int, _Thread | None] = field(default_factory=dict)
    """Threads that have not ended, by their TID; None: one that is not listed."""


class ProcessTree:
    """Takes the chosen events of a recording; the lives they are about are known when all are taken.

    :param lists: list threads and images, and do not only count them.
    """

    def __init__(self, *, lists: bool) -> None:
        self._lists = lists
        self._contents: dict[int, _Content] = {}
        self._listed = 0
        self._living = 0
        self.unlisted = 0
        """Threads and images that :data:`MAX_LISTED` left out."""
        self.counts: Counter[str] = Counter()
        """Of the chosen events: kind → number."""

    def take(self, event: Event, life: Life | None) -> None:
        self.counts[kind_of(event)] += 1
        if life is None:
            return
        content = self._contents.setdefault(life.number, _Content())
        content.events += 1
        match event:
            case ThreadCreate():
                thread = self._thread(content, event.tid)
                if thread is not None:
                    thread.created = event.time
                if self._living < MAX_LIVING:
                    self._living += event.tid not in content.living
                    content.living[event.tid] = thread
            case ThreadExit():
                content.ended_threads += 1
                if event.tid in content.living:
                    self._living -= 1
                    thread = content.living.pop(event.tid)
                elif self._living < MAX_LIVING:  # it was there before the recording
                    thread = self._thread(content, event.tid)
                else:
                    thread = None
                if thread is not None:
                    thread.ended = event.time
                    thread.has_ended = True
            case ImageLoad():
                content.images += 1
                if self._may_list():
                    name = file_name(event.image)[:MAX_NAME] or "(no name)"
                    content.listed_images.append((name, event.base))

    def lines(self, lives: Lives) -> Iterator[Segments]:
        """The tree, as lines."""
        several = lives.boots > 1
        boot = -1
        for life, depth in self._walk(lives):
            if several and life.boot != boot:
                boot = life.boot
                yield [(f"boot {boot + 1}", "bold")]
            yield self._process_line(life, depth)
            content = self._contents.get(life.number)
            if content is not None:
                for line in _content_lines(content):
                    yield [(_indent(depth + 1), ""), (line, "dim")]

    def document(self, lives: Lives) -> list[dict[str, object]]:
        """The processes as docs/json.md has them, each after its parent."""
        return [self._as_json(life) for life, _ in self._walk(lives)]

    def _walk(self, lives: Lives) -> Iterator[tuple[Life, int]]:
        """The processes that the chosen events are about, and those above them, with their depth."""
        shown: set[int] = set()
        for life in lives.all:
            above: Life | None = life if life.number in self._contents else None
            while above is not None and above.number not in shown:
                shown.add(above.number)
                above = above.parent
        below: dict[int | None, list[Life]] = {}
        for life in lives.all:
            if life.number in shown:
                parent = life.parent.number if life.parent is not None else None
                below.setdefault(parent, []).append(life)
        roots = sorted(below.get(None, ()), key=lambda life: (life.boot, life.number))
        waiting = [(life, 0) for life in reversed(roots)]
        while waiting:
            life, depth = waiting.pop()
            yield life, depth
            waiting += [(child, depth + 1) for child in reversed(below.get(life.number, ()))]

    def _process_line(self, life: Life, depth: int) -> Segments:
        content = self._contents.get(life.number)
        style = "dim" if content is None else "bold"
        line: Segments = [(_indent(depth), ""), (process_name(life), style)]
        if content is not None:
            line.append((f"  {_count_text(content)}", "cyan"))
        if life.pid != KERNEL:
            line.append((f"  {_life_text(life)}", "green" if life.ended is not None else "yellow"))
        return line

    def _as_json(self, life: Life) -> dict[str, object]:
        content = self._contents.get(life.number) or _Content()
        row: dict[str, object] = {
            "number": life.number,
            "parent": life.parent.number if life.parent is not None else None,
            "boot": life.boot,
            "pid": life.pid,
            "program": life.program,
            "created": asdict(life.created) if life.created is not None else None,
            "ended": asdict(life.ended) if life.ended is not None else None,
            "duration": life.duration,
            "events": content.events,
            "threads": content.threads,
            "ended_threads": content.ended_threads,
            "images": content.images,
        }
        if self._lists:
            row["thread_list"] = [
                {"tid": thread.tid, "created": thread.created, "ended": thread.ended}
                for thread in content.listed_threads
            ]
            row["image_list"] = [
                {"image": name, "base": None if base is None else f"{base:#x}"}
                for name, base in content.listed_images
            ]
        return row

    def _thread(self, content: _Content, tid: int) -> _Thread | None:
        """A further one, counted, and listed where that is wanted; None: it is not listed."""
        content.threads += 1
        if not self._may_list():
            return None
        thread = _Thread(tid)
        content.listed_threads.append(thread)
        return thread

    def _may_list(self) -> bool:
        if not self._lists:
            return False
        if self._listed >= MAX_LISTED:
            self.unlisted += 1
            return False
        self._listed += 1
        return True


def _indent(depth: int) -> str:
    return "  " * min(depth, MAX_INDENTED)


def _count_text(content: _Content) -> str:
    parts = [
        f"{number} {word}{'s' * (number != 1)}"
        for number, word in ((content.threads, "thread"), (content.images, "image"))
        if number
    ]
    return ", ".join(parts) or f"{content.events} event{'s' * (content.events != 1)}"


def _life_text(life: Life) -> str:
    if life.created is None:
        begun = "there before the recording"
        return begun if life.ended is None else f"{begun}, ended{_at(life.ended.time)}"
    begun = f"created{_at(life.created.time)}"
    if life.ended is None:
        return f"{begun}, not ended"
    if life.duration is None:
        return f"{begun}, ended"
    return f"{begun}, ended after {duration_text(life.duration)}"


def _at(time: int | None) -> str:
    return f" at {time_text(time)}" if time is not None else ""


def _content_lines(content: _Content) -> Iterator[str]:
    for thread in content.listed_threads:
        if thread.created is not None and thread.ended is not None:
            yield f"thread {thread.tid}, ended after {duration_text(thread.ended - thread.created)}"
        else:
            yield f"thread {thread.tid}{', ended' * thread.has_ended}"
    for name, base in content.listed_images:
        yield f"image {one_line(name)}{'' if base is None else f' at {base:#x}'}"
