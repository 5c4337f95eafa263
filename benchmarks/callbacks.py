"""How many callbacks a second the virtual target executes: the project's own driver, one DbgPrintEx each."""

from __future__ import annotations

from time import perf_counter

from harness.toolchain import default_driver
from harness.virtual.clock import Clock
from harness.virtual.interfaces import ImageModule, ThreadContext
from harness.virtual.kernel.kernel import Kernel

__all__ = ["measure"]


class _Lines:
    """A debugger that counts."""

    def __init__(self) -> None:
        self.count = 0

    def print_string(self, text: bytes, cpu: int) -> None:
        self.count += 1

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        pass

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        raise AssertionError(f"the driver stopped with 0x{code:08x} at 0x{address:x}")

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        raise AssertionError(f"bugcheck 0x{code:x} {parameters}")

    def poll(self) -> None:
        pass


def measure(callbacks: int = 50_000) -> float:
    """Thread callbacks a second, through the emulator to the debug port."""
    port = _Lines()
    kernel = Kernel(port, Clock())
    context = ThreadContext(pid=4, tid=8, cpu=0)
    image = default_driver().path.read_bytes()
    kernel.load_driver(path="\\SystemRoot\\system32\\drivers\\procnotify.sys", data=image, context=context)
    before = port.count
    start = perf_counter()
    for number in range(callbacks):
        kernel.thread_notify(pid=4, tid=100 + 4 * (number // 2), create=number % 2 == 0, context=context)
    elapsed = perf_counter() - start
    if port.count - before != callbacks:
        raise AssertionError(f"{port.count - before} lines for {callbacks} callbacks")
    return callbacks / elapsed
