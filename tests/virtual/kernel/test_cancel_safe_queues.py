"""IoCsqInsertIrp and its like: requests that wait in a driver's queue are taken out, or cancelled, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_machine import DeviceMachine
from tried_policies import POLICIES_TRIED

from harness.errors import DriverHang
from harness.toolchain import Arch, build_driver
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.dispatcher.program import Program
from harness.virtual.nt.devices import DeviceCall, Devices
from harness.virtual.nt.objects import Thread
from harness.virtual.windows.status import STATUS_DEVICE_BUSY, STATUS_NO_MORE_ENTRIES, STATUS_PENDING

SOURCES = Path(__file__).resolve().parents[1] / "queues"
QUEUED = r"\\.\Queued"
STATUS_CANCELLED = 0xC000_0120
WAIT, NEXT, REMEMBER, REMEMBERED, REFUSED = (0x22_2000 + 4 * number for number in range(5))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("queues") / "queues.sys"
    build_driver(SOURCES, Arch.X64, out)
    return out.read_bytes()


class Asked:
    """A machine with the queue, and what became of the requests that were sent."""

    def __init__(self, image: bytes, name: str = "queued", policy: str = POLICIES[0]) -> None:
        self.machine = DeviceMachine(image, name, QUEUED, policy=policy)
        self.results: list[DeviceCall] = []

    def do(self, *codes: int, cancel: bool = False) -> list[int]:
        """Send these from one thread without waiting, then cancel or wait for all; the statuses."""

        def program(devices: Devices, thread: Thread) -> Program[None]:
            handle = (yield from devices.create_file(thread, QUEUED)).handle
            for code in codes:
                found = yield from devices.device_io_control(thread, handle, code, wait=False)
                self.results.append(found)
            for number, found in enumerate(self.results):
                if found.status == STATUS_PENDING:
                    if cancel:
                        yield from devices.cancel_io(thread, found.request)
                    self.results[number] = yield from devices.finish(thread, found.request)

        self.machine.do(program)
        return [found.status for found in self.results]


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_the_next_one_is_taken_out_in_the_drivers_order(image: bytes, policy: str) -> None:
    asked = Asked(image, policy=policy)
    assert asked.do(WAIT, WAIT, NEXT, NEXT, NEXT) == [0, 0, 0, 0, STATUS_NO_MORE_ENTRIES]
    assert [found.information for found in asked.results] == [1, 1, 0, 0, 0]
    assert asked.machine.lines() == ["insert at irql 2", "insert at irql 2"]


def test_one_that_is_remembered_is_taken_out_once(image: bytes) -> None:
    asked = Asked(image)
    statuses = asked.do(WAIT, REMEMBER, REMEMBERED, REMEMBERED, NEXT, REMEMBERED)
    assert statuses == [0, 0, 0, STATUS_NO_MORE_ENTRIES, 0, STATUS_NO_MORE_ENTRIES]


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_those_that_are_cancelled_leave_the_queue(image: bytes, policy: str) -> None:
    asked = Asked(image, policy=policy)
    assert asked.do(WAIT, REMEMBER, cancel=True) == [STATUS_CANCELLED, STATUS_CANCELLED]
    assert asked.machine.lines()[2:] == ["cancelled at irql 0", "cancelled at irql 0"]
    asked.results.clear()
    assert asked.do(NEXT, REMEMBERED) == [STATUS_NO_MORE_ENTRIES, STATUS_NO_MORE_ENTRIES]


def test_a_queue_may_refuse_a_request(image: bytes) -> None:
    assert Asked(image).do(REFUSED) == [STATUS_DEVICE_BUSY]


def test_a_queue_that_shows_the_same_request_for_ever_is_a_hang(image: bytes) -> None:
    with pytest.raises(DriverHang, match=r"goes through the cancel-safe queue at 0x\w{16} without end"):
        Asked(image, "circular").do(WAIT, NEXT)
