"""The guest helper's actions: results, errors, and what becomes of the helper's own process."""

from __future__ import annotations

import pytest
from recorder import Recorder

from harness.errors import GuestError
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.target import VirtualTarget


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Clock())


@pytest.fixture
def target(recorder: Recorder) -> VirtualTarget:
    return VirtualTarget(recorder, recorder, recorder.clock, seed=11)


def test_the_result_has_the_helpers_keys_in_the_helpers_order(target: VirtualTarget) -> None:
    result = target.act(["launch", "notepad.exe"], 3)
    assert list(result) == ["action", "id", "pid", "tid", "status", "child_pid", "child_tid"]
    assert (result["action"], result["id"], result["status"]) == ("launch", 3, 0)
    assert list(target.act(["create-thread"], 4))[5:] == ["new_tid"]


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["launch", "nobody.exe"], 2),
        (["launch", r"C:\nowhere\notepad.exe"], 2),
        (["launch", r"C:\Windows\System32\kernel32.dll"], 193),
        (["launch", "notes.exe"], 193),
        (["launch"], 160),
        (["launch-for", "99996", "notepad.exe"], 87),
        (["launch-for", "4", "notepad.exe"], 5),
        (["launch-for", "x", "notepad.exe"], 160),
        (["launch-for", "4"], 160),
        (["terminate", "99996"], 87),
        (["terminate", "4"], 5),
        (["terminate", "x"], 160),
        (["create-remote-thread", "99996"], 87),
        (["create-remote-thread", "4"], 5),
        (["load-library", "nobody.dll"], 126),
        (["load-library", "notes.exe"], 193),
        (["load-library", r"C:\Windows\SysWOW64\user32.dll"], 193),
        (["load-library", "probe.dll", "0"], 160),
        (["free-library", "nobody.dll"], 126),
        (["inject", "99996", "probe.dll"], 87),
        (["inject", "4", "probe.dll"], 5),
        (["sleep", "-1"], 160),
        (["sleep", "4294967295"], 160),
    ],
)
def test_a_failure_is_a_win32_error_and_leaves_the_target_alive(
    target: VirtualTarget, recorder: Recorder, argv: list[str], status: int
) -> None:
    target.put("notes.exe", b"not an image")
    result = target.act(argv, 5)
    assert result["status"] == status
    end = [report.image for report in recorder.reports if report.kind == "print"][-1]
    assert end == f"[actor] end {argv[0]} id=5 pid={result['pid']} status={status}\n"
    assert target.act(["sleep", "1"], 6)["status"] == 0


def test_injecting_what_does_not_exist_is_seen_as_no_module(target: VirtualTarget) -> None:
    pid = target.act(["launch", "cmd.exe"], 1)["child_pid"]
    target.settle(300 * MILLISECOND, 10 * SECOND)
    result = target.act(["inject", str(pid), "nobody.dll"], 2)
    assert result["status"] == 126
    assert "new_tid" in result


def test_a_64_bit_helper_does_not_inject_into_a_32_bit_process(target: VirtualTarget) -> None:
    pid = target.act(["launch", r"C:\Windows\SysWOW64\cmd.exe"], 1)["child_pid"]
    target.settle(300 * MILLISECOND, 10 * SECOND)
    with pytest.raises(GuestError, match="32-bit process"):
        target.act(["inject", str(pid), "probe.dll"], 2)
    assert target.act(["terminate", str(pid)], 3)["status"] == 0


@pytest.mark.parametrize("argv", [[], ["dance"], ["--id", "3", "launch"]])
def test_an_unknown_action_names_the_known_ones(target: VirtualTarget, argv: list[str]) -> None:
    with pytest.raises(GuestError, match="its actions are launch, launch-for, run, terminate"):
        target.act(argv, 1)


def test_a_terminated_process_keeps_its_exit_status_and_an_exited_one_is_unknown(
    target: VirtualTarget,
) -> None:
    pid = target.act(["launch", "cmd.exe"], 1)["child_pid"]
    process = target.system.processes[int(pid)]
    target.act(["terminate", str(pid), "0xC0000005"], 2)
    assert process.exit_status == 0xC000_0005
    assert target.act(["terminate", str(pid)], 3)["status"] == 87


def test_a_process_of_the_boot_can_be_terminated(target: VirtualTarget, recorder: Recorder) -> None:
    explorer = target.system.named("explorer.exe")
    threads = len(explorer.live_threads())
    assert target.act(["terminate", str(explorer.pid)], 1)["status"] == 0
    kinds = [report.kind for report in recorder.reports if report.pid == explorer.pid]
    assert kinds[-1] == "process_exit"
    assert kinds.count("thread_exit") >= threads


def test_sleep_takes_target_time(target: VirtualTarget, recorder: Recorder) -> None:
    before = recorder.clock.now
    target.act(["sleep", "2500"], 1)
    assert 2_500 * MILLISECOND <= recorder.clock.now - before < 3 * SECOND


def test_the_helper_started_as_a_program_does_its_action_too(
    target: VirtualTarget, recorder: Recorder
) -> None:
    result = target.act(["launch", "actor.exe", "--id", "9", "launch", "cmd.exe"], 1)
    target.settle(300 * MILLISECOND, 10 * SECOND)
    created = {r.pid: r.parent_pid for r in recorder.reports if r.kind == "process_create"}
    grandchild = next(pid for pid, parent in created.items() if parent == result["child_pid"])
    assert target.system.processes[grandchild].name == "cmd.exe"
    assert target.system.find_process(int(result["child_pid"])) is None
    prints = [report.image for report in recorder.reports if report.kind == "print"]
    assert f"[actor] begin launch id=9 pid={result['child_pid']}\n" in prints


def test_a_process_has_a_command_line(target: VirtualTarget, recorder: Recorder) -> None:
    target.act(["launch", "cmd.exe", "/c", "a b"], 2)
    assert recorder.command_lines == [
        r'C:\procnotify\actor.exe --id 2 launch cmd.exe /c "a b"',
        r'C:\Windows\System32\cmd.exe /c "a b"',
    ]


def test_exit_reports_first_and_then_ends_with_the_code(target: VirtualTarget) -> None:
    processes = target.system.processes
    before = set(processes)
    result = target.act(["exit", "7"], 1)
    assert (result["status"], result["pid"] in before) == (0, False)
    assert int(result["pid"]) not in processes


def test_a_copy_under_another_name_is_another_image(target: VirtualTarget, recorder: Recorder) -> None:
    """Loaders go by the file; the text tells the model that the copy's DllMain prints."""
    data = tiny_library(b"[actor] dll ")
    path = target.put("probe-copy.dll", data)
    assert path == r"C:\procnotify\probe-copy.dll"
    assert target.act(["load-library", path], 1)["status"] == 0
    images = [report.image for report in recorder.reports if report.kind == "image_load"]
    assert r"\Device\HarddiskVolume3\procnotify\probe-copy.dll" in images
    assert any("dll attach" in (report.image or "") for report in recorder.reports if report.kind == "print")


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..\\x", "x:y", "n" * 300])
def test_put_takes_plain_file_names_only(target: VirtualTarget, name: str) -> None:
    with pytest.raises(GuestError, match="not a file name"):
        target.put(name, b"")


def tiny_library(text: bytes) -> bytes:
    """The smallest x64 DLL that a PE reader takes, with ``text`` behind its headers."""
    image = bytearray(0x400)
    image[0:2], image[0x3C:0x40] = b"MZ", (0x80).to_bytes(4, "little")
    image[0x80:0x84] = b"PE\0\0"
    image[0x84:0x86] = (0x8664).to_bytes(2, "little")
    image[0x94:0x98] = (0xF0).to_bytes(2, "little") + (0x2022).to_bytes(2, "little")
    image[0x98:0x9A] = (0x20B).to_bytes(2, "little")
    image[0x98 + 56 : 0x98 + 60] = (0x2000).to_bytes(4, "little")
    image[0x98 + 108 : 0x98 + 112] = (16).to_bytes(4, "little")
    image[0x200 : 0x200 + len(text)] = text
    return bytes(image)
