"""Drivers that print in ten ways: what is learnt of each is right on other seeds, or said not to be known."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.events import Event, kind_of
from harness.grammars import parse_grammar
from harness.learning import PROGRAM, HeardRun, Learnt, learn
from harness.learning.atoms import is_same_program
from harness.lines import EventAssembler, Grammar
from harness.runs.hearing import hear
from harness.runs.opening import read_driver
from harness.toolchain import Arch, build_driver, default_actor, default_driver
from harness.virtual.cpu.hardware import Hardware

SOURCE = Path(__file__).resolve().parent / "prints.c"
LEARNT_FROM, HELD_TO = (1, 2, 3, 4), (101, 102, 103)
P, T = ("pid",), ("pid", "tid")
KNOWN: dict[str, dict[str, tuple[str, ...]]] = {
    "verb-name-id": {
        "process_create": ("image", *P),
        "process_exit": ("image", *P),
        "thread_create": T,
        "thread_exit": T,
    },
    "key-value": {
        "process_create": ("image", "parent_pid", *P),
        "process_exit": P,
        "thread_create": T,
        "thread_exit": T,
        "image_load": ("image", *P),
    },
    "id-only": {"process_create": ("image", *P), "process_exit": P},
    "records": {
        "process_create": ("creating_pid", "image", "parent_pid", *P),
        "process_exit": P,
        "thread_create": T,
        "thread_exit": T,
    },
    "hexadecimal": {
        "process_create": ("parent_pid", *P),
        "process_exit": ("image", *P),
        "thread_create": T,
        "thread_exit": T,
        "image_load": ("base", "image", "size"),
    },
    "three-ids": {
        "process_create": ("creating_pid", "creating_tid", "parent_pid", *P),
        "process_exit": ("context_tid", *P),
        "thread_create": ("creating_pid", *T),
        "thread_exit": T,
        "image_load": ("base", "image", *P),
    },
    "images": {"process_create": P, "image_load": ("image",)},
    "code-page": {
        "process_create": ("parent_pid", *P),
        "process_exit": P,
        "thread_create": T,
        "thread_exit": T,
    },
    "one-number-differs": {
        "process_create": P,
        "process_exit": P,
        "thread_create": T,
        "thread_exit": T,
        "image_load": ("image",),
    },
    "no-line-ends": {
        "process_create": P,
        "process_exit": P,
        "thread_create": T,
        "thread_exit": T,
        "image_load": ("base", "image", *P),
    },
    "all-alike": {},
}
"""Style, in the order of STYLE in the source → the fields that are known of each kind."""
UNKNOWN = {
    "id-only": "thread_create: 'Thread Start (",
    "three-ids": "is creating_pid or pid: they were always the same",
    "images": "process_exit: 'Process gone': no part of it is known to be pid",
    "one-number-differs": "whether the number '3' is always the same",
    "all-alike": "process_create: 'process event 1552': other lines of the driver look the same",
}
"""What must be said not to be known."""
ENCODING = {"code-page": "gbk"}
COMPLETE = {"key-value", "hexadecimal", "one-number-differs", "no-line-ends"}
STYLES = list(KNOWN)
FEW = {"key-value", "id-only", "records", "three-ids", "no-line-ends"}
"""Each is built, which takes a second: the others only where all are asked for."""
RUN = STYLES if os.environ.get("PROCNOTIFY_LEARN_STYLES") == "all" else [s for s in STYLES if s in FEW]


@pytest.fixture(scope="module")
def hardware() -> Hardware:
    return Hardware()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("styles")
    for style in RUN:
        build_driver(
            SOURCE,
            Arch.X64,
            folder / f"{style}.sys",
            integrity_check=True,
            defines={"STYLE": str(STYLES.index(style) + 1)},
        )
    return folder


def heard(path: Path, seeds: tuple[int, ...], hardware: Hardware) -> list[HeardRun]:
    helper = default_actor()
    return [
        hear(
            read_driver(path),
            seed,
            helper=helper.exe.path.read_bytes(),
            probe=helper.probe.path.read_bytes(),
            other=read_driver(default_driver().path),
            hardware=hardware,
        )
        for seed in seeds
    ]


def learnt_of(built: Path, style: str, hardware: Hardware) -> Learnt:
    runs = heard(built / f"{style}.sys", LEARNT_FROM, hardware)
    return learn(runs, style, origin="a test", encoding=ENCODING.get(style, "utf-8"))


def printed_in(run: HeardRun, call: int) -> list[tuple[bytes, int]]:
    return [(print_.data, print_.processor) for print_ in run.prints if print_.call == call]


def read(grammar: Grammar, prints: list[tuple[bytes, int]]) -> list[Event]:
    assembler = EventAssembler(grammar)
    events = [event for data, cpu in prints for event in assembler.feed_bytes(data, None, cpu)]
    return [event for event in events + assembler.flush() if kind_of(event) != "print"]


@pytest.mark.parametrize("style", RUN)
def test_every_field_is_right_on_other_seeds(built: Path, style: str, hardware: Hardware) -> None:
    learnt = learnt_of(built, style, hardware)
    fields: dict[str, tuple[str, ...]] = {entry.kind: tuple(entry.fields) for entry in learnt.entries}
    assert fields == {kind: tuple(sorted(names)) for kind, names in KNOWN[style].items()}
    assert UNKNOWN.get(style, "") in "\n".join(learnt.doubts)
    for doubt in learnt.doubts:
        assert f"# not known: {doubt[:100]}" in learnt.text
    assert learnt.complete is ("complete: true" in learnt.text) is (style in COMPLETE)
    if not fields:
        return
    seen = set()
    grammar = parse_grammar(learnt.text, Path("learnt.yaml"))
    for run in heard(built / f"{style}.sys", HELD_TO, hardware):
        for number, call in enumerate(run.calls):
            events = read(grammar, printed_in(run, number))
            assert len(events) <= 1
            for event in events:
                kind = kind_of(event)
                assert kind == kind_of(call.event)
                for name in fields[kind]:
                    value = getattr(event, name)
                    if name == PROGRAM and value is not None:
                        assert is_same_program(value, call.texts[PROGRAM]), event
                    elif value is not None:
                        assert value == getattr(call.event, name), event
                    seen.add((kind, name))
            if style in COMPLETE:
                assert events, call
    assert seen == {(kind, name) for kind, names in fields.items() for name in names}


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_a_debuggers_log_is_read_by_what_was_learnt(built: Path, tmp_path: Path, hardware: Hardware) -> None:
    """All the way: learnt by the command, then the lines of another seed read out of a text file."""
    driver, grammar, log = built / "key-value.sys", tmp_path / "it.lines.yaml", tmp_path / "windbg.log"
    first = command("learn", driver, "--out", grammar, "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["exit_code"], told["read"]) == (0, told["calls"])
    assert told["grammar"] == grammar.read_text(encoding="utf-8")
    (run,) = heard(driver, HELD_TO[:1], hardware)
    log.write_bytes(b"".join(print_.data for print_ in run.prints))
    read_back = command("lines", log, "--lines", grammar)
    assert read_back.returncode == 0, read_back.stdout
    assert "       0  left" in read_back.stdout
    again = command("learn", driver, "--out", grammar)
    assert again.returncode == 2 and "--force writes over it" in again.stderr


def test_a_hang_is_told_with_its_function_and_line(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parents[1] / "drivers" / "loops_forever"
    driver = build_driver(source, Arch.X64, tmp_path / "loops.sys").path
    done = command("learn", driver)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(
        r"loops\.sys hangs, instruction at loops\.sys\+0x[0-9a-f]+ \(\w+, \w+\.[ch]:\d+\)", done.stderr
    )


def test_what_is_no_driver_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no driver", encoding="utf-8", newline="")
    done = command("learn", tmp_path / "notes.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "notes.txt: the driver is not a PE image" in done.stderr
