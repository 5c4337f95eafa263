"""A target with a driver in it whose device a process opens and asks."""

from __future__ import annotations

from collections.abc import Callable

from booted import ListedDebugger, open_filter

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import UserBuffer
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.nt.devices import DeviceCall, Devices
from harness.virtual.nt.objects import Thread
from harness.virtual.target import VirtualTarget

Doing = Callable[[Devices, Thread], Program[None]]


class DeviceMachine:
    """A booted target with a driver loaded, and notepad running, which opens the driver's device.

    :param name: the driver's, without ``.sys``.
    :param device: what :meth:`call` opens.
    """

    def __init__(
        self,
        image: bytes,
        name: str,
        device: str,
        *,
        policy: str = POLICIES[0],
        seed: int = 1,
        verifier: bool = False,
    ) -> None:
        self.debugger, clock = ListedDebugger(), Clock()
        kernel = Kernel(self.debugger, clock, print_filter=open_filter(), verifier=verifier)
        self.debugger.kernel = self.kernel = kernel
        self.target = VirtualTarget(kernel, self.debugger, clock, seed=seed, policy=policy)
        self.clock = clock
        self.devices = Devices(self.target.system, kernel.io)
        self.name, self.device = name, device
        self.load(image)
        self.pid = self.launch()

    def load(self, image: bytes) -> None:
        assert self.target.load_driver(self.name, self.target.put(f"{self.name}.sys", image)) == 0

    def launch(self) -> int:
        pid = int(self.target.act(["launch", "notepad.exe"], 1)["child_pid"])
        self.target.settle(300 * MILLISECOND, 20 * SECOND)
        self.lines()
        return pid

    def lines(self) -> list[str]:
        found = [text.decode().rstrip("\n") for text in self.debugger.prints]
        self.debugger.prints.clear()
        return [line for line in found if not line.startswith("[actor]")]

    def do(self, *programs: Doing, pid: int | None = None, lasting: int = SECOND) -> None:
        """Let threads of the process execute these, one each, and let time pass."""
        process = self.target.system.processes[pid or self.pid]
        for program, thread in zip(programs, process.live_threads(), strict=False):
            self.target.system.run_user(thread, program(self.devices, thread))
        self.target.settle(lasting, lasting)

    def call(
        self,
        code: int,
        given: bytes | UserBuffer = b"",
        into: int | UserBuffer = 0,
        *,
        lasting: int = SECOND,
    ) -> DeviceCall:
        """Open the device, send a control code, close it."""
        results: list[DeviceCall] = []
        sent = UserBuffer.of(given) if isinstance(given, bytes) else given
        room = UserBuffer(size=into) if isinstance(into, int) else into

        def program(devices: Devices, thread: Thread) -> Program[None]:
            handle = (yield from devices.create_file(thread, self.device)).handle
            results.append((yield from devices.device_io_control(thread, handle, code, sent, room)))
            yield from devices.close_handle(thread, handle)

        self.do(program, lasting=lasting)
        return results[0]
