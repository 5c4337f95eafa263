"""What a failure says, as golden files: the place in the scenario, what is bound, the trace.

``--update`` rewrites them; read the difference as somebody would whose driver has just failed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import Event
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.order import check
from harness.report.explanation import explanation_text
from harness.scenario import parse

GOLDEN = Path(__file__).resolve().parent / "golden"

HEAD = """\
scenario: notepad
summary: What a failure says.
steps:
  - launch: {image: notepad.exe, as: notepad}
expect:
"""

DISK = r"\Device\HarddiskVolume3\Windows\System32"
# What is printed, the time in 0.1 s, who printed it.
PRINTED = [
    ("OnCreateProcess PPID(4) created PID(400)", 1, "4.8"),
    ("OnCreateThread TID(404) was created in PID(400) by PID(4)", 2, "4.8"),
    (rf"OnLoadImage PID(400) loaded a/an {DISK}\actor.exe at 0x00007FF7A0000000", 3, "400.404"),
    ("OnCreateProcess PPID(400) created PID(812)", 4, "400.404"),
    ("OnCreateThread TID(816) was created in PID(812) by PID(400)", 5, "400.404"),
    (rf"OnLoadImage PID(812) loaded a/an {DISK}\notepad.exe at 0x00007FF6B0000000", 6, "812.816"),
    (rf"OnLoadImage PID(812) loaded a/an {DISK}\ntdll.dll at 0x00007FFA10000000", 7, "812.816"),
    (rf"OnLoadImage PID(812) loaded a/an {DISK}\kernel32.dll at 0x00007FFA20000000", 8, "812.816"),
    ("OnCreateThread TID(820) was created in PID(812) by PID(812)", 9, "812.816"),
    (rf"OnLoadImage PID(812) loaded a/an {DISK}\user32.dll at 0x00007FFA30000000", 10, "812.820"),
    ("OnCreateThread TID(820) in PID(812) was terminated", 38, "812.820"),
    ("OnCreateThread TID(816) in PID(812) was terminated", 39, "812.816"),
    ("OnCreateProcess PID(812) was terminated", 40, "812.816"),
    ("OnCreateThread TID(404) in PID(400) was terminated", 41, "400.404"),
    ("OnCreateProcess PID(400) was terminated", 42, "400.404"),
]

CASES = {
    "missing-event": """\
  scope: {pid: $notepad}
  order:
    - process_create: {pid: $notepad}
    - thread_create: {pid: $notepad, tid: $main}
    - image_load: {image: gdi32.dll}
    - thread_exit: {tid: $main}
    - process_exit: {pid: $notepad}
""",
    "missing-kind": """\
  order:
    - process_create: {pid: $notepad}
    - marker: {action: launch}
""",
    "wrong-field": """\
  order:
    - process_create: {pid: $notepad, parent_pid: $creator}
    - thread_create: {pid: $notepad, tid: $first}
    - thread_create: {pid: $notepad, tid: $second, creating_pid: $creator}
    - thread_exit: {tid: $first}
    - thread_exit: {tid: $second}
""",
    "wrong-order": """\
  order:
    - process_create: {pid: $notepad}
    - thread_exit: {pid: $notepad, tid: 816}
    - image_load: {pid: $notepad, image: user32.dll}
""",
    "next": """\
  scope: {pid: $notepad}
  order:
    - image_load: {image: notepad.exe}
    - next: {image_load: {image: kernel32.dll}}
    - process_exit: {pid: $notepad}
""",
    "never-between": """\
  scope: {pid: $notepad}
  order:
    - image_load: {image: ntdll.dll}
    - never: {thread_create: {pid: $notepad}}
    - image_load: {image: user32.dll}
""",
    "never-after": """\
  order:
    - image_load: {image: ntdll.dll, pid: $p}
    - image_load: {image: kernel32.dll, pid: $p}
    - never: {thread_create: {pid: $p}}
""",
    "never": """\
  order:
    - process_create: {pid: $notepad}
    - process_exit: {pid: $notepad}
  never:
    - image_load: {image: "user*.dll"}
""",
    "never-with-a-variable": """\
  order:
    - process_create: {pid: $p, parent_pid: $agent}
    - thread_create: {pid: $p, tid: $main}
  never:
    - thread_create: {pid: $p, tid: {not: $main}}
""",
    "only": """\
  scope: {pid: $notepad}
  order:
    - process_create: any
    - thread_create: any
    - image_load: {image: notepad.exe}
    - image_load: {image: kernel32.dll}
    - repeat: {of: {image_load: any}, min: 0}
    - process_exit: any
  only: true
""",
    "only-at-the-end": """\
  scope: {pid: $notepad}
  order:
    - process_create: any
    - thread_create: any
  only: true
""",
    "within": """\
  scope: {pid: $notepad}
  order:
    - image_load: {image: user32.dll}
    - within: 2s
    - process_exit: {pid: $notepad}
""",
    "out-of-scope": """\
  scope: {pid: $notepad}
  order:
    - process_create: {pid: $notepad}
    - image_load: {image: actor.exe}
""",
    "one-of": """\
  order:
    - process_create: {pid: $notepad}
    - one_of:
        - image_load: {image: a.dll}
        - image_load: {image: b.dll}
        - thread_create: {pid: 5, tid: 6}
""",
    "optional": """\
  order:
    - process_create: {pid: $notepad}
    - optional: {image_load: {image: gdi32.dll}}
    - process_exit: {pid: 9}
""",
    "any-order": """\
  order:
    - process_create: {pid: $notepad}
    - any_order:
        - image_load: {image: ntdll.dll}
        - image_load: {image: gdi32.dll}
        - [image_load: {image: kernel32.dll}, next: {thread_exit: any}]
""",
    "repeat": """\
  scope: {pid: $notepad}
  order:
    - repeat:
        of:
          - thread_create: {tid: $t}
          - image_load: {image: user32.dll}
          - thread_exit: {tid: $t}
        min: 2
""",
    "lifecycle": """\
  never: [bugcheck: any]
""",
    "number-again": """\
  never: [bugcheck: any]
""",
    "two-blocks": """\
  - order:
      - process_create: {pid: 1}
  - never:
      - process_exit: {pid: $notepad}
""",
}


def trace(case: str) -> list[Event]:
    lines = [
        f"[procnotify] {text} {{seq={seq} t={time * 1_000_000} cpu={seq % 2} by={by}}}"
        for seq, (text, time, by) in enumerate(PRINTED, 1)
    ]
    if case == "lifecycle":
        lines[12], lines[11] = lines[11], lines[12]
    if case == "number-again":
        lines[12] = lines[12].replace("seq=13", "seq=7")
    events = EventAssembler(builtin_grammar()).feed("".join(f"{line}\n" for line in lines))
    assert len(events) == len(PRINTED)
    return events


@pytest.mark.parametrize("case", CASES)
def test_what_a_failure_says(case: str, update: bool) -> None:
    scenario = parse(HEAD + CASES[case], Path("notepad.yaml"))
    result = check(scenario, trace(case), {"notepad": 812, "notepad.tid": 816, "agent": 400})
    assert not result.passed
    said = f"{result.reason}\n{explanation_text(result, result.reason)}\n"
    path = GOLDEN / f"{case}.txt"
    if update:
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)
