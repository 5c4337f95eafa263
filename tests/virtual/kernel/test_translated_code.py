"""What the engine has translated once it executes again: in the next call, and in the next boot."""

from __future__ import annotations

from pathlib import Path

import pytest
import unicorn
from booted import SYSTEM, ListedDebugger, open_filter
from made_drivers import make_driver

from harness.errors import DriverBugcheck
from harness.toolchain import default_driver
from harness.virtual.clock import Clock
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.kernel.kernel import Kernel

FORGETS = r"""
#include <ntddk.h>
static VOID NTAPI OnThread(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Thread);
    UNREFERENCED_PARAMETER(Create);
}
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    return PsSetCreateThreadNotifyRoutine(OnThread);
}
"""


def translated_by(hardware: Hardware, callbacks: int) -> list[int]:
    """How much was translated by the load of a driver, and by each of its callbacks, in one boot."""
    debugger = ListedDebugger()
    kernel = Kernel(debugger, Clock(), print_filter=open_filter(), hardware=hardware)
    counts = [0]

    def count(*_: object) -> None:
        counts[-1] += 1

    hardware.engine.hook_add(unicorn.UC_HOOK_EDGE_GENERATED, count)
    image = default_driver().path.read_bytes()
    kernel.load_driver(path="\\SystemRoot\\procnotify.sys", data=image, context=SYSTEM)
    for number in range(callbacks):
        counts.append(0)
        kernel.thread_notify(pid=4, tid=100 + 4 * number, create=True, context=SYSTEM)
    assert sum(b"create" in line for line in debugger.prints) == callbacks
    return counts


def test_code_is_translated_when_it_is_executed_first_and_never_again() -> None:
    hardware = Hardware()
    loading, first, *others = translated_by(hardware, 4)
    assert loading > 0 and first > 0
    assert others == [0, 0, 0]
    # The gate of the exports is hooked anew in each boot, and a hook is part of the code.
    assert translated_by(hardware, 4) == [1, 0, 0, 0, 0]


def test_code_that_is_not_there_any_more_is_not_executed(tmp_path: Path) -> None:
    """A routine that touches no memory, of which the engine still knows what it had translated."""
    image = make_driver(FORGETS, tmp_path, "forgets")
    debugger = ListedDebugger()
    kernel = Kernel(debugger, Clock(), print_filter=open_filter())
    kernel.load_driver(path="\\SystemRoot\\forgets.sys", data=image, context=SYSTEM)
    kernel.thread_notify(pid=4, tid=100, create=True, context=SYSTEM)
    assert kernel.unload_driver(name="forgets.sys", context=SYSTEM) == 0
    with pytest.raises(DriverBugcheck, match="0x000000ce"):
        kernel.thread_notify(pid=4, tid=104, create=True, context=SYSTEM)
