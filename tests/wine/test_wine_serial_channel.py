"""The serial guest channel with the real guest helper, in Wine, on a pseudo-terminal."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from damaged_frames import FrameDamage
from limits_of_wine import LOST_START, START_TRIES
from serial_cable import PORT, SerialCable

from harness.actions import ACTIONS
from harness.errors import GuestError, TargetLost
from harness.guests.channels.base import ProgramResult
from harness.guests.channels.serial import SerialChannel
from harness.guests.channels.serial.session import HelperRestarted
from harness.guests.helper import HelperGuest

ERROR_OPERATION_ABORTED = 995
ERROR_IO_PENDING = 997
ACTOR = r"C:\procnotify\actor.exe"
PROBE = r"C:\procnotify\probe.dll"
UP_SECONDS = 60.0
BYTES = int(os.environ.get("PROCNOTIFY_SERIAL_BYTES", "1000000"))
"""How much is put and got back in one piece."""
FILETIME_1970 = 116_444_736_000_000_000


@pytest.fixture(scope="module")
def cable(prefix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SerialCable]:
    cable = SerialCable(prefix, tmp_path_factory.mktemp("cable"))
    try:
        cable.serve()
        yield cable
    finally:
        cable.close()


@pytest.fixture
def channel(cable: SerialCable) -> Iterator[SerialChannel]:
    channel = SerialChannel(cable.connection)
    try:
        channel.await_up(UP_SECONDS)
        channel.run = started(channel.run)
        yield channel
    finally:
        channel.close()
        cable.out = cable.back = bytes


def started(run: Callable[..., ProgramResult]) -> Callable[..., ProgramResult]:
    """``run``, where Wine has lost the process at its start once more."""

    def run_again(*words: Any, **options: Any) -> ProgramResult:
        for left in reversed(range(START_TRIES)):
            try:
                return run(*words, **options)
            except GuestError as error:
                if f"Win32 error {LOST_START} " not in str(error) or not left:
                    raise
        raise AssertionError("there is a first try")

    return run_again


def act(channel: SerialChannel, *words: object, code: int = 0) -> dict[str, object]:
    done = channel.run([ACTOR, *map(str, words)], timeout=60)
    assert (done.exit_code, done.stderr) == (code, b"")
    return json.loads(done.stdout)


def wait_for_end(channel: SerialChannel, pid: int) -> None:
    """Of a process that was terminated: that takes a moment."""
    deadline = time.monotonic() + 30
    while channel.run([ACTOR, "create-remote-thread", str(pid)], timeout=60).exit_code == 0:
        assert time.monotonic() < deadline, f"process {pid} still runs"


def test_the_guest_answers_with_what_it_was_sent(channel: SerialChannel) -> None:
    for data in (b"", b"\0", b"\xff" * 1020, bytes(1020), *(b"x" * n + b"\0" * 2 for n in range(230, 260))):
        assert channel.ping(data) >= 0


def test_the_clock_is_the_guests(channel: SerialChannel) -> None:
    before = time.time_ns() // 100 + FILETIME_1970
    first, second = channel.clock(), channel.clock()
    after = time.time_ns() // 100 + FILETIME_1970
    assert before - 1_000_000 <= first.utc <= second.utc <= after + 1_000_000
    assert 0 <= second.uptime - first.uptime < 60_000


def try_device(channel: SerialChannel) -> None:
    """Every action on a device, here a file, and the pipe of the process that keeps it open."""
    file = act(channel, "open-device", PROBE)["child_pid"]
    assert act(channel, "write-device", file, b"XY".hex(), 0, 0)["returned"] == 2
    assert act(channel, "read-device", file, 2, 0, 0)["output"] == b"XY".hex()
    assert act(channel, "write-device", file, b"MZ".hex(), 0, 0)["returned"] == 2
    assert act(channel, "ioctl", file, 0x22_2000, "-", 0, "-", 0, code=1)["status"] != 0
    pipe = act(channel, "open-device", rf"\\.\pipe\procnotify-device-{file}")["child_pid"]
    assert act(channel, "read-device", pipe, 8, 0, 1, code=1)["status"] == ERROR_IO_PENDING
    assert act(channel, "cancel-io", pipe)["status"] == 0
    assert act(channel, "await-io", pipe, code=1)["status"] == ERROR_OPERATION_ABORTED
    for device in (pipe, file):
        assert act(channel, "close-device", device)["status"] == 0


def test_every_action_and_command(channel: SerialChannel, prefix) -> None:
    mark = len(prefix.said())
    launched = act(channel, "--id", 6, "launch", ACTOR, "--id", 7, "sleep", 60000)
    pid = launched["child_pid"]
    prefix.wait_for(f"[actor] begin sleep id=7 pid={pid}", after=mark)
    assert act(channel, "create-remote-thread", pid)["new_tid"] != 0
    assert act(channel, "inject", pid, PROBE)["status"] == 0
    assert act(channel, "launch-for", pid, ACTOR, "exit", 0)["status"] == 0
    assert act(channel, "terminate", pid)["status"] == 0
    assert act(channel, "create-thread")["new_tid"] != 0
    assert act(channel, "load-library", PROBE, 2)["base"] != 0
    assert act(channel, "free-library", PROBE)["status"] == 0
    assert act(channel, "sleep", 1)["status"] == 0
    assert act(channel, "exit", 7, code=7)["status"] == 0
    assert act(channel, "run", 60000, "cmd.exe", "/c", "exit", 3)["exit_code"] == 3
    try_device(channel)
    assert act(channel, "start", "pn-serial", r"C:\procnotify\procnotify.sys")["status"] == 0
    assert act(channel, "stop", "pn-serial")["status"] == 0
    said = prefix.wait_for("DriverUnload totals", after=mark)
    assert all(f"[actor] end {action.word} " in said for action in ACTIONS.values())


def test_a_program_has_its_exit_code_and_both_outputs(channel: SerialChannel) -> None:
    done = channel.run([ACTOR, "dance"], timeout=60)
    assert (done.exit_code, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: actor.exe [--id N] launch")
    assert channel.run([ACTOR, "exit", "4294967295"], timeout=60).exit_code == 0xFFFF_FFFF


def test_much_output_arrives_whole_and_too_much_is_an_error(channel: SerialChannel) -> None:
    lines = b"".join(b"line %06d of what was printed\r\n" % number for number in range(6000))
    channel.put(r"C:\procnotify\lines.txt", lines)
    assert channel.run(["cmd.exe", "/c", "type", r"C:\procnotify\lines.txt"], timeout=60).stdout == lines
    channel.put(r"C:\procnotify\lines.txt", lines * 6)
    with pytest.raises(GuestError, match=r"cmd.exe printed 1188000 bytes in the guest, more than are kept"):
        channel.run(["cmd.exe", "/c", "type", r"C:\procnotify\lines.txt"], timeout=60)
    assert act(channel, "sleep", 1)["status"] == 0


def test_a_program_is_terminated_at_its_deadline(channel: SerialChannel, prefix) -> None:
    mark = len(prefix.said())
    with pytest.raises(GuestError, match=r"actor.exe did not end in the guest within 1 s; it was ended"):
        channel.run([ACTOR, "--id", "21", "sleep", "60000"], timeout=1)
    wait_for_end(channel, pid_of(prefix.wait_for("begin sleep id=21", after=mark), 21))


def pid_of(said: str, number: int) -> int:
    return int(said.split(f"begin sleep id={number} pid=")[1].split()[0])


def test_a_program_that_is_not_there_is_refused(channel: SerialChannel) -> None:
    with pytest.raises(GuestError, match=r"running C:\\none.exe: .*ERROR_FILE_NOT_FOUND"):
        channel.run([r"C:\none.exe"], timeout=5)


def test_a_large_file_is_put_and_got_back(channel: SerialChannel, prefix, capsys) -> None:
    data = random.Random(BYTES).randbytes(BYTES)
    path = r"C:\procnotify\large file ünd Юникод.bin"
    started = time.perf_counter()
    channel.put(path, data)
    put = time.perf_counter()
    assert (prefix.work / "large file ünd Юникод.bin").read_bytes() == data
    assert channel.get(path, limit=BYTES) == data
    got = time.perf_counter()
    with capsys.disabled():
        print(f"\n{BYTES} bytes: put {BYTES / (put - started) / 1000:.0f} kB/s", end=", ")
        print(f"got {BYTES / (got - put) / 1000:.0f} kB/s")


@pytest.mark.parametrize("size", [0, 1, 1019, 1020, 1021, 5000])
def test_a_file_of_any_size_replaces_another(channel: SerialChannel, prefix, size: int) -> None:
    data = random.Random(size).randbytes(size)
    channel.put(r"C:\procnotify\some.bin", b"what was there before")
    channel.put(r"C:\procnotify\some.bin", data)
    assert (prefix.work / "some.bin").read_bytes() == data
    assert channel.get(r"C:\procnotify\some.bin", limit=size) == data
    assert not list(prefix.work.glob("*.part"))


def test_the_guest_of_any_channel_works_in_the_folder_of_a_helper_that_runs(
    channel: SerialChannel, prefix
) -> None:
    mark = len(prefix.said())
    guest = HelperGuest(channel, folder=r"C:\procnotify")
    driver = guest.put("procnotify.sys", (prefix.work / "procnotify.sys").read_bytes())
    assert guest.load_driver("pn-serial", driver) == 0
    launched = guest.act(["launch", "actor.exe", "--id", "72", "exit", "0"], step=71, timeout=60)
    said = prefix.wait_for(f"[actor] end exit id=72 pid={launched.values['child_pid']}", after=mark)
    assert f"[actor] end launch id=71 pid={launched.pid} status=0" in said
    assert guest.unload_driver("pn-serial") == 0
    assert guest.unload_driver("pn-serial") == 0xC000_0034
    prefix.wait_for("DriverUnload totals", after=mark)
    (prefix.work / "actor.exe.old").unlink(missing_ok=True)


def test_a_file_that_is_refused(channel: SerialChannel, prefix) -> None:
    channel.put(r"C:\procnotify\some.bin", b"12345")
    with pytest.raises(GuestError, match=r"some.bin has 5 bytes in the guest, more than 4"):
        channel.get(r"C:\procnotify\some.bin", limit=4)
    with pytest.raises(GuestError, match=r"getting C:\\procnotify\\none: .*ERROR_FILE_NOT_FOUND"):
        channel.get(r"C:\procnotify\none", limit=4)
    with pytest.raises(GuestError, match=r"putting C:\\none\\x: .*ERROR_PATH_NOT_FOUND"):
        channel.put(r"C:\none\x", b"1")
    with pytest.raises(GuestError, match=r"putting C:\\procnotify: .*ERROR_ACCESS_DENIED"):
        channel.put(r"C:\procnotify", b"1")
    assert not list(prefix.work.parent.glob("*.part"))
    assert channel.get(r"C:\procnotify\some.bin", limit=5) == b"12345"


@pytest.mark.parametrize("seed", [1, 2])
def test_damage_in_both_directions_costs_only_time(
    cable: SerialCable, channel: SerialChannel, prefix, seed: int
) -> None:
    damage = FrameDamage(f"{seed} out", 0.25), FrameDamage(f"{seed} back", 0.25)
    cable.out, cable.back = (direction.pass_on for direction in damage)
    data = random.Random(seed).randbytes(30_000)
    channel.put(r"C:\procnotify\damaged.bin", data)
    assert (prefix.work / "damaged.bin").read_bytes() == data
    mark = len(prefix.said())
    for number in range(3):
        done = act(channel, "--id", 31 + number, "exit", 0)
        said = prefix.wait_for(f"[actor] end exit id={31 + number} pid={done['pid']} status=0", after=mark)
    assert said.count("[actor] begin exit") == 3
    assert channel.get(r"C:\procnotify\damaged.bin", limit=len(data)) == data
    for direction in damage:
        assert sorted(direction.happened) == ["changed", "cut off", "doubled", "garbage", "lost"]


def test_garbage_on_the_line_is_skipped(cable: SerialCable, channel: SerialChannel) -> None:
    chance = random.Random(5)
    for _ in range(20):
        cable.say_to_guest(chance.randbytes(chance.randrange(3000)))
        assert channel.ping(b"still there?") >= 0


def test_a_new_host_takes_over_from_one_that_went_away(
    cable: SerialCable, channel: SerialChannel, prefix
) -> None:
    channel.put(r"C:\procnotify\taken.bin", b"before")
    left = [30_000]

    def go_away(data: bytes) -> bytes:
        left[0] -= len(data)
        if left[0] < 0:
            raise ConnectionError
        return data

    cable.out = go_away
    with pytest.raises(TargetLost, match="was closed by the target's side"):
        channel.put(r"C:\procnotify\taken.bin", bytes(100_000))
    cable.out = bytes
    assert (prefix.work / "taken.bin.part").exists()
    other = SerialChannel(cable.connection)
    try:
        other.await_up(UP_SECONDS)
        assert not (prefix.work / "taken.bin.part").exists()
        assert other.get(r"C:\procnotify\taken.bin", limit=100) == b"before"
        other.put(r"C:\procnotify\taken.bin", b"after")
    finally:
        other.close()
    assert channel.get(r"C:\procnotify\taken.bin", limit=100) == b"after"


def test_ctrl_c_ends_the_guests_program(channel: SerialChannel, prefix) -> None:
    mark = len(prefix.said())
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        prefix.wait_for("begin sleep id=41", after=mark)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        channel.run([ACTOR, "--id", "41", "sleep", "60000"], timeout=60)
    thread.join(60)
    wait_for_end(channel, pid_of(prefix.said()[mark:], 41))


def when_it_sleeps(prefix, number: int, then) -> threading.Thread:
    mark = len(prefix.said())

    def wait() -> None:
        prefix.wait_for(f"begin sleep id={number}", after=mark)
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_helper_that_is_killed_in_mid_run_is_named(cable: SerialCable, prefix) -> None:
    channel = SerialChannel(cable.connection, patience=2.0)
    try:
        channel.await_up(UP_SECONDS)
        killing = when_it_sleeps(prefix, 51, cable.kill_helper)
        with pytest.raises(
            TargetLost, match=r"guest helper on .* has not replied to WAIT for \d s: asked \d times"
        ):
            channel.run([ACTOR, "--id", "51", "sleep", "5000"], timeout=60)
        killing.join(60)
        with pytest.raises(TargetLost, match=r"no guest helper answers on com:pipe.* within .* s: .*HELLO"):
            channel.await_up(2.0)
        cable.serve()
        channel.await_up(UP_SECONDS)
        assert channel.run([ACTOR, "sleep", "1"], timeout=60).exit_code == 0
    finally:
        channel.close()


def test_a_guest_that_stands_still_is_lost_and_found_again(cable: SerialCable, prefix) -> None:
    channel = SerialChannel(cable.connection, patience=2.0)
    try:
        channel.await_up(UP_SECONDS)
        channel.put(r"C:\procnotify\still.bin", b"before")
        cable.freeze_helper(True)
        with pytest.raises(TargetLost, match=r"has not replied to TEXT for \d s: asked \d times, 0 bytes"):
            channel.put(r"C:\procnotify\still.bin", b"never")
        cable.freeze_helper(False)
        assert channel.get(r"C:\procnotify\still.bin", limit=100) == b"before"
    finally:
        channel.close()


def test_a_helper_that_started_anew_in_mid_run_is_named(cable: SerialCable, channel, prefix) -> None:
    def start_anew() -> None:
        cable.kill_helper()
        cable.serve()

    restarting = when_it_sleeps(prefix, 61, start_anew)
    with pytest.raises(HelperRestarted, match="does not know the session in which it is asked for WAIT"):
        channel.run([ACTOR, "--id", "61", "sleep", "5000"], timeout=60)
    restarting.join(60)
    assert channel.run([ACTOR, "sleep", "1"], timeout=60).exit_code == 0


@pytest.mark.parametrize(
    ("words", "status"),
    [((), 160), ((PORT, "0"), 160), ((PORT, "fast"), 160), ((PORT, "9600", "9600"), 160), (("COM99",), 2)],
)
def test_a_port_that_cannot_be_served(channel: SerialChannel, words: tuple[str, ...], status: int) -> None:
    answer = act(channel, "serve", *words, code=1)
    assert (answer["action"], answer["status"]) == ("serve", status)


def test_as_a_service(cable: SerialCable, prefix) -> None:
    cable.kill_helper()
    install = ("serve", rf"\\.\{PORT}", "--install")
    assert json.loads(prefix.run(ACTOR, *install).stdout)["status"] == 0
    key = r"HKLM\System\CurrentControlSet\Services\procnotify-helper"
    assert b"0x2" in prefix.run("reg", "query", key, "/v", "Start").stdout, "it starts with the system"
    channel = SerialChannel(cable.connection)
    try:
        channel.await_up(UP_SECONDS)
        copy = prefix.work / "procnotify-helper.exe"
        assert copy.read_bytes() == (prefix.work / "actor.exe").read_bytes()
        assert act(channel, *install)["status"] == 0, "it can be repeated, by the service's own program too"
        assert act(channel, "sleep", 1)["status"] == 0
        removed = prefix.run(ACTOR, "serve", "--uninstall")
        assert json.loads(removed.stdout)["status"] == 0
        assert b"SERVICE_NAME" not in prefix.run("sc", "query", "procnotify-helper").stdout
        assert not copy.exists()
        assert json.loads(prefix.run(ACTOR, "serve", "--uninstall").stdout)["status"] == 1060
    finally:
        channel.close()
        cable.serve()
