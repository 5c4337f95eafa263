"""What every guest channel promises, held to a real server of each kind on this host."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from guest_servers import GuestServer, wait_until

from harness.errors import GuestError, TargetLost
from harness.guests.channels import GuestChannel

MEGABYTE = 1024 * 1024
DATA = random.Random(1).randbytes(3 * MEGABYTE + 1)


@pytest.fixture(params=["agent", "sshd", "helper"])
def server(request: pytest.FixtureRequest) -> GuestServer:
    """Not started yet."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def channel(server: GuestServer) -> Iterator[GuestChannel]:
    """To a server that runs."""
    server.start()
    channel = server.channel()
    yield channel
    channel.close()


def shell(channel: GuestChannel, script: str, *words: str, timeout: float = 30):
    return channel.run(["sh", "-c", script, "sh", *words], timeout=timeout)


@pytest.mark.parametrize("data", [b"", b"\0", DATA], ids=len)
def test_a_file_comes_back_as_it_was_put(channel: GuestChannel, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a file, with 'quotes' and $HOME"
    channel.put(str(path), data)
    assert path.read_bytes() == data
    assert channel.get(str(path), limit=len(data)) == data


def test_a_file_that_is_there_is_replaced(channel: GuestChannel, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (DATA, b"shorter"):
        channel.put(str(path), data)
    assert path.read_bytes() == b"shorter"
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith("file")] == ["file"]


def test_a_file_that_does_not_fit_leaves_the_one_that_was_there(server: GuestServer, tmp_path: Path) -> None:
    server.start(largest_file=2 * MEGABYTE)
    channel = server.channel()
    path = tmp_path / "file"
    channel.put(str(path), b"old")
    with pytest.raises(GuestError):
        channel.put(str(path), DATA)
    assert path.read_bytes() == b"old"
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith("file")] == ["file"]
    channel.close()


def test_a_file_goes_into_no_folder_that_is_not_there_and_in_no_files_place(
    channel: GuestChannel, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(GuestError, match="folder"):
        channel.put(str(folder / "file"), b"x")
    folder.mkdir()
    with pytest.raises(GuestError, match="folder"):
        channel.put(str(folder), b"x")
    assert list(folder.iterdir()) == []


def test_a_file_is_got_within_its_limit_only(channel: GuestChannel, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with pytest.raises(GuestError, match=f"more than {len(DATA) - 1}"):
        channel.get(str(path), limit=len(DATA) - 1)
    assert channel.get(str(path), limit=len(DATA)) == DATA


def test_a_file_that_is_not_there_is_a_refusal(channel: GuestChannel, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"No such file|ERROR_FILE_NOT_FOUND"):
        channel.get(str(tmp_path / "none"), limit=10)


def test_what_a_program_prints_and_how_it_ends(channel: GuestChannel) -> None:
    done = shell(channel, r"printf 'out\000\377'; printf err >&2; exit 7")
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"out\0\xff", b"err")


def test_a_program_prints_a_megabyte_on_both(channel: GuestChannel) -> None:
    done = shell(channel, "head -c 1000000 /dev/zero; head -c 900000 /dev/zero >&2")
    assert (done.exit_code, len(done.stdout), len(done.stderr)) == (0, 1_000_000, 900_000)


def test_a_program_that_a_signal_ends(channel: GuestChannel) -> None:
    assert shell(channel, "kill -KILL $$").exit_code == 128 + 9


def test_words_arrive_as_they_were_written(channel: GuestChannel) -> None:
    words = ["", " ", "a b", "'", '"', "\\", "$HOME", "`id`", "*", "a\nb", "é世", "%PATH%", "-n", "&|;<>", ""]
    done = channel.run(["printf", r"[%s]\0", *words], timeout=30)
    assert done.stdout.decode() == "".join(f"[{word}]\0" for word in words)


def test_a_program_that_is_not_there_is_a_refusal(channel: GuestChannel) -> None:
    with pytest.raises(GuestError, match=r"no_such_program.*"):
        channel.run(["/no_such_program", "x"], timeout=30)


def lives(mark: str) -> bool:
    """Whether a process has ``mark`` in its words or its environment."""
    for file in [*Path("/proc").glob("[0-9]*/environ"), *Path("/proc").glob("[0-9]*/cmdline")]:
        with suppress(OSError):
            if mark.encode() in file.read_bytes():
                return True
    return False


def test_a_program_is_ended_at_its_deadline(channel: GuestChannel, tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    with pytest.raises(GuestError, match=r"env did not end in the guest within 0\.5 s; it was ended"):
        channel.run(["env", mark, "sleep", "300"], timeout=0.5)
    wait_until(lambda: not lives(mark), "the program lives on")
    assert shell(channel, "echo on").stdout == b"on\n"


def test_a_server_that_is_killed_in_the_middle_is_lost_and_found_again(
    server: GuestServer, channel: GuestChannel, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(shell, channel, 'touch "$1"; exec sleep 300', str(begun), timeout=120)
        wait_until(begun.exists, "the program did not begin")
        server.kill()
        with pytest.raises(TargetLost):
            lost.result(60)
    with pytest.raises(TargetLost):
        shell(channel, "echo off")
    server.start()
    channel.await_up(30)  # its socket is there before it listens
    assert shell(channel, "echo on").stdout == b"on\n"


def test_closing_ends_a_call_that_waits(channel: GuestChannel, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shell, channel, 'touch "$1"; exec sleep 300', str(begun), timeout=120)
        wait_until(begun.exists, "the program did not begin")
        for _ in range(2):
            channel.close()
        with pytest.raises(TargetLost):
            waiting.result(60)
    with pytest.raises(TargetLost):
        shell(channel, "echo on")


def test_a_guest_that_comes_up_late_is_waited_for(server: GuestServer) -> None:
    channel = server.channel()
    starter = threading.Timer(0.5, server.start)
    starter.start()
    channel.await_up(60)
    starter.join()
    assert shell(channel, "echo on").stdout == b"on\n"
    channel.close()


def test_a_guest_that_does_not_come_up_is_named(server: GuestServer) -> None:
    channel = server.channel()
    with pytest.raises(TargetLost) as lost:
        channel.await_up(0.3)
    assert server.where in str(lost.value)
    assert "within 0.3 s" in str(lost.value)
    channel.close()
