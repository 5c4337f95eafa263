"""Runs to be reported: lines as a driver prints them, checked against a scenario."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path

from judged_runs import rejudged

from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.outcome import Outcome
from harness.report.html.page import html_page
from harness.scenario import load
from harness.verdict.judge import judge
from harness.verdict.judgedrun import JudgedRun

__all__ = ["HOSTILE", "LIFE", "events_of", "generated", "page_of", "reported"]

LIFE = """\
scenario: life
summary: A process lives.
steps:
  - launch: {image: a.exe, as: child}
expect:
  - order:
      - process_create: {pid: $child}
      - thread_create: {pid: $child, tid: $main}
      - image_load: {pid: $child, image: a.exe}
      - thread_exit: {pid: $child, tid: $main}
      - process_exit: {pid: $child}
"""
_DRIVER = "[procnotify] Driver"

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "--><!--<script>",
    "\"'><svg/onload=alert(1)>",
    "&lt;b&gt;&amp;&#60;",
    "\u202egpj.exe",
    "\u2066left\u2069",
    "long" + "\\x" * 16_000,
    "half \ud800 and \udfff",
    "\x00\x01\x1b[31m\x7f\x9b",
    "line\r\nbreak\ttab\u2028",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
)


def events_of(lines: Iterable[str]) -> list[Event]:
    """What a driver's lines say."""
    assembler = EventAssembler(builtin_grammar())
    return [event for line in lines for event in assembler.feed(f"{line}\n")] + assembler.flush()


def life(pid: int, *, exits: bool = True) -> list[str]:
    """The lines of one process; ``exits``: its thread is reported to end."""
    tid, by = pid + 4, "by=100.104"
    lines = [
        f"OnProcess PPID(100) created PID({pid}) {{seq=# t=1000 cpu=0 {by}}}",
        f"OnThread TID({tid}) was created in PID({pid}) by PID(100) {{seq=# t=2000 cpu=0 {by}}}",
        f"OnImage PID({pid}) loaded a/an \\Windows\\a.exe at 0x0000000000400000"
        f" {{seq=# t=3000 cpu=1 by={pid}.{tid} size=0x1000}}",
        *(
            [f"OnThread TID({tid}) in PID({pid}) was terminated {{seq=# t=4000 cpu=1 by={pid}.{tid}}}"]
            * exits
        ),
        f"OnProcess PID({pid}) was terminated {{seq=# t=5000 cpu=1 by={pid}.{tid}}}",
    ]
    return [f"[procnotify] {line}" for line in lines]


def numbered(lines: Iterable[str]) -> list[str]:
    """The lines with the driver's counter."""
    return [line.replace("seq=#", f"seq={number}") for number, line in enumerate(lines, 1)]


def reported(
    folder: Path, lines: Sequence[str], *, seed: int = 1, scenario: str = LIFE, cut: str = ""
) -> JudgedRun:
    """A run in which these lines came; ``$child`` is 200.

    :param cut: why they are only a part of those that were printed.
    """
    with chdir(folder):  # messages name the file as it was named
        path = Path("life.yaml")
        path.write_text(scenario, encoding="utf-8", newline="\n")
        bound = {"child": 200, "child.tid": 204}
        verdict = judge(load(path), events_of(lines), bound, unfinished=cut, partial=bool(cut))
    return JudgedRun("life", Path("life.yaml"), seed, verdict, seconds=0.5, trace=Path("life-1.jsonl"))


def page_of(
    runs: Sequence[JudgedRun],
    events: Sequence[Event],
    text: str = LIFE,
    often: Sequence[str] | None = None,
) -> str:
    """The page about runs that all have the same events."""
    return html_page(runs, often=often, recorded=lambda run: events, text_of=lambda path: text)


def generated(number: int) -> Iterator[Event]:
    """Events of many processes with threads and images, as a busy machine reports them."""
    index = 0
    kernel, modules = (
        0x00007FFA_00000000,
        ("ntdll.dll", "kernel32.dll", "KernelBase.dll", "user32.dll", "gdi32.dll"),
    )

    def common(text: str, by: str, rest: str = "") -> dict[str, object]:
        time = 300_000_000 + index * 1_237 + index % 89 * 41
        line = f"[procnotify] {text} {{seq={index + 1} t={time} cpu={index % 4} by={by}{rest}}}"
        return {"index": index, "line": line, "time": time, "cpu": index % 4, "seq": index + 1}

    for process in range(number):
        pid, tid = 1000 + process * 8 % 60_000, 1004 + process * 8 % 60_000
        by = f"{pid}.{tid}"
        yield ProcessCreate(
            pid=pid, parent_pid=900, **common(f"OnProcessNotify PPID(900) created PID({pid})", "900.904")
        )
        index += 1
        yield ThreadCreate(
            pid=pid,
            tid=tid,
            **common(f"OnThreadNotify TID({tid}) was created in PID({pid}) by PID(900)", "900.904"),
        )
        index += 1
        for module in (f"program{process % 37}.exe", *modules):
            base = kernel + (hash((process, len(module))) & 0xFFFF) * 0x10000
            image = f"\\Device\\HarddiskVolume3\\Windows\\System32\\{module}"
            text = f"OnImageNotify PID({pid}) loaded a/an {image} at 0x{base:016X}"
            yield ImageLoad(pid=pid, image=image, base=base, **common(text, by, f" size=0x{0x1F0000:x}"))
            index += 1
        yield ThreadExit(
            pid=pid, tid=tid, **common(f"OnThreadNotify TID({tid}) in PID({pid}) was terminated", by)
        )
        index += 1
        yield ProcessExit(pid=pid, **common(f"OnProcessNotify PID({pid}) was terminated", by))
        index += 1
        if index >= number:
            return


def skipped(run: JudgedRun) -> JudgedRun:
    """The run, of which nothing could be judged."""
    return rejudged(run, outcome=Outcome.SKIPPED)
