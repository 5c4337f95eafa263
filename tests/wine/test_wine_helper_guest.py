"""The guest over a channel with the project's own helper: real Win32 calls, in Wine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import GuestError
from harness.guests import helper
from harness.guests.channels import ProgramResult
from harness.guests.helper import HelperGuest
from harness.resources import driver_sources
from harness.toolchain import Arch, build_program, default_driver

STATUS_OBJECT_NAME_NOT_FOUND = 0xC000_0034
STATUS_IMAGE_ALREADY_LOADED = 0xC000_010E
FOLDER = r"C:\made by the guest"
STATUSES_OF_WINE = """
#include "text.h"
#include <winternl.h>

static const LONG Statuses[] = {%s};

VOID DECLSPEC_NORETURN EntryPoint(VOID)
{
    for (DWORD i = 0; i < ARRAYSIZE(Statuses); ++i) {
        TEXT_LINE Line = {.Length = 0};

        PutNumber(&Line, RtlNtStatusToDosError(Statuses[i]));
        WriteTo(STD_OUTPUT_HANDLE, &Line);
    }
    ExitProcess(0);
}
"""


class WineChannel:
    """Files and programs of the prefix. Its own folder stands for ``C:\\``."""

    def __init__(self, prefix) -> None:
        self._prefix = prefix

    def await_up(self, timeout: float) -> None: ...

    def put(self, path: str, data: bytes) -> None:
        try:
            self._host(path).write_bytes(data)
        except OSError as error:
            raise GuestError(f"cannot put {path}: {error.strerror}") from error

    def get(self, path: str, *, limit: int) -> bytes:
        return self._host(path).read_bytes()[:limit]

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        done = self._prefix.run(*argv, seconds=timeout)
        return ProgramResult(done.returncode, done.stdout, b"")

    def close(self) -> None: ...

    def _host(self, path: str) -> Path:
        return self._prefix.work.parent.joinpath(*path.removeprefix("C:\\").split("\\"))


@pytest.fixture
def guest(prefix) -> HelperGuest:
    return HelperGuest(WineChannel(prefix), folder=FOLDER)


def test_the_helper_comes_into_a_folder_that_is_made(guest, prefix) -> None:
    mark = len(prefix.said())
    slept = guest.act(["sleep", "1"], step=41, timeout=60)
    assert (slept.action, slept.status) == ("sleep", 0)
    assert (prefix.work.parent / "made by the guest" / "probe.dll").is_file()
    prefix.wait_for(f"[actor] end sleep id=41 pid={slept.pid} status=0", after=mark)


def test_a_program_is_launched_with_words_that_need_quoting_and_ended(guest, prefix) -> None:
    mark = len(prefix.said())
    actor = rf"{FOLDER}\actor.exe"
    launched = guest.act(["launch", actor, "--id", "43", "sleep", "60000"], step=42, timeout=60)
    pid = launched.values["child_pid"]
    prefix.wait_for(f"[actor] begin sleep id=43 pid={pid}", after=mark)
    assert guest.act(["terminate", str(pid)], step=44, timeout=60).status == 0
    assert guest.act(["load-library", rf"{FOLDER}\none.dll"], step=45, timeout=60).status == 126


def test_a_driver_is_loaded_and_unloaded_through_the_service_manager(guest, prefix) -> None:
    mark = len(prefix.said())
    path = guest.put("procnotify.sys", default_driver().path.read_bytes())
    assert [guest.load_driver("pn-by-channel", path), guest.load_driver("pn-by-channel", path)] == [
        0,
        STATUS_IMAGE_ALREADY_LOADED,
    ]
    prefix.wait_for("PsSetLoadImageNotifyRoutine success", after=mark)
    assert guest.unload_driver("pn-by-channel") == 0
    prefix.wait_for("DriverUnload totals", after=mark)
    assert guest.unload_driver("pn-by-channel") == STATUS_OBJECT_NAME_NOT_FOUND


def test_an_action_that_it_does_not_know_is_a_refusal(guest) -> None:
    with pytest.raises(GuestError, match="no answer to 'fly': it ended with exit code 2"):
        guest.act(["fly"], step=1, timeout=60)


def test_each_status_of_a_driver_is_one_that_gives_its_error(prefix, tmp_path: Path) -> None:
    statuses = ", ".join(f"(LONG)0x{status:08x}" for status in helper._STARTED.values())
    source = tmp_path / "statuses.c"
    source.write_text(STATUSES_OF_WINE % statuses, encoding="utf-8")
    actor = driver_sources() / "actor"
    build_program(
        [source, actor / "text.c"],
        Arch.X64,
        prefix.work / "statuses.exe",
        libs=("kernel32", "ntdll"),
        includes=[actor],
    )
    said = prefix.run(r"C:\procnotify\statuses.exe").stdout
    assert [int(line) for line in said.split()] == list(helper._STARTED)
