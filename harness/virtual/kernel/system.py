"""What the exports of ntoskrnl work on: the kernel's state, without the debugger protocol and without the
NT model.

An export is a function in :mod:`harness.virtual.kernel.exports` that takes a :class:`System` and its
arguments as 64-bit words. :class:`harness.virtual.kernel.kernel.Kernel` puts the two together.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from harness.virtual.cpu.cpu import Cpu
from harness.virtual.cpu.engine import open_engine
from harness.virtual.cpu.kernel_image import KernelImage
from harness.virtual.cpu.memory import Memory
from harness.virtual.interfaces import DebugPort, ImageModule, KernelClock, ThreadContext
from harness.virtual.kernel.callbacks import Callbacks
from harness.virtual.kernel.dbgprint import Format
from harness.virtual.kernel.heap import KernelHeap
from harness.virtual.kernel.objects import Objects
from harness.virtual.kernel.pool import Pool
from harness.virtual.kernel.printfilter import PrintFilter
from harness.virtual.kernel.structures.debuggerdata import write_debugger_data
from harness.virtual.kernel.structures.modules import LoadedModules
from harness.virtual.kernel.structures.processor import ProcessorBlocks
from harness.virtual.kernel.structures.shareddata import SharedData
from harness.virtual.kernel.userimages import UserImages

__all__ = ["SYSTEM_CONTEXT", "GuestCall", "LoadedDriver", "System", "Timer", "UnloadedImage", "VarArgs"]

SYSTEM_CONTEXT = ThreadContext(pid=4, tid=8, cpu=0)
"""A system worker thread on processor 0."""
_UNLOADED_REMEMBERED = 50
"""Windows keeps as many in MmUnloadedDrivers."""


@dataclass
class LoadedDriver:
    """A loaded driver."""

    module: ImageModule
    driver_object: int
    loader_entry: int
    """Its KLDR_DATA_TABLE_ENTRY, which DRIVER_OBJECT.DriverSection points to."""
    regions: tuple[int, ...]
    discardable: tuple[int, ...]
    """Regions that go once DriverEntry has returned."""


class UnloadedImage(NamedTuple):
    """Where a driver was."""

    name: str
    base: int
    size: int


class GuestCall(NamedTuple):
    """Driver code to be called later: a DPC, a work item."""

    routine: int
    arguments: tuple[int, ...]
    irql: int
    release: int = 0
    """Word to clear when it starts: the mark that a DPC is queued. 0 for none."""


class Timer(NamedTuple):
    """A KTIMER that has been set."""

    due: int
    """Interrupt time."""
    dpc: int
    period: int
    """100 ns units; 0 for a timer that fires once."""


class VarArgs:
    """A variable argument list: words in registers, then in memory."""

    def __init__(self, memory: Memory, registers: tuple[int, ...], address: int) -> None:
        self._memory = memory
        self._registers = registers
        self._address = address

    def take(self, count: int) -> tuple[int, ...]:
        """The first ``count`` words; MemoryFault where the list runs out of memory."""
        missing = count - len(self._registers)
        if missing <= 0:
            return self._registers[:count]
        rest: tuple[int, ...] = struct.unpack(f"<{missing}Q", self._memory.load(self._address, 8 * missing))
        return self._registers + rest


class System:
    """The kernel's state."""

    def __init__(
        self,
        image: KernelImage,
        port: DebugPort,
        clock: KernelClock,
        *,
        processors: int,
        print_filter: PrintFilter,
        verifier: bool,
    ) -> None:
        engine = open_engine()
        self.image = image
        self.port = port
        self.clock = clock
        self.processors = processors
        self.print_filter = print_filter
        self.verifier = verifier
        self.memory = Memory(engine)
        for address, content, protection in image.sections:
            self.memory.map(address, len(content), protection, content=content)
        self.shared_data = SharedData(self.memory, clock, processors=processors)
        self.processor_blocks = ProcessorBlocks(
            self.memory, processors, version_block=image.symbols["KdpDebuggerDataListHead"]
        )
        write_debugger_data(self.memory, image, self.processor_blocks.addresses)
        self.cpu = Cpu(engine, self.memory, image, processor_blocks=self.processor_blocks.addresses)
        self.heap = KernelHeap(self.memory)
        self.pool = Pool(self.memory)
        self.modules = LoadedModules(self.memory, self.heap, image.symbols["PsLoadedModuleList"])
        self.objects = Objects(
            self.memory, clock, self.processor_blocks, active_head=image.symbols["PsActiveProcessHead"]
        )
        self.callbacks = Callbacks()
        self.user_images = UserImages(self.memory)
        self.memory.show_page = lambda address: self.user_images.show(self.context.pid, address)
        self.context = SYSTEM_CONTEXT
        self.drivers: dict[str, LoadedDriver] = {}
        self.unloaded: deque[UnloadedImage] = deque(maxlen=_UNLOADED_REMEMBERED)
        self.deferred: deque[GuestCall] = deque()
        self.timers: dict[int, Timer] = {}
        self.in_callback = False
        self.uuids = 0
        """Given out by ExUuidCreate."""
        self.other_objects: set[int] = set()
        """Addresses of device, driver, file and type objects."""
        self.names: dict[str, int] = {}
        """Object names in lower case: devices with their address, symbolic links with 0."""
        self.service_rsp = 0
        """RSP at the entry of the export that is being served."""
        self.formats: dict[int, Format] = {}
        """Compiled format strings of read-only sections; forgotten when an image comes or goes."""

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

    def unloaded_at(self, address: int) -> str | None:
        """Name of the unloaded driver whose image held the address; the latest, if several did."""
        for image in reversed(self.unloaded):
            if image.base <= address < image.base + image.size:
                return image.name
        return None

    def caller(self) -> int:
        """Return address of the export that is being served."""
        return self.memory.u64(self.service_rsp)

    def owner(self) -> str | None:
        """Name of the driver that called the export."""
        driver = self.module_at(self.caller())
        return None if driver is None else driver.module.name
