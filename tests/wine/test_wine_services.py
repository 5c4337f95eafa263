"""The helper's commands that start and stop a driver, on other people's service manager."""

from __future__ import annotations

import json

import pytest

ERROR_FILE_NOT_FOUND = 2
ERROR_BAD_ARGUMENTS = 160
ERROR_SERVICE_ALREADY_RUNNING = 1056
ERROR_SERVICE_DOES_NOT_EXIST = 1060
ACTOR = r"C:\procnotify\actor.exe"
DRIVER = r"C:\procnotify\procnotify.sys"
NAME = "pn-under-test"


def command(prefix, *arguments: str, code: int = 0) -> dict[str, object]:
    done = prefix.run(ACTOR, *arguments)
    assert done.returncode == code
    assert done.stdout.count(b"\n") == 1
    return json.loads(done.stdout)


def registered(prefix) -> bool:
    return b"SERVICE_NAME" in prefix.run("sc", "query", NAME).stdout


def test_start_and_stop_load_and_unload_the_driver(prefix) -> None:
    mark = len(prefix.said())
    started = command(prefix, "--id", "5", "start", NAME, DRIVER)
    assert (started["action"], started["id"], started["status"]) == ("start", 5, 0)
    prefix.wait_for("PsSetLoadImageNotifyRoutine success", after=mark)
    again = command(prefix, "start", NAME, DRIVER, code=1)
    assert again["status"] == ERROR_SERVICE_ALREADY_RUNNING
    stopped = command(prefix, "stop", NAME)
    assert (stopped["action"], stopped["status"]) == ("stop", 0)
    prefix.wait_for("DriverUnload totals", after=mark)
    assert not registered(prefix)
    assert "[actor] begin st" not in prefix.said()[mark:]


def test_a_driver_that_does_not_start_leaves_no_service(prefix) -> None:
    result = command(prefix, "start", NAME, r"C:\procnotify\missing.sys", code=1)
    assert result["status"] != 0
    assert not registered(prefix)


def test_a_service_that_was_left_registered_takes_the_new_path(prefix) -> None:
    prefix.run("sc", "create", NAME, "type=", "kernel", "binPath=", r"C:\procnotify\missing.sys")
    mark = len(prefix.said())
    assert command(prefix, "start", NAME, DRIVER)["status"] == 0
    prefix.wait_for("PsSetLoadImageNotifyRoutine success", after=mark)
    assert command(prefix, "stop", NAME)["status"] == 0


def test_a_service_that_does_not_run_is_deleted_all_the_same(prefix) -> None:
    prefix.run("sc", "create", NAME, "type=", "kernel", "binPath=", DRIVER)
    assert command(prefix, "stop", NAME, code=1)["status"] != 0
    assert not registered(prefix)
    assert command(prefix, "stop", NAME, code=1)["status"] == ERROR_SERVICE_DOES_NOT_EXIST


@pytest.mark.parametrize("arguments", [("start",), ("start", NAME), ("start", "n" * 257, DRIVER), ("stop",)])
def test_wrong_arguments_do_nothing(prefix, arguments: tuple[str, ...]) -> None:
    assert command(prefix, *arguments, code=1)["status"] == ERROR_BAD_ARGUMENTS
    assert not registered(prefix)
