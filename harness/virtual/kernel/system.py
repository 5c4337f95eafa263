"""What the exports of ntoskrnl work on: the kernel's state, without the debugger protocol and without the
NT model.

An export is a function in :mod:`harness.virtual.kernel.exports` that takes a :class:`System` and its
arguments as 64-bit words. :class:`harness.virtual.kernel.kernel.Kernel` puts the two together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol

from harness.virtual.callbackcalls import CallLog
from harness.virtual.clock import TSC_PER_UNIT
from harness.virtual.cpu.cpu import Cpu
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.cpu.kernel_image import KernelImage
from harness.virtual.cpu.stacks import Stack
from harness.virtual.cpu.traps import MemoryFault
from harness.virtual.dispatcher.dispatcher import Activity, Dispatcher, Entry
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import DebugPort, KernelClock, ThreadContext
from harness.virtual.kernel.apcs import Apcs
from harness.virtual.kernel.belongings import Belonging, Belongings, CallSite
from harness.virtual.kernel.brokenrules import BrokenRules
from harness.virtual.kernel.callbacks import Callbacks
from harness.virtual.kernel.callfailures import CallFailures
from harness.virtual.kernel.configuration import Registry
from harness.virtual.kernel.dbgprint import Format
from harness.virtual.kernel.deferred import Dpcs, Timers, WorkQueue
from harness.virtual.kernel.deviceobjects import DeviceObjects
from harness.virtual.kernel.exceptions.handlers import ExceptionHandlers
from harness.virtual.kernel.exceptions.unwindinfo import ExceptionTable
from harness.virtual.kernel.execution import CallbackKey, Execution, HeldUp
from harness.virtual.kernel.extimers import ExTimers
from harness.virtual.kernel.fileobjects import FileObjects
from harness.virtual.kernel.filtermanager import FilterManager
from harness.virtual.kernel.generictables import GenericTable
from harness.virtual.kernel.handletable import Handled, HandleTable
from harness.virtual.kernel.heap import KernelHeap
from harness.virtual.kernel.keynotifications import KeyNotifications
from harness.virtual.kernel.locks import Locks
from harness.virtual.kernel.mdls import Mdls
from harness.virtual.kernel.missing import MissingImports
from harness.virtual.kernel.objects import Objects, ProcessObject, ThreadObject
from harness.virtual.kernel.operationcallbacks import HandleOpening, OperationCallbacks
from harness.virtual.kernel.pageable import Pageable
from harness.virtual.kernel.pool import Pool
from harness.virtual.kernel.printfilter import PrintFilter
from harness.virtual.kernel.resources import Resource
from harness.virtual.kernel.sharedmemory import SharedMemory
from harness.virtual.kernel.structures.debuggerdata import write_debugger_data
from harness.virtual.kernel.structures.modules import LoadedModules
from harness.virtual.kernel.structures.processor import ProcessorBlocks
from harness.virtual.kernel.structures.shareddata import SharedData
from harness.virtual.kernel.systemthreads import ThreadModel
from harness.virtual.kernel.userblocks import UserBlocks
from harness.virtual.kernel.userspace import UserSpace
from harness.virtual.kernel.volume import Volume
from harness.virtual.kernel.waits import Waits
from harness.virtual.windows.irql import DISPATCH_LEVEL

if TYPE_CHECKING:
    from harness.virtual.kernel.loader import LoadedDriver, UnloadedImage

__all__ = ["SYSTEM_CONTEXT", "Enter", "System"]

SYSTEM_CONTEXT = ThreadContext(pid=4, tid=8, cpu=0)
"""A system worker thread on processor 0."""
_UNLOADED_REMEMBERED = 50
"""Windows keeps as many in MmUnloadedDrivers."""
_RDTSC_CYCLES = 25
"""What one look at the time stamp counter takes, about (Agner Fog, Instruction tables)."""


class Enter(Protocol):
    """Enters driver code: see :meth:`harness.virtual.kernel.executor.Executor.enter`."""

    def __call__(
        self,
        routine: int,
        arguments: tuple[int, ...],
        context: ThreadContext,
        irql: int,
        *,
        what: str,
        callback: CallbackKey | None = None,
        kind: str = "",
        holds_up: HeldUp | None = None,
        awaited: bool = True,
        leaves_irql: int | None = None,
    ) -> Program[int]: ...


@dataclass(eq=False)
class _ClockThread:
    """Whatever thread a processor's clock interrupt comes in."""

    processor: int
    pid: int = SYSTEM_CONTEXT.pid
    tid: int = SYSTEM_CONTEXT.tid
    busy_until: int = 0


class System:
    """The kernel's state."""

    def __init__(
        self,
        image: KernelImage,
        port: DebugPort,
        clock: KernelClock,
        dispatcher: Dispatcher,
        *,
        processors: int,
        print_filter: PrintFilter,
        verifier: bool,
        hardware: Hardware,
    ) -> None:
        hardware.reset()
        self.image = image
        self.port = port
        self.clock = clock
        self.dispatcher = dispatcher
        self.processors = processors
        self.print_filter = print_filter
        self.verifier = verifier
        self.memory = hardware.memory
        for address, content, protection in image.sections:
            self.memory.map(address, len(content), protection, content=content)
        self.shared_data = SharedData(self.memory, clock, processors=processors)
        self.processor_blocks = ProcessorBlocks(
            self.memory, processors, version_block=image.symbols["KdpDebuggerDataListHead"]
        )
        write_debugger_data(self.memory, image, self.processor_blocks.addresses)
        self.cpu = Cpu(hardware.engine, self.memory, image, processor_blocks=self.processor_blocks.addresses)
        self.heap = KernelHeap(self.memory)
        self.pageable = Pageable(self.memory)
        self.cpu.registers.raised = self.pageable.irql_raised
        self.memory.may_page_in = lambda: self.cpu.irql < DISPATCH_LEVEL
        self.pool = Pool(self.memory, self.pageable)
        self.modules = LoadedModules(self.memory, self.heap, image.symbols["PsLoadedModuleList"])
        self.objects = Objects(
            self.memory, clock, self.processor_blocks, active_head=image.symbols["PsActiveProcessHead"]
        )
        self.callbacks = Callbacks()
        self.calls = CallLog(clock)
        """Of callbacks, for whoever asks when the run is over."""
        self.belongings = Belongings()
        self.broken_rules = BrokenRules()
        self.missing_imports = MissingImports()
        self.user_blocks = UserBlocks(self.memory, self.heap, self.objects, processors=processors)
        self.user_space = UserSpace(self.memory, self.user_blocks.page)
        self.memory.show_page = lambda address, write: self.user_space.show(
            self.address_space, address, write=write
        )
        self._looked_into: int | None = None
        self.context = SYSTEM_CONTEXT
        self.drivers: dict[str, LoadedDriver] = {}
        self.unloaded: deque[UnloadedImage] = deque(maxlen=_UNLOADED_REMEMBERED)
        self.current: Execution | None = None
        """The driver code that the processor executes; None between two of them."""
        self.executions: list[Execution] = []
        """All that were entered and have not returned, oldest first."""
        self.before_callback: Callable[[], bool] = lambda: False
        """Asked when a notify routine is about to be called: whether the debugger stops the target at its
        first instruction."""
        self.before_bugcheck: Callable[[], bool] = lambda: False
        """Asked when the machine is about to stop for good: whether the debugger stops it first."""
        self.stops_at_entry = False
        """The next entry into driver code is such a stop."""
        self.preemptive = False
        """The dispatcher's policy is asked at every call into the kernel whether others go first."""
        self.call_failures: CallFailures | None = None
        """Records the drivers' calls that may fail, and lets one fail."""
        self.enter: Enter
        self.threads: ThreadModel
        self.kernel_code: Callable[[Program[None]], Program[None]]
        """Runs a program of the kernel's own, which is no export's: what it traps on ends the machine."""
        self.hang: Callable[[str, Execution], NoReturn]
        """Ends the machine: ``(reason, who)``."""
        self.exceptions: ExceptionHandlers
        self.cancel_request: Callable[[int], Program[int]]
        """IoCancelIrp of the IRP at an address; ends with whether it had a cancel routine."""
        self.cancel_lock = self.heap.allocate(8)
        """Address of the system's cancel spin lock."""
        self.mdls = Mdls(self)
        self.complete_request: Callable[[int], None]
        """IoCompleteRequest of the IRP at an address."""
        self.reference_gone: Callable[[int], None]
        """Told of the object at an address, to which a driver has given a reference back."""
        self.place: Callable[[int], str]
        """An address as ``driver.sys+0x1234``."""
        self.locks = Locks(lambda address: self.place(address))
        self.generic_tables: dict[int, GenericTable] = {}
        """By the address of the table."""
        self.resources: dict[int, Resource] = {}
        """Every ERESOURCE by its address."""
        self.waits = Waits(self)
        self.dpcs = Dpcs(self)
        self.apcs = Apcs(self)
        self.cpu.watch_irql = self.interrupts_due
        self.cpu.instructions.time_stamp = self._time_stamp
        self._stamps = 0
        self.shared_memory = SharedMemory(self)
        self.timers = Timers(self)
        self.ex_timers = ExTimers(self)
        self.work = WorkQueue(self)
        self._clock_threads = [_ClockThread(number) for number in range(processors)]
        self.operation_callbacks = OperationCallbacks()
        self.handle_opening = HandleOpening(self)
        self.key_notifications = KeyNotifications(self)
        self.cookies = 0
        """Given out by CmRegisterCallback and CmRegisterCallbackEx."""
        self.uuids = 0
        """Given out by ExUuidCreate and EtwActivityIdControl."""
        self.providers: set[int] = set()
        """REGHANDLEs of ETW providers."""
        self.tokens: dict[int, int] = {}
        """By the PID the address of the process's primary token."""
        self.random_seed = 1
        """Of rand()."""
        self.other_objects: set[int] = set()
        """Addresses of device, driver, file and type objects."""
        self.devices = DeviceObjects(self)
        self.handles = HandleTable()
        self.file_objects = FileObjects(self)
        self.configuration = Registry()
        self.volume = Volume()
        self.filter_manager = FilterManager(self)
        self.names: dict[str, int | str] = {}
        """What :func:`~harness.virtual.kernel.objectnames.object_name` makes of a name: devices with their
        address, symbolic links with the name that they stand for."""
        self.device_names: dict[int, str] = {}
        """By the address of the device; as they were written."""
        self.service_rsp = 0
        """RSP at the entry of the export that is being served."""
        self.service = 0
        """Its number in the kernel's image."""
        self.formats: dict[int, Format] = {}
        """Compiled format strings of read-only sections; forgotten when an image comes or goes."""

    @property
    def stack(self) -> Stack:
        """The kernel stack of what runs now."""
        if self.current is not None:
            return self.current.stack
        return self.cpu.stacks.own[self.context.cpu]

    def current_process(self) -> int:
        """EPROCESS of the current address space: the thread's process, or one that it attached to."""
        attached_to = 0 if self.current is None else self.current.attached_to
        return attached_to or self.objects.process(self.context.pid).address

    @property
    def address_space(self) -> int:
        """PID of the process whose user-mode addresses are seen now."""
        if self._looked_into is not None:
            return self._looked_into
        if self.current is not None and self.current.attached_to:
            process = self.objects.at(self.current.attached_to)
            return self.context.pid if process is None else process.pid
        return self.context.pid

    @contextmanager
    def looking_into(self, pid: int) -> Iterator[None]:
        """Whoever reads memory meanwhile sees the user-mode addresses of that process."""
        before, self._looked_into = self._looked_into, pid
        self.user_space.hide()
        try:
            yield
        finally:
            self._looked_into = before
            self.user_space.hide()

    def current_thread(self) -> int:
        """KTHREAD of what runs now."""
        return self.objects.thread(self.context.pid, self.context.tid).address

    def interrupts_due(self, level: int) -> bool:
        """The current processor has DPCs, or what it executes has APCs, that come first at ``level``."""
        return self.dpcs.due(level) or self.apcs.due(level)

    def _time_stamp(self) -> int:
        """The time stamp counter: it goes with the clock, and on by a little with each look at it."""
        self._stamps += 1
        return self.clock.now * TSC_PER_UNIT + self._stamps * _RDTSC_CYCLES

    def enter_region(self, *, guarded: bool) -> None:
        """The current thread holds off normal kernel APCs, in a guarded region special ones too."""
        if self.current is not None:
            if guarded:
                self.current.guarded_regions += 1
            else:
                self.current.critical_regions += 1

    def leave_region(self, *, guarded: bool) -> None:
        """One :meth:`enter_region` fewer."""
        if self.current is not None:
            if guarded:
                self.current.guarded_regions -= 1
            else:
                self.current.critical_regions -= 1

    def open_handle(self, item: Handled, site: CallSite | None) -> int:
        """A kernel handle for the call that opened it; it holds a reference to an object."""
        handle = self.handles.add(item)
        if isinstance(item, ProcessObject | ThreadObject):
            self.objects.reference(item)
        self.belongings.take(Belonging.HANDLE, handle, site)
        return handle

    def call_later(
        self, delay: int, action: Callable[[], Program[None] | None], *, processor: int | None = None
    ) -> Entry:
        """Let the clock interrupt of ``processor``, or of the one that is current, do something in ``delay``
        (100 ns units)."""
        number = self.context.cpu if processor is None else processor
        thread = self._clock_threads[number]
        return self.dispatcher.call(delay, thread, action, Activity.BACKGROUND, processor=number)

    def lacks(self, what: str) -> NoReturn:
        """End the run where a driver asks an export for what this target does not have, as at a missing
        import: nothing is said about the driver.

        :param what: the export, and in parentheses what of it.
        """
        raise MemoryFault(self.missing_imports.bind(what), "execute", present=False)

    def symbol(self, name: str) -> int:
        """Address of an export or of reserved data; KeyError if there is none."""
        return self.image.symbols[name]

    def is_kernel_code(self, address: int) -> bool:
        """Within the synthetic ntoskrnl.exe."""
        return self.image.base <= address < self.image.base + self.image.size

    def module_at(self, address: int) -> LoadedDriver | None:
        """The driver whose image holds the address."""
        for driver in self.drivers.values():
            if driver.module.base <= address < driver.module.base + driver.module.size:
                return driver
        return None

    def exception_table(self, address: int) -> ExceptionTable | None:
        """That of the driver whose image holds the address."""
        driver = self.module_at(address)
        return None if driver is None or not driver.exception_table.size else driver.exception_table

    def unloaded_at(self, address: int) -> str | None:
        """Name of the unloaded driver whose image held the address; the latest, if several did."""
        held = (i.name for i in reversed(self.unloaded) if i.base <= address < i.base + i.size)
        return next(held, None)

    def caller(self) -> int:
        """Return address of the export that is being served."""
        return self.memory.u64(self.service_rsp)

    def call_site(self) -> CallSite | None:
        """Which driver called the export that is being served, and where; None: no driver did.

        A routine that ends with a tail call leaves nothing on the stack but the kernel that entered it.
        """
        if not self.service_rsp:
            return None
        address = self.caller()
        driver = self.module_at(address)
        if driver is None and self.current is not None:
            address = self.current.routine + 1  # behind an instruction, as a return address is
            driver = self.module_at(address)
        if driver is None:
            return None
        return CallSite(driver.module.name, self.image.functions[self.service], address)
