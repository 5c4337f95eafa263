"""A program that is run: its output line by line, its deadline, and its end with ours."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from harness.wine.command import Finished, run_command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no Wine")

FOREVER = "time.sleep(600)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_as_they_appear_and_the_last_of_the_output() -> None:
    lines: list[str] = []
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); sys.exit(3)"
    done = run_command(python(code), timeout=60, on_line=lines.append)
    assert done == (3, "one\ntwo\n")
    assert lines == ["one", "two"]


def test_only_the_end_of_a_long_output_is_kept() -> None:
    done = run_command(python("print('x' * 1_000_000); print('the end')"), timeout=60)
    assert done.output.endswith("the end\n")
    assert len(done.output) < 10_000


def test_standard_input_is_closed() -> None:
    assert run_command(python("import sys; print(repr(sys.stdin.read()))"), timeout=60).output == "''\n"


def test_the_deadline_ends_the_program() -> None:
    done = run_command(python(f"import time; {FOREVER}"), timeout=0.1)
    assert done.code is None
    assert done.why() == "no answer in time"


@pytest.mark.parametrize("reason", [KeyboardInterrupt, ValueError])
def test_what_ends_the_wait_ends_the_program_and_its_children(
    tmp_path: Path, reason: type[BaseException]
) -> None:
    """The pipe's other end is held by the program and its child: it is at its end when both are gone."""
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code = f"import os, time; held = open({str(pipe)!r}, 'w'); os.fork(); print('up', flush=True); {FOREVER}"

    def interrupted(line: str) -> None:
        raise reason

    try:
        with pytest.raises(reason):
            run_command(python(code), timeout=60, on_line=interrupted)
        ready, _, _ = select.select([reader], [], [], 30)
        assert ready, "the program still runs"
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


WHY = [
    (Finished(None, "anything"), "no answer in time"),
    (Finished(1, ""), "exit code 1"),
    (Finished(-9, "\n \n"), "exit code -9"),
    (Finished(1, "one\ntwo\n\n"), "two"),
    (Finished(1, "E: the reason\nE: another\nnote\n"), "another"),
    (Finished(1, "W: a warning\nend\n"), "end"),
    (Finished(1, "a\rE: progress\r"), "progress"),
]


@pytest.mark.parametrize(("done", "expected"), WHY)
def test_why_it_failed(done: Finished, expected: str) -> None:
    assert done.why("E: ") == expected


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ('{"pykd": "0.3"}\n', {"pykd": "0.3"}),
        ('{"pykd": "0.3"}\n0x5572ab3ffe60:1: Process id=0104 handles=(nil)\n', {"pykd": "0.3"}),
        ('{"old": 1}\n{"new": 2}\n{torn', {"new": 2}),
        ("[1]\nnothing\n", None),
        ('{"a":' * 100_000, None),
        ("", None),
    ],
)
def test_the_last_json_object_is_found_whatever_is_said_after_it(
    output: str, found: dict[str, object] | None
) -> None:
    assert Finished(0, output).json_object() == found
