"""One run of driver code: a callback, DriverEntry, a DPC, a work item, a system thread.

Each has its own stack, IRQL and thread, and can stand in the middle while others run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.cpu.stacks import Stack
from harness.virtual.interfaces import ThreadContext

if TYPE_CHECKING:
    from harness.virtual.kernel.waits import WaitBlock

__all__ = [
    "DPC",
    "HANDLE_CALLBACK",
    "KEY_CALLBACK",
    "SYSTEM_THREAD",
    "WORK_ITEM",
    "CallbackKey",
    "Execution",
    "HeldUp",
    "NestedCall",
]

DPC: Final = "a DPC"
"""What a DPC is called; it runs in whatever thread it interrupts."""
SYSTEM_THREAD: Final = "a system thread"
"""What a thread that a driver created is called."""
WORK_ITEM: Final = "a work item"
"""What the routine of one is called."""


HANDLE_CALLBACK: Final = "handle"
"""The group of the callbacks of ObRegisterCallbacks."""
KEY_CALLBACK: Final = "key"
"""That of CmRegisterCallbackEx."""


class CallbackKey(NamedTuple):
    """A notify routine: its group and its address."""

    group: str
    routine: int


class HeldUp(NamedTuple):
    """A process or a thread that is being created."""

    pid: int
    tid: int | None = None
    """None: every thread of the process."""


class NestedCall(NamedTuple):
    """Driver code that is called for an exception, below what raised it: a handler, a filter ..."""

    top: int
    """Where its stack begins, a multiple of 16."""
    registers: dict[str, int]
    """Of the code that it is called for: where a walk of the stack goes on behind it."""
    dispatcher: int = 0
    """Address of the DISPATCHER_CONTEXT of an unwind that it is a part of."""


@dataclass(eq=False)
class Execution:
    """Driver code that was entered and has not returned."""

    what: str
    """``DriverEntry``, ``a thread callback``, ``a DPC`` ..."""
    routine: int
    """Where it was entered."""
    context: ThreadContext
    """The thread it runs in, and on which processor it was last."""
    stack: Stack
    callback: CallbackKey | None = None
    """Which notify routine it is, if it is one."""
    kind: str = ""
    """Of a notify routine, which of :data:`harness.callbacks.CALLBACK_KINDS` it is called for."""
    holds_up: HeldUp | None = None
    """What a notify routine reports the beginning of, and what cannot go on before it has returned."""
    awaited: bool = True
    """Somebody cannot go on before it has returned: it may not wait for ever."""
    began: int = 0
    """When it was entered (100 ns units since boot)."""
    wait: WaitBlock | None = None
    """What it waits for."""
    place: int = 0
    """Where it called the kernel last to wait there."""
    pauses: int = 0
    """How often it stood aside at accesses to memory since it stood in the kernel last."""
    holds: list[int] = field(default_factory=list)
    """Addresses of the locks that it holds, oldest first."""
    critical_regions: int = 0
    """KeEnterCriticalRegion calls that were not left yet."""
    guarded_regions: int = 0
    attached_to: int = 0
    """EPROCESS of the process in whose address space it is; 0: in that of its thread's own process."""
    nested: list[NestedCall] = field(default_factory=list)
    """The innermost last."""
    exceptions: int = 0
    """That were raised in it."""
    ended: bool = False

    @property
    def in_critical_region(self) -> bool:
        """Normal kernel APCs are held off: by itself, or because the kernel calls notify routines like that
        (PCREATE_PROCESS_NOTIFY_ROUTINE, Remarks; POB_PRE_OPERATION_CALLBACK), but those of keys
        (EX_CALLBACK_FUNCTION)."""
        called_in_one = self.callback is not None and self.callback.group != KEY_CALLBACK
        return called_in_one or self.critical_regions > 0 or self.guarded_regions > 0

    def keeps_alive(self, pid: int, tid: int | None) -> bool:
        """That thread, or with None for ``tid`` that process, cannot end before this has returned."""
        context, held_up = self.context, self.holds_up
        if context.pid == pid and tid in (None, context.tid):
            return self.what != DPC
        return held_up is not None and held_up.pid == pid and held_up.tid in (None, tid)

    def __str__(self) -> str:
        return f"{self.what} in thread {self.context.pid}.{self.context.tid}"
