"""A process opens a driver's device and sends it requests: dispatch routines as executions of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_machine import DeviceMachine
from tried_policies import POLICIES_TRIED

from harness.errors import DriverBugcheck, DriverHang
from harness.toolchain import Arch, build_driver
from harness.virtual.clock import MILLISECOND, SECOND
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import UserBuffer
from harness.virtual.kernel.irps import MAX_TRANSFER
from harness.virtual.nt.devices import DeviceCall, Devices
from harness.virtual.nt.objects import Thread
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_BUFFER_OVERFLOW,
    STATUS_DEVICE_BUSY,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_HANDLE,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_UNSUCCESSFUL,
)

HERE = Path(__file__).resolve().parents[1]
TRIED = r"\\.\Tried"
NAMES = (
    *("reverse", "sleep", "by-work-item", "by-dpc", "never", "twice", "touch", "as-pending", "cancelable"),
    *("fail", "warn", "unknown"),
)
CODES = {name: 0x22_2000 + 4 * number for number, name in enumerate(NAMES)}
"""CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + n, METHOD_BUFFERED, FILE_ANY_ACCESS)."""


def booted(
    image: bytes, *, policy: str = POLICIES[0], seed: int = 1, verifier: bool = False
) -> DeviceMachine:
    return DeviceMachine(image, "devices", TRIED, policy=policy, seed=seed, verifier=verifier)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("devices") / "devices.sys"
    build_driver(HERE / "devices", Arch.X64, out)
    return out.read_bytes()


def test_a_device_is_opened_asked_and_closed_in_the_callers_thread(image: bytes) -> None:
    machine = booted(image)
    found = machine.call(CODES["reverse"], b"abcdef", 4)
    assert (found.status, found.information, found.output) == (0, 4, b"fedc")
    pid = machine.pid
    assert machine.lines() == [
        f"create '' for {pid} in {pid} at irql 0, 1 open",
        f"cleanup in {pid}",
        f"close in {pid}",
    ]


@pytest.mark.parametrize(
    ("name", "room", "status", "output"),
    [
        ("fail", 8, STATUS_UNSUCCESSFUL, b""),
        ("warn", 8, STATUS_BUFFER_OVERFLOW, b"in" + bytes(6)),
        ("unknown", 8, STATUS_INVALID_DEVICE_REQUEST, b""),
        ("reverse", 0, 0, b""),
        ("reverse", MAX_TRANSFER + 1, STATUS_INSUFFICIENT_RESOURCES, b""),
    ],
)
def test_an_error_gives_nothing_back_and_a_warning_as_much_as_there_is_room_for(
    image: bytes, name: str, room: int, status: int, output: bytes
) -> None:
    found = booted(image).call(CODES[name], b"in", room)
    assert (found.status, found.output) == (status, output)


def test_what_is_written_is_read_again(image: bytes) -> None:
    machine, results = booted(image), list[DeviceCall]()

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, r"\??\tried")).handle
        results.append((yield from devices.write_file(thread, handle, UserBuffer.of(b"kept"), 1 << 40)))
        results.append((yield from devices.read_file(thread, handle, 100)))

    machine.do(program)
    assert [(found.status, found.information, found.output) for found in results] == [
        (0, 4, b""),
        (0, 4, b"kept"),
    ]
    assert f"write at {1 << 40}" in machine.lines()


def test_paths_that_lead_nowhere_and_drivers_that_refuse(image: bytes) -> None:
    machine, statuses = booted(image), list[int]()

    def program(devices: Devices, thread: Thread) -> Program[None]:
        for path in (r"\\.\Nobody", r"\\.\Tried\Inner\File", r"\\.\Alone", r"\\.\Alone", r"\Device\Tried"):
            statuses.append((yield from devices.create_file(thread, path)).status)
        statuses.append((yield from devices.device_io_control(thread, 4, CODES["reverse"])).status)
        statuses.append((yield from devices.close_handle(thread, 4)).status)
        statuses.append((yield from devices.read_file(thread, 4, 1)).status)
        statuses.append((yield from devices.write_file(thread, 4, UserBuffer())).status)

    machine.do(program)
    refused = [STATUS_OBJECT_NAME_NOT_FOUND, STATUS_ACCESS_DENIED, 0, STATUS_ACCESS_DENIED, 0]
    assert statuses == refused + [STATUS_INVALID_HANDLE] * 4
    assert [line.partition(" for ")[0] for line in machine.lines()] == [
        r"create '\Inner\File'",
        "create ''",
        "create ''",
    ]


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize(
    ("name", "said", "information", "waited"),
    [("by-work-item", "completing in 4", 3, 20), ("by-dpc", "completing at irql 2", 1, 30)],
)
def test_a_pending_request_keeps_its_caller_until_it_is_completed(
    image: bytes, policy: str, name: str, said: str, information: int, waited: int
) -> None:
    machine = booted(image, policy=policy)
    began = machine.clock.now
    ended: list[int] = []

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, TRIED)).handle
        found = yield from devices.device_io_control(
            thread, handle, CODES[name], UserBuffer.of(b"xyz"), UserBuffer(size=3)
        )
        ended.append(machine.clock.now)
        assert (found.status, found.information, found.output) == (0, information, b"xyz"[:information])

    machine.do(program)
    assert waited * MILLISECOND <= ended[0] - began < (waited + 10) * MILLISECOND
    assert said in machine.lines()


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_requests_of_several_threads_overlap(image: bytes, policy: str) -> None:
    machine, done = booted(image, policy=policy), list[int]()

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, TRIED)).handle
        done.append((yield from devices.device_io_control(thread, handle, CODES["sleep"])).status)

    machine.do(program, program, program)
    assert done == [0, 0, 0]
    inside = [line for line in machine.lines() if "inside" in line]
    assert len(inside) == 3 and inside[:2] == ["1 inside", "2 inside"]


def test_what_a_process_leaves_open_is_closed_when_it_ends_and_a_driver_stays_till_then(image: bytes) -> None:
    machine = booted(image)

    def program(devices: Devices, thread: Thread) -> Program[None]:
        yield from devices.create_file(thread, TRIED)

    machine.do(program)
    assert machine.lines()[1:] == []
    assert machine.target.unload_driver("devices") == STATUS_DEVICE_BUSY
    machine.target.act(["terminate", str(machine.pid)], 2)
    assert machine.lines() == [f"cleanup in {machine.pid}", f"close in {machine.pid}"]
    assert machine.target.unload_driver("devices") == 0
    assert machine.lines() == ["unloaded"]


@pytest.mark.parametrize(
    ("name", "code", "verifier"),
    [
        ("twice", 0x44, False),
        ("touch", 0x50, False),
        ("touch", 0xD5, True),
        ("as-pending", 0xC9, False),
        ("cancelable", 0xC9, False),
    ],
)
def test_requests_completed_wrongly_are_bugchecks_that_name_the_driver(
    image: bytes, name: str, code: int, verifier: bool
) -> None:
    machine = booted(image, verifier=verifier)
    with pytest.raises(DriverBugcheck) as caught:
        machine.call(CODES[name])
    assert (caught.value.code, caught.value.module) == (code, "devices.sys")
    if code == 0xC9:
        assert caught.value.parameters[0] == {"as-pending": 6, "cancelable": 7}[name]


def test_a_request_that_nobody_completes_is_a_hang(image: bytes) -> None:
    machine = booted(image)
    words = (
        r"devices.sys hangs, routine at devices.sys\+0x[0-9a-f]+: "
        "it left an IRP_MJ_DEVICE_CONTROL request pending, which nobody completes"
    )
    with pytest.raises(DriverHang, match=words):
        machine.call(CODES["never"], lasting=60 * SECOND)


def test_the_same_seed_does_the_same_again(image: bytes) -> None:
    def life() -> tuple[list[str], int]:
        machine = booted(image, policy="random", seed=7)
        machine.call(CODES["by-work-item"])
        machine.call(CODES["sleep"])
        return machine.lines(), machine.clock.now

    assert life() == life()
