"""The seams inside the virtual target.

::

    guest commands ──▶ NT model (processes, threads, images, programs)       harness.virtual.nt
                          │ NotifyRoutines: "this happened, in this thread"
                          ▼
                       Kernel (Unicorn, ntoskrnl exports, the driver)        harness.virtual.kernel.kernel
                          │ DebugPort: "print this", "image loaded", "bugcheck"
                          ▼
                       KD stub (KDNET datagrams), or a list in a test        harness.virtual.stub.stub

Imports follow the arrows. The kernel and the model know no debugger; the stub reaches back for memory and
registers through what it is handed at construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from harness.virtual.dispatcher.program import Program

__all__ = [
    "MAX_PROCESSORS",
    "DebugPort",
    "DeviceRequests",
    "ImageModule",
    "IoStatus",
    "KernelClock",
    "KernelMemory",
    "KernelView",
    "NotifyRoutines",
    "OpenedFile",
    "ThreadContext",
    "UserBuffer",
]

MAX_PROCESSORS: Final = 8
"""Of one target. More than that find nothing that fewer do not."""


class ThreadContext(NamedTuple):
    """The thread in whose context something happens (what PsGetCurrentProcessId and friends answer)."""

    pid: int
    tid: int
    cpu: int
    """Processor number, from 0."""
    irql: int = 0
    """0 PASSIVE_LEVEL, 1 APC_LEVEL, 2 DISPATCH_LEVEL."""


class ImageModule(NamedTuple):
    """A kernel image as PsLoadedModuleList describes it."""

    name: str
    """Base name, ``procnotify.sys``."""
    path: str
    """Full NT path, ``\\SystemRoot\\system32\\drivers\\procnotify.sys``."""
    base: int
    size: int
    entry_point: int
    checksum: int


class NewThread(NamedTuple):
    """A thread that the model has made."""

    tid: int
    processor: int
    """The one it is to run on first."""
    created: int
    """FILETIME."""


class NotifyRoutines(Protocol):
    """The kernel as the NT model sees it: keeps the objects of the model's processes and threads, and invokes
    every registered callback, in the emulator.

    What invokes driver code ends at once, or, where that waits, hands back a program for the rest of itself.
    Raises :class:`harness.errors.DriverBugcheck` or :class:`~harness.errors.DriverHang` when the driver does;
    the machine is dead afterwards.
    """

    def create_process_object(
        self, pid: int, parent_pid: int, name: str, image: str | None, session: int = 0, wow64: bool = False
    ) -> None:
        """A process begins; nothing is notified yet. ``name`` is the executable's base name, ``image`` its NT
        path; ``wow64``: it is a 32-bit process."""

    def create_thread_objects(self, *, pid: int, threads: Sequence[NewThread]) -> None:
        """The first threads of a process, some or none: as :meth:`create_thread_object` one by one."""

    def create_thread_object(self, *, pid: int, tid: int, processor: int) -> None:
        """A thread begins; it will first run on ``processor``."""

    def delete_thread_object(self, tid: int) -> None:
        """The thread has exited and its id is free; the object stays while it is referenced."""

    def delete_process_object(self, pid: int) -> None:
        """The same for a process, all of whose threads are deleted."""

    def open_process(self, *, pid: int, access: int, context: ThreadContext) -> int | Program[int]:
        """NtOpenProcess in user mode: the access that the callbacks of ObRegisterCallbacks leave of what is
        asked for."""

    def process_notify(
        self,
        *,
        parent_pid: int,
        pid: int,
        create: bool,
        context: ThreadContext,
        image: str | None = None,
        command_line: str | None = None,
        exit_status: int = 0,
    ) -> int | Program[int]:
        """``image`` (the executable's NT path) and ``command_line`` are for Ex callbacks; None: unknown.
        ``exit_status`` is what a process that ends ends with.

        Of a creation the NTSTATUS that the callbacks want it to end with (CreationStatus), else 0."""

    def thread_notify(
        self, *, pid: int, tid: int, create: bool, context: ThreadContext
    ) -> Program[None] | None: ...

    @property
    def wants_thread_starts(self) -> bool:
        """Somebody listens for :meth:`thread_start_notify`."""

    def thread_start_notify(self, *, pid: int, tid: int, context: ThreadContext) -> Program[None] | None:
        """A thread that is not the System process's begins to run: for the routines that
        PsSetCreateThreadNotifyRoutineEx registered as PsCreateThreadNotifyNonSystem."""

    def image_notify(
        self,
        *,
        name: str | None,
        pid: int,
        base: int,
        size: int,
        system_mode: bool,
        context: ThreadContext,
    ) -> Program[None] | None: ...

    def load_driver(self, *, path: str, data: bytes, context: ThreadContext) -> int | Program[int]:
        """Map the image, report it (load-symbols, then the image callbacks already registered with PID 0),
        call its DriverEntry; the NTSTATUS. A non-success status unmaps it again."""

    def unload_driver(self, *, name: str, context: ThreadContext) -> int | Program[int]:
        """Call DriverUnload and unmap; STATUS_INVALID_DEVICE_REQUEST (0xC0000010) without an unload
        routine."""

    def debug_print(self, text: str, context: ThreadContext) -> None:
        """DbgPrintEx of a user-mode thread, component IHVDRIVER, level ERROR."""


class OpenedFile(NamedTuple):
    """What came of opening a device."""

    status: int
    """NTSTATUS."""
    file: int = 0
    """Address of the FILE_OBJECT; 0 where it failed."""


class IoStatus(NamedTuple):
    """What came of a request."""

    status: int
    """NTSTATUS."""
    information: int = 0
    """IO_STATUS_BLOCK.Information."""
    output: bytes = b""
    """What the caller's buffer received."""
    request: int = 0
    """Of one that was left pending: what :meth:`DeviceRequests.finish` takes."""


class UserBuffer(NamedTuple):
    """A buffer that a process hands over: bytes of its own, or what lies at an address."""

    content: bytes = b""
    """What its own bytes hold at first; zeros behind them."""
    size: int = 0
    """At least as many as the content has."""
    address: int | None = None
    """None: it is the process's own memory, and big enough."""

    @classmethod
    def of(cls, content: bytes) -> UserBuffer:
        """Just these bytes."""
        return cls(content, len(content))


class DeviceRequests(Protocol):
    """The I/O manager as the NT model sees it: files of drivers' devices, opened for synchronous I/O.

    Each call is made in the thread of its ``context``, which stands in the kernel until the request is
    completed; like :class:`NotifyRoutines` it ends at once or hands back a program.
    """

    def open(self, path: str, context: ThreadContext) -> OpenedFile | Program[OpenedFile]:
        """IRP_MJ_CREATE for the device that an NT path (``\\??\\Name``) leads to."""

    def close(self, file: int, context: ThreadContext) -> Program[None] | None:
        """The last handle is closed: IRP_MJ_CLEANUP, IRP_MJ_CLOSE."""

    def control(
        self,
        file: int,
        code: int,
        given: UserBuffer,
        into: UserBuffer,
        context: ThreadContext,
        *,
        wait: bool = True,
    ) -> IoStatus | Program[IoStatus]:
        """IRP_MJ_DEVICE_CONTROL.

        :param wait: until it is completed; otherwise one that the driver left pending is answered with
            STATUS_PENDING, as of a file that is opened for overlapped I/O."""

    def read(
        self, file: int, into: UserBuffer, offset: int, context: ThreadContext, *, wait: bool = True
    ) -> IoStatus | Program[IoStatus]:
        """IRP_MJ_READ."""

    def write(
        self, file: int, given: UserBuffer, offset: int, context: ThreadContext, *, wait: bool = True
    ) -> IoStatus | Program[IoStatus]:
        """IRP_MJ_WRITE."""

    def finish(self, request: int) -> IoStatus | Program[IoStatus]:
        """Wait until a request that was left pending is completed; what came of it."""

    def cancel(self, request: int, context: ThreadContext) -> Program[None] | None:
        """CancelIo of a request that was left pending; it may be completed later, or not at all."""

    def run_down(self, pid: int, tid: int | None, context: ThreadContext) -> Program[None] | None:
        """Cancel every request of a thread that ends, or of all threads of its process, and wait for their
        completion."""


class DebugPort(Protocol):
    """The debugger as the kernel sees it. Each call returns when the target may go on."""

    def print_string(self, text: bytes, cpu: int) -> None:
        """At most 512 bytes, as DbgPrint passes on."""

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """An image was loaded or is about to be unloaded."""

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """The CPU stopped at ``address`` (breakpoint 0x80000003, single step 0x80000004, access violation
        0xC0000005 ...) with its registers as they are; returns after the debugger continued.

        :param information: ExceptionInformation of EXCEPTION_RECORD, at most 15 words.
        :returns: the debugger handled it (DBG_CONTINUE); False without a debugger.
        """

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        """KeBugCheckEx: banner print, then the break; returns when the debugger let the dead target go."""

    def poll(self) -> None:
        """Between two instructions of the model: is there a break-in?"""


class KernelClock(Protocol):
    """The target's time, moved by the NT model alone; all in 100 ns units."""

    @property
    def now(self) -> int:
        """Interrupt time: since boot."""

    @property
    def system_time(self) -> int:
        """Since 1601-01-01 UTC, as KeQuerySystemTime answers."""


class KernelMemory(Protocol):
    """Virtual memory without page protections and faults, as a debugger sees it."""

    def read(self, address: int, size: int) -> bytes:
        """At most ``size`` bytes: fewer where the mapped range ends, none where ``address`` is not mapped."""

    def write(self, address: int, data: bytes) -> bool:
        """Write all of ``data``, whatever the page protection; False, and nothing written, where a byte of
        the range is not mapped. Changed code takes effect at once."""

    def protection(self, address: int) -> str | None:
        """``r``, ``rw``, ``rx`` or ``rwx`` of the page; None when nothing is mapped."""

    def ranges(self) -> list[tuple[int, int]]:
        """Every mapped region: its address and its size in bytes, page aligned."""


class KernelView(Protocol):
    """The kernel as the KD stub sees it while the target is halted: memory, registers, names."""

    processors: int
    kernel_base: int

    @property
    def memory(self) -> KernelMemory:
        """All of virtual memory that is mapped."""

    def symbol(self, name: str) -> int:
        """Address of an export or a reserved data symbol (``PsLoadedModuleList``) of ntoskrnl; KeyError if
        there is none."""

    def registers(self) -> dict[str, int]:
        """The current processor: ``rax`` .. ``r15``, ``rip``, ``eflags``, ``cs`` ``ds`` ``es`` ``fs``
        ``gs`` ``ss``, ``cr0`` ``cr2`` ``cr3`` ``cr4`` ``cr8``, ``dr0`` .. ``dr3`` ``dr6`` ``dr7``,
        ``mxcsr``, ``gdtr`` ``gdtr_limit``, ``idtr`` ``idtr_limit``, ``tr``, ``gs_base``, ``xmm0`` ..
        ``xmm15`` (128 bits)."""

    def set_registers(self, values: Mapping[str, int]) -> None:
        """Change some of :meth:`registers`, but not the debug registers; takes effect when the target goes
        on. Setting bit 8 of ``eflags`` makes the processor stop after one instruction (exception
        0x80000004)."""

    def debug_registers(self, cpu: int) -> dict[str, int]:
        """That processor's ``dr0`` .. ``dr3`` ``dr6`` ``dr7``."""

    def set_debug_registers(self, cpu: int, values: Mapping[str, int]) -> None:
        """Change some of them: hardware breakpoints stop the target from now on (exception 0x80000004)."""

    def processor_block(self, cpu: int) -> int:
        """Address of that processor's KPCR; its KPRCB is at +0x180, the current KTHREAD at +0x188."""

    def stack(self, cpu: int) -> tuple[int, int]:
        """That processor's kernel stack: its lowest address and the address behind it."""

    def write_bugcheck_data(self, code: int, parameters: tuple[int, int, int, int]) -> None:
        """KiBugCheckData, for a bugcheck that the debugger caused."""

    def break_in(self) -> None:
        """Run nt!DbgBreakPointWithStatus(1): at once between two callbacks, else when the export that is
        being called returns. Ends in :meth:`DebugPort.exception`."""
