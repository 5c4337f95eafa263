"""The guest over a channel: a helper that really runs here, and helpers that answer nonsense."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import python_helper
from local_channel import LocalChannel
from this_system import SHELL, is_running

from harness.errors import GuestError
from harness.guests.channels import ProgramResult
from harness.guests.helper import MAX_ANSWER, SERVICE_SECONDS, HelperGuest
from harness.guests.paths import guest_path, is_windows_path
from harness.toolchain import default_actor
from harness.toolchain.windows_errors import ntstatus_words

pytestmark = SHELL


@pytest.fixture
def channel() -> LocalChannel:
    return LocalChannel()


@pytest.fixture
def guest(tmp_path: Path, channel: LocalChannel) -> HelperGuest:
    """Its helper is there already."""
    helper = tmp_path / "helper"
    source = Path(python_helper.__file__).read_text(encoding="utf-8")
    helper.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    helper.chmod(0o755)
    return HelperGuest(channel, folder=str(tmp_path / "work"), helper=str(helper))


def test_the_work_folder_is_made_when_it_is_missing(guest, tmp_path: Path, channel: LocalChannel) -> None:
    assert guest.put("a.sys", b"\0driver") == str(tmp_path / "work" / "a.sys")
    assert (tmp_path / "work" / "a.sys").read_bytes() == b"\0driver"
    guest.put("b.sys", b"")
    assert channel.ran == [["mkdir", "-p", str(tmp_path / "work")]]


def test_a_folder_that_cannot_be_made_is_evidence(channel: LocalChannel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    guest = HelperGuest(channel, folder=str(tmp_path / "file" / "work"), helper="none")
    with pytest.raises(GuestError, match=r"cannot put .*work/a: Not a directory") as refused:
        guest.put("a", b"")
    assert "mkdir" in refused.value.__notes__[0]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", r"a\b", "C:a", "a\0b"])
def test_a_name_leads_nowhere_else(guest, channel: LocalChannel, name: str) -> None:
    with pytest.raises(GuestError, match="no name of a file"):
        guest.put(name, b"")
    assert channel.ran == []


def test_a_program_is_launched_and_ended(guest) -> None:
    launched = guest.act(["launch", "sleep", "60"], step=7, timeout=30)
    child = launched.values["child_pid"]
    assert (launched.action, launched.status) == ("launch", 0)
    assert launched.pid not in (0, child)
    assert isinstance(child, int)
    assert is_running(child)
    assert guest.act(["terminate", str(child)], step=8, timeout=30).status == 0


def test_what_fails_in_the_guest_is_its_status(guest) -> None:
    assert guest.act(["launch", "no such program"], step=1, timeout=30).status == 2


def test_an_exit_code_is_no_failure(guest) -> None:
    assert guest.act(["exit", "7"], step=1, timeout=30).status == 0


def test_a_driver_is_started_and_stopped_once(guest, channel: LocalChannel) -> None:
    path = guest.put("demo.sys", b"MZ")
    assert [guest.load_driver("demo", path), guest.load_driver("demo", path)] == [0, 0xC000_010E]
    assert [guest.unload_driver("demo"), guest.unload_driver("demo")] == [0, 0xC000_0034]
    assert channel.ran[-1][1:] == ["stop", "demo"]


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (5, 0xC000_0022, "STATUS_ACCESS_DENIED"),
        (577, 0xC000_0428, "STATUS_INVALID_IMAGE_HASH"),
        (1072, 0xC007_0430, "ERROR_SERVICE_MARKED_FOR_DELETE"),
    ],
)
def test_why_a_driver_did_not_start(guest, code: int, status: int, words: str) -> None:
    path = guest.put("demo.sys", b"error %d" % code)
    assert guest.load_driver("demo", path) == status
    assert words in ntstatus_words(status)


def test_a_deadline_of_an_action_is_the_channels(guest) -> None:
    with pytest.raises(GuestError, match=r"did not end within 0\.2 s"):
        guest.act(["sleep", "60000"], step=1, timeout=0.2)


def test_a_wrong_command_line_is_the_helpers_own_words(guest) -> None:
    with pytest.raises(GuestError, match=r"no answer to 'fly': it ended with exit code 2: usage: helper"):
        guest.act(["fly"], step=1, timeout=30)


class Scripted(LocalChannel):
    """Answers every program with the same result."""

    def __init__(self, result: ProgramResult) -> None:
        super().__init__()
        self.result = result
        self.stored: dict[str, bytes] = {}
        self.deadlines: list[float] = []

    def put(self, path: str, data: bytes) -> None:
        self.stored[path] = data

    def run(self, argv, *, timeout: float) -> ProgramResult:
        self.ran.append(list(argv))
        self.deadlines.append(timeout)
        return self.result


def answer(**fields: object) -> bytes:
    return (
        json.dumps({"action": "exit", "id": 3, "pid": 44, "tid": 45, "status": 0} | fields).encode() + b"\n"
    )


def test_the_projects_own_helper_is_put_with_the_first_need() -> None:
    channel = Scripted(ProgramResult(0, answer(), b""))
    guest = HelperGuest(channel, folder=r"C:\procnotify")
    for _ in range(2):
        guest.act(["exit", "0"], step=3, timeout=12)
    built = default_actor()
    assert channel.stored == {
        r"C:\procnotify\actor.exe": built.exe.path.read_bytes(),
        r"C:\procnotify\probe.dll": built.probe.path.read_bytes(),
    }
    assert channel.ran == [[r"C:\procnotify\actor.exe", "--id", "3", "exit", "0"]] * 2
    assert channel.deadlines == [12, 12]


def test_a_helper_that_the_caller_puts_is_used() -> None:
    channel = Scripted(ProgramResult(0, answer(action="start", id=0), b""))
    guest = HelperGuest(channel, folder="D:\\", files={})
    assert guest.put("actor.exe", b"MZ") == r"D:\actor.exe"
    assert guest.load_driver("a", r"D:\a.sys") == 0
    assert channel.ran == [[r"D:\actor.exe", "start", "a", r"D:\a.sys"]]
    assert channel.deadlines == [SERVICE_SECONDS]


def test_files_without_a_helper_are_a_clear_error() -> None:
    guest = HelperGuest(Scripted(ProgramResult(0, b"", b"")), folder="/work", files={"probe.dll": b""})
    with pytest.raises(GuestError, match=r"no actor\.exe among the files"):
        guest.unload_driver("a")


def test_the_values_of_an_answer_are_what_it_made() -> None:
    extra = {"child_pid": 9, "base": "0x10", "x": -1, "y": True, "z": [1], "w": 2**32}
    channel = Scripted(ProgramResult(7, answer(**extra), b""))
    result = HelperGuest(channel, folder="/w", helper="/h").act(["exit", "7"], step=3, timeout=1)
    assert result.pid == 44
    assert result.values == {"tid": 45, "child_pid": 9, "base": "0x10"}


@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        (b"", "no answer to 'exit': it ended with exit code 0xc0000005 and said nothing"),
        (b"\r\n", "no answer"),
        (b"hello", "no line of JSON"),
        (b"\xff\xfe", "no line of JSON"),
        (answer() + answer(), "no line of JSON"),
        (b"[" * 60_000, "no line of JSON"),
        (b"9" * 60_000, "no line of JSON"),
        (b"[1]", "no object"),
        (b" " + b"x" * (MAX_ANSWER + 1), f"with {MAX_ANSWER + 1} bytes"),
        (answer(action="sleep"), "asked for 'exit' with id 3 and answered"),
        (answer(id=4), "asked for 'exit' with id 3 and answered"),
        (answer(pid=-1), "without a proper 'pid'"),
        (answer(pid="4"), "without a proper 'pid'"),
        (answer(status=2**32), "without a proper 'status'"),
        (answer(status=True), "without a proper 'status'"),
        (answer(status=None), "without a proper 'status'"),
    ],
)
def test_an_answer_that_is_none_is_the_rigs_failure(stdout: bytes, words: str) -> None:
    channel = Scripted(ProgramResult(0xC000_0005, stdout, b""))
    with pytest.raises(GuestError) as refused:
        HelperGuest(channel, folder="/w", helper="/h").act(["exit", "0"], step=3, timeout=1)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 500


def test_an_answer_may_have_the_longest_length() -> None:
    padded = answer(base="0" * (MAX_ANSWER - len(answer(base="").strip())))
    channel = Scripted(ProgramResult(0, padded, b""))
    result = HelperGuest(channel, folder="/w", helper="/h").act(["exit", "0"], step=3, timeout=1)
    assert result.status == 0


@pytest.mark.parametrize(
    ("folder", "path", "windows"),
    [
        (r"C:\procnotify", r"C:\procnotify\a", True),
        ("c:", "c:\\a", True),
        ("\\\\server\\share\\", "\\\\server\\share\\a", True),
        ("/root", "/root/a", False),
        ("/", "/a", False),
        ("work", "work/a", False),
    ],
)
def test_paths_are_written_as_the_guest_writes_them(folder: str, path: str, windows: bool) -> None:
    assert guest_path(folder, "a") == path
    assert is_windows_path(folder) == windows
