"""Every action of the guest helper does what it says, with real Win32 calls."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator

import pytest

ERROR_ACCESS_DENIED = 5
ERROR_INVALID_PARAMETER = 87
ERROR_MOD_NOT_FOUND = 126
ERROR_BAD_ARGUMENTS = 160
ERROR_FILE_NOT_FOUND = 2
ERROR_OPERATION_ABORTED = 995
ERROR_IO_PENDING = 997
ERROR_NOT_FOUND = 1168
ERROR_TIMEOUT = 1460
QUERY_POINTS = 0x6D_0008
"""IOCTL_MOUNTMGR_QUERY_POINTS (mountmgr.h)."""
ACTOR = r"C:\procnotify\actor.exe"
PROBE = r"C:\procnotify\probe.dll"


def act(prefix, *arguments: object, code: int = 0) -> dict[str, object]:
    done = prefix.run(ACTOR, *map(str, arguments))
    assert done.returncode == code
    assert done.stdout.count(b"\n") == 1
    return json.loads(done.stdout)


@pytest.fixture
def sleeper(prefix) -> Iterator[int]:
    """PID of a process that does nothing for a minute."""
    pid = act(prefix, "launch", ACTOR, "sleep", 60000)["child_pid"]
    prefix.wait_for(f"[actor] begin sleep id=0 pid={pid}")
    yield pid
    prefix.run(ACTOR, "terminate", str(pid))


def test_launch_starts_the_program_with_its_arguments(prefix) -> None:
    mark = len(prefix.said())
    result = act(prefix, "--id", 3, "launch", ACTOR, "--id", 4, "exit", 9)
    assert list(result) == ["action", "id", "pid", "tid", "status", "child_pid", "child_tid"]
    assert (result["action"], result["id"], result["status"]) == ("launch", 3, 0)
    assert len({result["pid"], result["tid"], result["child_pid"], result["child_tid"]}) == 4
    said = prefix.wait_for(f"[actor] end exit id=4 pid={result['child_pid']} status=0", after=mark)
    begin = said.index(f"[actor] begin launch id=3 pid={result['pid']}\n")
    assert begin < said.index(f"[actor] end launch id=3 pid={result['pid']} status=0\n")


def test_launch_for_makes_another_process_the_parent(prefix, sleeper: int) -> None:
    result = act(prefix, "launch-for", sleeper, ACTOR, "--id", 4, "exit", 9)
    assert (result["action"], result["status"]) == ("launch-for", 0)
    prefix.wait_for(f"[actor] end exit id=4 pid={result['child_pid']} status=0")
    assert act(prefix, "launch-for", 999999, ACTOR, "exit", code=1)["status"] == ERROR_INVALID_PARAMETER


def test_terminate_ends_the_process(prefix, sleeper: int) -> None:
    assert act(prefix, "create-remote-thread", sleeper)["status"] == 0
    assert act(prefix, "terminate", sleeper, 7)["status"] == 0
    gone = act(prefix, "create-remote-thread", sleeper, code=1)
    assert gone["status"] in (ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER)


def test_create_thread(prefix) -> None:
    result = act(prefix, "create-thread")
    assert result["status"] == 0
    assert result["new_tid"] not in (0, result["tid"])


def test_create_remote_thread(prefix, sleeper: int) -> None:
    result = act(prefix, "create-remote-thread", sleeper)
    assert result["status"] == 0
    assert result["new_tid"] not in (0, result["tid"])
    assert result["pid"] != sleeper


@pytest.mark.parametrize("times", [1, 3])
def test_load_library_loads_the_dll_into_the_helper_once(prefix, times: int) -> None:
    mark = len(prefix.said())
    result = act(prefix, "load-library", PROBE, times)
    assert re.fullmatch(r"0x[0-9a-f]{16}", result["base"])
    said = prefix.wait_for(f"[actor] end load-library id=0 pid={result['pid']} status=0", after=mark)
    assert said.count(f"[actor] dll attach pid={result['pid']}\n") == 1


def test_free_library_lets_the_dll_go_before_the_end(prefix) -> None:
    mark = len(prefix.said())
    pid = act(prefix, "free-library", PROBE)["pid"]
    said = prefix.wait_for(f"[actor] end free-library id=0 pid={pid} status=0", after=mark)
    events = re.findall(rf"\[actor\] (begin|dll attach|dll detach|end)\b[^\n]*pid={pid}\b", said)
    assert events == ["begin", "dll attach", "dll detach", "end"]


def test_an_injected_dll_reports_itself_from_the_other_process(prefix, sleeper: int) -> None:
    mark = len(prefix.said())
    result = act(prefix, "--id", 8, "inject", sleeper, PROBE)
    assert result["status"] == 0
    assert result["new_tid"] > 0
    assert result["pid"] != sleeper
    said = prefix.wait_for(f"[actor] dll attach pid={sleeper}\n", after=mark)
    assert f"[actor] dll attach pid={result['pid']}\n" not in said


def test_sleep_and_exit(prefix) -> None:
    assert act(prefix, "sleep", 1)["status"] == 0
    assert act(prefix, "exit", 42, code=42)["status"] == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("load-library", r"C:\procnotify\missing.dll"), ERROR_MOD_NOT_FOUND),
        (("terminate", 999999), ERROR_INVALID_PARAMETER),
        (("terminate", "abc"), ERROR_BAD_ARGUMENTS),
        (("launch",), ERROR_BAD_ARGUMENTS),
        (("sleep", 99999999999), ERROR_BAD_ARGUMENTS),
    ],
)
def test_a_failed_action_carries_the_win32_error(prefix, arguments: tuple[object, ...], status: int) -> None:
    assert act(prefix, *arguments, code=1)["status"] == status


def test_a_dll_that_the_other_process_cannot_load(prefix, sleeper: int) -> None:
    result = act(prefix, "inject", sleeper, r"C:\procnotify\missing.dll", code=1)
    assert result["status"] == ERROR_MOD_NOT_FOUND


def test_an_unknown_action_is_a_usage_error(prefix) -> None:
    done = prefix.run(ACTOR, "dance")
    assert done.returncode == 2
    assert done.stdout == b""


def open_device(prefix, name: str) -> str:
    return str(act(prefix, "open-device", name)["child_pid"])


def test_what_is_opened_is_read_and_written_by_one_process_until_it_is_closed(prefix) -> None:
    name = r"C:\procnotify\opened by a step.bin"
    (prefix.work / "opened by a step.bin").write_bytes(b"old bytes")
    device = open_device(prefix, name)
    found = act(prefix, "read-device", device, 5, 4, 0)
    assert (found["returned"], bytes.fromhex(found["output"])) == (5, b"bytes")
    assert act(prefix, "write-device", device, b"new".hex(), 0, 0)["returned"] == 3
    closed = act(prefix, "close-device", device)
    assert closed["status"] == 0 and str(closed["pid"]) != device
    assert act(prefix, "read-device", device, 1, 0, 0, code=1)["status"] == ERROR_INVALID_PARAMETER
    assert (prefix.work / "opened by a step.bin").read_bytes() == b"new bytes"


def test_an_answer_may_be_as_long_as_is_said(prefix) -> None:
    content = bytes(n % 251 for n in range(5000))
    (prefix.work / "long.bin").write_bytes(content)
    device = open_device(prefix, r"C:\procnotify\long.bin")
    found = act(prefix, "read-device", device, 4096, 0, 0)
    assert bytes.fromhex(found["output"]) == content[:4096]
    assert act(prefix, "read-device", device, 4097, 0, 0, code=1)["status"] == ERROR_BAD_ARGUMENTS
    assert act(prefix, "close-device", device)["status"] == 0


def test_a_control_code_reaches_the_device_and_its_answer_comes_back(prefix) -> None:
    device = open_device(prefix, r"\\.\MountPointManager")
    found = act(prefix, "ioctl", device, QUERY_POINTS, "00" * 24, 4096, "-", 0)
    size, count = struct.unpack_from("<II", bytes.fromhex(found["output"]))
    assert size == found["returned"] and count > 0
    assert act(prefix, "ioctl", device, 0x22_2000, "-", 0, "-", 0, code=1)["status"] != 0
    assert act(prefix, "close-device", device)["status"] == 0


@pytest.mark.parametrize("ended", ["cancel-io", "close-device", "terminate"])
def test_a_request_that_is_left_pending_ends_with_its_process_or_when_it_is_cancelled(
    prefix, ended: str
) -> None:
    # A process that keeps a device open waits at its pipe, and says nothing until it is asked.
    silent = open_device(prefix, PROBE)
    device = open_device(prefix, rf"\\.\pipe\procnotify-device-{silent}")
    assert act(prefix, "read-device", device, 8, 0, 1, code=1)["status"] == ERROR_IO_PENDING
    assert act(prefix, ended, device)["status"] == 0
    if ended == "cancel-io":
        assert act(prefix, "await-io", device, code=1)["status"] == ERROR_OPERATION_ABORTED
        assert act(prefix, "await-io", device, code=1)["status"] == ERROR_NOT_FOUND
        assert act(prefix, "close-device", device)["status"] == 0
    assert act(prefix, "close-device", silent)["status"] == 0


def test_a_device_that_is_not_there_leaves_no_process_behind(prefix) -> None:
    failed = act(prefix, "open-device", r"\\.\NobodyMadeThis", code=1)
    assert failed["status"] == ERROR_FILE_NOT_FOUND and "child_pid" not in failed


@pytest.mark.parametrize("code", [0, 7])
def test_run_waits_for_the_end_of_the_program_and_tells_its_exit_code(prefix, code: int) -> None:
    result = act(prefix, "run", 60000, "cmd.exe", "/c", "exit", code)
    assert (result["status"], result["exit_code"]) == (0, code)
    assert result["child_pid"] not in (0, result["pid"])


def test_run_ends_a_program_that_takes_too_long(prefix) -> None:
    result = act(prefix, "run", 300, ACTOR, "sleep", 60000, code=1)
    assert result["status"] == ERROR_TIMEOUT and "exit_code" not in result
    assert act(prefix, "create-remote-thread", result["child_pid"], code=1)["status"] != 0
