"""How buffers reach a driver, and what becomes of requests that are cancelled."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_machine import DeviceMachine
from tried_policies import POLICIES_TRIED

from harness.errors import DriverBugcheck, DriverHang
from harness.toolchain import Arch, build_driver
from harness.virtual.clock import SECOND
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import UserBuffer
from harness.virtual.nt.devices import DeviceCall, Devices
from harness.virtual.nt.objects import Thread
from harness.virtual.windows.status import STATUS_ACCESS_VIOLATION, STATUS_PENDING

TRANSFERS = r"\\.\Transfers"
BUFFERED, IN_DIRECT, OUT_DIRECT, NEITHER = range(4)
NAMES = (
    *(
        "add",
        "queue",
        "release",
        "forget",
        "trust",
        "beyond",
        "keep-lock",
        "complete-twice",
        "mark-peb",
        "lock",
    ),
    *("cancel", "unlocked"),
)
BY_METHOD = [("add", BUFFERED), ("add", IN_DIRECT), ("add", OUT_DIRECT), ("add", NEITHER)]
STATUS_CANCELLED = 0xC000_0120
KERNEL = 0xFFFF_F802_1000_0000
NOWHERE = 0x1_0000


def code(name: str, method: int = BUFFERED) -> int:
    """CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900 + n, method, FILE_ANY_ACCESS)."""
    return 0x22_2400 + 4 * NAMES.index(name) + method


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("transfers") / "transfers.sys"
    build_driver(Path(__file__).resolve().parents[1] / "transfers", Arch.X64, out)
    return out.read_bytes()


def booted(image: bytes, policy: str = POLICIES[0]) -> DeviceMachine:
    return DeviceMachine(image, "transfers", TRANSFERS, policy=policy)


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize("method", [BUFFERED, OUT_DIRECT, NEITHER])
@pytest.mark.parametrize("size", [3, 4096, 10_000])
def test_a_driver_reads_and_answers_in_the_callers_buffers(
    image: bytes, policy: str, method: int, size: int
) -> None:
    given = bytes(n % 200 for n in range(size))
    found = booted(image, policy).call(code("add", method), given, size)
    assert (found.status, found.information) == (0, size)
    assert found.output == bytes(n % 200 + 1 for n in range(size))


def test_what_is_handed_over_to_be_read_directly_has_its_own_bytes(image: bytes) -> None:
    machine = booted(image)
    found = machine.call(code("add", IN_DIRECT), b"what", UserBuffer(b"of that", 9))
    assert (found.status, found.information, found.output) == (0, 9, b"of that\0\0")
    assert machine.lines()[0] == "what, 9 bytes: of that"


def test_a_driver_can_lock_the_callers_memory_itself(image: bytes) -> None:
    found = booted(image).call(code("lock", NEITHER), b"", UserBuffer.of(b"HAL"))
    assert (found.status, found.output) == (0, b"IBM")


WAYS = [(name, method, which) for name, method in BY_METHOD for which in ("given", "into")]


@pytest.mark.parametrize("address", [NOWHERE, KERNEL, 0])
@pytest.mark.parametrize(("name", "method", "which"), [*WAYS, ("lock", NEITHER, "into")])
def test_an_address_where_nothing_is_ends_the_request_and_nothing_else(
    image: bytes, name: str, method: int, address: int, which: str
) -> None:
    machine, bad, good = booted(image), UserBuffer(size=4, address=address), UserBuffer.of(b"good")
    given, into = (bad, good) if which == "given" else (good, bad)
    found = machine.call(code(name, method), given, into)
    assert (found.status, found.output) == (STATUS_ACCESS_VIOLATION, b"")
    assert machine.call(code("add"), b"a", 1).output == b"b"


@pytest.mark.parametrize("device", [TRANSFERS, r"\\.\TransfersDirect", r"\\.\TransfersNeither"])
def test_reads_and_writes_are_made_as_the_device_wants_them(image: bytes, device: str) -> None:
    machine, results = booted(image), list[DeviceCall]()

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, device)).handle
        results.append((yield from devices.read_file(thread, handle, 3)))
        results.append((yield from devices.write_file(thread, handle, UserBuffer.of(b"mine"))))

    machine.do(program)
    assert [(found.status, found.information, found.output) for found in results] == [
        (0, 3, b"rrr"),
        (0, 4, b""),
    ]
    assert machine.lines() == ["written: mine"]


def queue(machine: DeviceMachine, name: str, then: str) -> list[DeviceCall]:
    """Leave a request pending, and do what ``then`` says; what both came to."""
    results: list[DeviceCall] = []

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, TRANSFERS)).handle
        left = yield from devices.device_io_control(
            thread, handle, code(name), UserBuffer(), UserBuffer(size=8), wait=False
        )
        assert (left.status, left.output) == (STATUS_PENDING, b"")
        if then == "cancel io":
            yield from devices.cancel_io(thread, left.request)
        elif then == "close":
            yield from devices.close_handle(thread, handle)
        elif then:
            results.append((yield from devices.device_io_control(thread, handle, code(then))))
        if then:
            results.append((yield from devices.finish(thread, left.request)))

    machine.do(program)
    return results


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_a_request_that_is_left_pending_is_answered_later(image: bytes, policy: str) -> None:
    released, found = queue(booted(image, policy), "queue", "release")
    assert (released.status, found.status, found.output) == (0, 0, b"released")


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize(("then", "from_driver"), [("cancel io", False), ("cancel", True)])
def test_a_request_is_cancelled_by_its_caller_or_by_the_driver(
    image: bytes, policy: str, then: str, from_driver: bool
) -> None:
    machine = booted(image, policy)
    found = queue(machine, "queue", then)
    assert (found[-1].status, found[-1].output) == (STATUS_CANCELLED, b"")
    assert [call.status for call in found[:-1]] == ([0] if from_driver else [])
    assert machine.lines()[0] == "cancel at irql 2, was 0, flag 1"


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_a_process_that_ends_takes_its_requests_along_before_its_handles(image: bytes, policy: str) -> None:
    machine = booted(image, policy)
    assert queue(machine, "queue", "") == []
    machine.target.act(["terminate", str(machine.pid)], 2)
    assert machine.lines() == ["cancel at irql 2, was 0, flag 1", f"cleanup in {machine.pid}", "close"]
    assert machine.target.unload_driver("transfers") == 0


def test_a_file_is_closed_when_its_last_request_is_done(image: bytes) -> None:
    machine = booted(image)

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, TRANSFERS)).handle
        yield from devices.device_io_control(
            thread, handle, code("queue"), UserBuffer(), UserBuffer(size=8), wait=False
        )
        yield from devices.close_handle(thread, handle)

    machine.do(program)
    assert machine.lines() == [f"cleanup in {machine.pid}"]
    machine.call(code("release"))
    assert sorted(machine.lines()) == [f"cleanup in {machine.pid}", "close", "close"]


def test_a_request_that_cannot_be_cancelled_keeps_its_thread_for_ever(image: bytes) -> None:
    machine = booted(image)
    queue(machine, "forget", "")
    words = "request pending, which was cancelled when its thread ended; nobody completes it"
    with pytest.raises(DriverHang, match=words):
        machine.target.act(["terminate", str(machine.pid)], 2)
    assert machine.clock.now > 300 * SECOND


@pytest.mark.parametrize(
    ("name", "method", "given", "into", "codes"),
    [
        ("trust", NEITHER, UserBuffer(size=4, address=NOWHERE), 4, {0x3B}),
        ("trust", NEITHER, b"abcd", UserBuffer(size=4, address=KERNEL), {0x50, 0xBE}),
        ("beyond", BUFFERED, b"", 8, {0xC1}),
        ("beyond", OUT_DIRECT, b"", 8, {0x50, 0xD6}),
        ("unlocked", BUFFERED, b"", 8, {0xC4}),
    ],
)
def test_what_a_driver_does_to_memory_that_is_not_its_own_is_a_bugcheck_with_its_name(
    image: bytes, name: str, method: int, given: bytes | UserBuffer, into: int | UserBuffer, codes: set[int]
) -> None:
    with pytest.raises(DriverBugcheck) as caught:
        booted(image).call(code(name, method), given, into)
    assert caught.value.code in codes and caught.value.module == "transfers.sys"


@pytest.mark.parametrize(("name", "bugcheck"), [("keep-lock", 0xC8), ("complete-twice", 0x50)])
def test_a_cancel_routine_that_does_wrong_is_a_bugcheck(image: bytes, name: str, bugcheck: int) -> None:
    machine = booted(image)
    with pytest.raises(DriverBugcheck) as caught:
        queue(machine, name, "cancel io")
        machine.call(code("release"))
    assert (caught.value.code, caught.value.module) == (bugcheck, "transfers.sys")


def test_what_is_written_into_a_peb_stays_there_and_is_that_processes_alone(image: bytes) -> None:
    machine = booted(image)
    marks = [machine.call(code("mark-peb"), b"", 1).output[0] for _ in range(3)]
    first, machine.pid = machine.pid, machine.launch()
    assert marks == [1, 2, 3] and first != machine.pid
    assert machine.call(code("mark-peb"), b"", 1).output == b"\x01"
