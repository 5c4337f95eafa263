"""The control channel against small children that behave and misbehave."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from this_system import KILL, KILLED, is_running

from harness.errors import DriverBugcheck, DriverHang, GuestError, ProcnotifyError, TargetLost
from harness.guests.control import ControlChannel

ECHO = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "result": request["args"]}), flush=True)
"""
REVERSED = """
import json, sys
first, second = json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())
for request in (second, first):
    print(json.dumps({"id": request["id"], "result": {"call": request["call"]}}), flush=True)
sys.stdin.read()
"""


@contextmanager
def child(source: str) -> Iterator[ControlChannel]:
    channel = ControlChannel([sys.executable, "-c", source], what="the child")
    try:
        yield channel
    finally:
        channel.close()
        assert not channel.alive


def answering(answer: str) -> str:
    """A child that answers with this line; its end is a line feed everywhere."""
    return (
        "import sys\nsys.stdin.readline()\n"
        f"sys.stdout.buffer.write({answer.encode()!r} + b'\\n')\nsys.stdout.flush()\nsys.stdin.read()\n"
    )


def test_an_answer_comes_back_whole_however_long_it_is() -> None:
    with child(ECHO) as channel:
        args = {"data": "x" * 1_000_000, "number": 2**63}
        assert channel.call("echo", args, timeout=30) == args


def test_answers_find_their_question_in_any_order() -> None:
    results: dict[str, object] = {}
    with child(REVERSED) as channel:

        def ask(name: str) -> None:
            results[name] = channel.call(name, {}, timeout=30)

        threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {"one": {"call": "one"}, "two": {"call": "two"}}


ERRORS = [
    ('{"id":1,"error":{"kind":"refused","message":"no such image"}}', GuestError, "no such image"),
    ('{"id":1,"error":{"kind":"halted","message":"in the debugger"}}', GuestError, "in the debugger"),
    ('{"id":1,"error":{"kind":"dead","message":"it is off"}}', TargetLost, "the child: it is off"),
    (
        '{"id":1,"error":{"kind":"bugcheck","message":"","code":80,"parameters":[1,2,3,4],"module":"a.sys"}}',
        DriverBugcheck,
        "0x0000000000000003, 0x0000000000000004) in a.sys",
    ),
    ('{"id":1,"error":{"kind":"hang","message":"still at 0x10","address":16}}', DriverHang, "still at 0x10"),
    ("not JSON", TargetLost, "b'not JSON\\n', which is no answer"),
    ('{"id":1}', TargetLost, "which is no answer"),
    ('{"id":1,"result":7}', TargetLost, "the result is not an object"),
    ('["id"]', TargetLost, "which is no answer"),
    ("[" * 20_000, TargetLost, "which is no answer"),
]


@pytest.mark.parametrize(("answer", "error", "text"), ERRORS)
def test_an_error_answer_raises_whose_fault_it_is(
    answer: str, error: type[ProcnotifyError], text: str
) -> None:
    with child(answering(answer)) as channel, pytest.raises(error) as raised:
        channel.call("boot", {}, timeout=30)
    assert text in str(raised.value)


def test_a_child_that_dies_is_lost_with_its_last_words() -> None:
    with child("import sys\nsys.stdin.readline()\nsys.exit('out of memory')") as channel:
        with pytest.raises(TargetLost, match=r"the child ended with exit code 1: out of memory"):
            channel.call("boot", {}, timeout=30)
        with pytest.raises(TargetLost, match="out of memory"):
            channel.call("status", {}, timeout=30)


def test_a_child_that_does_not_answer_meets_the_deadline() -> None:
    with (
        child("import sys\nsys.stdin.read()") as channel,
        pytest.raises(TargetLost, match=r"did not answer 'status' within 0\.05 s \(process \d+ runs\)"),
    ):
        channel.call("status", {}, timeout=0.05)


def test_a_child_that_ignores_the_end_of_its_input_is_killed() -> None:
    channel = ControlChannel([sys.executable, "-c", "import time\ntime.sleep(600)"], what="the child")
    channel.close(timeout=0.1)
    assert not channel.alive
    channel.close()


def test_no_child_survives_a_harness_that_was_killed(tmp_path: Path) -> None:
    last_act, number = tmp_path / "ended", tmp_path / "pid"
    source = f"import os\nopen({str(number)!r}, 'w').write(str(os.getpid()))\n{ECHO}\n"
    source += f"open({str(last_act)!r}, 'w').close()"
    harness = (
        "import os, sys\n"
        "from harness.guests.control import ControlChannel\n"
        f"channel = ControlChannel([sys.executable, '-c', {source!r}], what='the child')\n"
        "channel.call('echo', {}, timeout=30)\n"
        f"os.kill(os.getpid(), {int(KILL)})\n"
    )
    assert subprocess.run([sys.executable, "-c", harness], timeout=60).returncode == KILLED
    deadline = time.monotonic() + 30
    # It notices the end of its input; where a job of Windows holds it, it is ended before it can.
    while not last_act.exists() and is_running(int(number.read_text(encoding="utf-8"))):
        assert time.monotonic() < deadline, "the child did not notice that its harness is gone"
        threading.Event().wait(0.02)
