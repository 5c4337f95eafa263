"""The helper's actions that open a driver's device and ask it, as the model does them."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import ListedDebugger, open_filter
from tried_policies import POLICIES_TRIED

from harness.toolchain import Arch, build_driver
from harness.virtual.clock import Clock
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.nt.devicekeepers import MAX_PENDING
from harness.virtual.target import VirtualTarget

ADD, QUEUE, RELEASE = (str(0x22_2400 + 4 * n) for n in range(3))
NEITHER = 3
Answer = dict[str, int | str]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("transfers") / "transfers.sys"
    build_driver(Path(__file__).resolve().parents[1] / "transfers", Arch.X64, out)
    return out.read_bytes()


class Guest:
    """A target with the driver in it, whose steps are numbered."""

    def __init__(self, image: bytes, policy: str = POLICIES[0]) -> None:
        self.debugger, clock = ListedDebugger(), Clock()
        kernel = Kernel(self.debugger, clock, print_filter=open_filter())
        self.debugger.kernel = kernel
        self.target = VirtualTarget(kernel, self.debugger, clock, seed=1, policy=policy)
        assert self.target.load_driver("transfers", self.target.put("transfers.sys", image)) == 0
        self._step = 0

    def act(self, *words: str) -> Answer:
        self._step += 1
        return self.target.act(words, self._step)

    def open_device(self, name: str = r"\\.\Transfers") -> str:
        opened = self.act("open-device", name)
        assert opened["status"] == 0
        return str(opened["child_pid"])

    def prints(self) -> list[str]:
        found = [text.decode().rstrip("\n") for text in self.debugger.prints]
        self.debugger.prints.clear()
        return [line for line in found if not line.startswith("[actor]")]


def answer(found: Answer) -> tuple[object, ...]:
    return found["status"], found.get("returned"), found.get("output")


@pytest.mark.parametrize("policy", POLICIES_TRIED)
def test_a_device_is_opened_asked_read_written_and_closed(image: bytes, policy: str) -> None:
    guest = Guest(image, policy)
    device = guest.open_device()
    assert answer(guest.act("ioctl", device, ADD, "61ff", "2", "-", "0")) == (0, 2, "6200")
    neither = str(int(ADD) + NEITHER)
    assert answer(guest.act("ioctl", device, neither, "61", "1", "-", "0")) == (0, 1, "62")
    assert answer(guest.act("read-device", device, "2", "0", "0")) == (0, 2, "7272")
    assert answer(guest.act("write-device", device, "6d", "0", "0")) == (0, 1, None)
    closed = guest.act("close-device", device)
    assert closed["status"] == 0 and closed["pid"] != int(device)
    assert guest.prints() == ["written: m", f"cleanup in {device}", "close"]
    assert guest.target.system.find_process(int(device)) is None
    assert guest.act("ioctl", device, ADD, "-", "0", "-", "0")["status"] == 87
    assert guest.target.unload_driver("transfers") == 0


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize(
    ("then", "status", "output"), [("release", 0, "72656c6561736564"), ("cancel", 995, None)]
)
def test_a_request_is_left_pending_and_heard_of_later(
    image: bytes, policy: str, then: str, status: int, output: str | None
) -> None:
    guest = Guest(image, policy)
    device, other = guest.open_device(), guest.open_device()
    assert guest.act("ioctl", device, QUEUE, "-", "8", "-", "1")["status"] == 997
    if then == "release":
        assert guest.act("ioctl", other, RELEASE, "-", "0", "-", "0")["status"] == 0
    else:
        assert guest.act("cancel-io", device)["status"] == 0
    found = guest.act("await-io", device)
    assert (found["status"], found.get("output")) == (status, output)
    assert guest.act("await-io", device)["status"] == 1168
    assert guest.act("cancel-io", device)["status"] == 1168


@pytest.mark.parametrize("ended", ["terminate", "close-device"])
def test_the_end_of_the_process_cancels_what_it_left_pending(image: bytes, ended: str) -> None:
    guest = Guest(image)
    device = guest.open_device()
    guest.act("ioctl", device, QUEUE, "-", "8", "-", "1")
    assert guest.act(ended, device)["status"] == 0
    cleanup, cancel = f"cleanup in {device}", "cancel at irql 2, was 0, flag 1"
    assert guest.prints() == ([cancel, cleanup] if ended == "terminate" else [cleanup, cancel]) + ["close"]
    assert guest.target.unload_driver("transfers") == 0


def test_as_many_requests_as_are_said_can_be_left_pending(image: bytes) -> None:
    guest = Guest(image)
    device = guest.open_device()
    for _ in range(MAX_PENDING):
        assert guest.act("ioctl", device, QUEUE, "-", "8", "-", "1")["status"] == 997
    assert guest.act("ioctl", device, QUEUE, "-", "8", "-", "1")["status"] == 56


def test_a_device_that_is_not_there_leaves_nothing_behind(image: bytes) -> None:
    guest = Guest(image)
    before = set(guest.target.system.processes)
    assert guest.act("open-device", r"\\.\Nobody")["status"] == 2
    assert set(guest.target.system.processes) == before


@pytest.mark.parametrize(
    "words",
    [
        ["ioctl"],
        ["ioctl", "8", ADD, "6", "0", "-", "0"],
        ["ioctl", "8", ADD, "-", "4097", "-", "0"],
        ["ioctl", "8", ADD, "00" * 4097, "0", "-", "0"],
        ["ioctl", "8", ADD, "@1", "0", "-", "0"],
        ["ioctl", "8", ADD, "-", "0", "-", "2"],
        ["read-device", "8", "1", "0"],
        ["write-device", "8", "zz", "0", "0"],
    ],
)
def test_words_that_are_none_of_its_own_are_refused(image: bytes, words: list[str]) -> None:
    assert Guest(image).act(*words)["status"] == 160
