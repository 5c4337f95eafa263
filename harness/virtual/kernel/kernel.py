"""The virtual target's kernel: the driver, called in an emulator as Windows would call it.

The NT model reports what happens through :class:`~harness.virtual.interfaces.NotifyRoutines`; every
registered callback runs in the right thread's context; prints, image loads, exceptions and bugchecks go
out through
:class:`~harness.virtual.interfaces.DebugPort`; the KD stub looks in through
:class:`~harness.virtual.interfaces.KernelView`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.virtual.cpu.kernel_image import build_kernel_image
from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.interfaces import (
    DebugPort,
    ImageModule,
    KernelClock,
    ThreadContext,
)
from harness.virtual.kernel.callbacks import Callback
from harness.virtual.kernel.dbgprint import BUFFER_SIZE
from harness.virtual.kernel.execution import Execution
from harness.virtual.kernel.exports import DATA, EXPORTS, ServiceTable
from harness.virtual.kernel.loader import DRIVER_UNLOAD, Loader, check_driver_file
from harness.virtual.kernel.notifydata import NotifyData
from harness.virtual.kernel.printfilter import DEFAULT_COMPONENT, INFO_LEVEL, PrintFilter
from harness.virtual.kernel.system import SYSTEM_CONTEXT, LoadedDriver, System
from harness.virtual.windows.status import (
    STATUS_IMAGE_ALREADY_LOADED,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
    failed,
)

__all__ = ["MAX_PROCESSORS", "Kernel", "check_driver_file"]

MAX_PROCESSORS = 64
_KERNEL_PATH = "\\SystemRoot\\system32\\ntoskrnl.exe"
_SERVICES = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\"
_DRIVER_VERIFIER_DETECTED_VIOLATION = 0xC4
_POOL_NOT_FREED = 0x62
_TYPE_OBJECTS = (
    *("PsProcessType", "PsThreadType", "PsJobType"),
    *("IoFileObjectType", "IoDeviceObjectType", "IoDriverObjectType"),
)
_PRINT_CHUNK = BUFFER_SIZE - 1


class Kernel:
    """One booted kernel; constructing it takes some ten milliseconds.

    :param port: the debugger.
    :param clock: the target's time.
    :param processors: 1 to :data:`MAX_PROCESSORS`.
    :param print_filter: which debug prints pass; by default all of component DEFAULT and every error.
    :param verifier: Driver Verifier is on: pool faults are reported as such (0xD5, 0xD6), and a driver that
        leaves pool behind is a bugcheck (0xC4, 0x62).
    :ivar creation_status: NTSTATUS that Ex callbacks left for the process created last.
    """

    def __init__(
        self,
        port: DebugPort,
        clock: KernelClock,
        *,
        processors: int = 2,
        print_filter: PrintFilter | None = None,
        verifier: bool = False,
    ) -> None:
        if not 1 <= processors <= MAX_PROCESSORS:
            raise ValueError(f"1 to {MAX_PROCESSORS} processors, not {processors}")
        sizes = tuple((name, size) for name, (size, _) in DATA.items())
        image = build_kernel_image(tuple(EXPORTS), sizes)
        self.processors = processors
        self.kernel_base = image.base
        self.creation_status = STATUS_SUCCESS
        self._system = System(
            image,
            port,
            clock,
            processors=processors,
            print_filter=print_filter or PrintFilter(),
            verifier=verifier,
        )
        self._system.cpu.connect(ServiceTable(self._system).serve)
        self._execution = Execution(self._system)
        self._loader = Loader(self._system)
        self._data = NotifyData(self._system.memory, self._system.heap)
        self._kernel_module = ImageModule(
            name="ntoskrnl.exe",
            path=_KERNEL_PATH,
            base=image.base,
            size=image.size,
            entry_point=image.entry_point,
            checksum=image.checksum,
        )
        self._system.modules.add(self._kernel_module, timestamp=image.timestamp)
        self._fill_exported_data()

    # What the NT model does and reports (NotifyRoutines).

    def create_process_object(self, *, pid: int, parent_pid: int, name: str, image: str | None) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        self._change(self._system.objects.create_process, pid, parent_pid, name, image)

    def create_thread_object(self, *, pid: int, tid: int, processor: int) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        self._change(self._system.objects.create_thread, pid, tid, processor)

    def delete_thread_object(self, tid: int) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        self._change(self._system.objects.delete_thread, tid)

    def delete_process_object(self, pid: int) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        self._change(self._system.objects.delete_process, pid)

    def process_notify(
        self,
        *,
        parent_pid: int,
        pid: int,
        create: bool,
        context: ThreadContext,
        image: str | None = None,
        command_line: str | None = None,
    ) -> None:
        """A process was created, or is about to be gone.

        :param image: NT path of its executable, for Ex callbacks; None: not known (FileOpenNameAvailable
            FALSE).
        :param command_line: None is passed on as NULL.
        """
        self._execution.refuse_when_dead()
        objects = self._system.objects
        if create:
            process = objects.start_process(pid, parent_pid)
            process.image_path = image = image or process.image_path
            command_line = command_line or process.command_line
        process_object = objects.process(pid).address
        self.creation_status = STATUS_SUCCESS
        for callback in self._system.callbacks.of("process"):
            if callback.extended:
                info = 0
                if create:
                    creator = (context.pid, context.tid)
                    info = self._data.process(parent_pid, creator, image, command_line)
                self._call("process", callback, (process_object, pid, info), context)
                if create and failed(self._data.creation_status()):
                    self.creation_status = self._data.creation_status()
            else:
                self._call("process", callback, (parent_pid, pid, int(create)), context)
        self._execution.run_deferred()
        if not create:
            self._change(objects.exit_process, pid)
            self._system.user_images.forget(pid)

    def thread_notify(self, *, pid: int, tid: int, create: bool, context: ThreadContext) -> None:
        """A thread was created, or ends in its own context."""
        self._execution.refuse_when_dead()
        self._system.objects.thread(pid, tid)
        for callback in self._system.callbacks.of("thread"):
            # Non-system registration: the new thread itself runs the callback (ThreadEx, Remarks).
            own = callback.extended and create
            where = context._replace(pid=pid, tid=tid) if own else context
            self._call("thread", callback, (pid, tid, int(create)), where)
        self._execution.run_deferred()
        if not create:
            self._change(self._system.objects.exit_thread, pid, tid)

    def image_notify(
        self,
        *,
        name: str | None,
        pid: int,
        base: int,
        size: int,
        system_mode: bool,
        context: ThreadContext,
    ) -> None:
        """An image was mapped; ``pid`` 0 for a driver."""
        self._execution.refuse_when_dead()
        if pid and name is not None:
            self._learn_executable(pid, name, base)
        if pid:
            self._system.user_images.add(pid, base, size)
        callbacks = self._system.callbacks.of("image")
        for callback in callbacks:
            full_name, info = self._data.image(name, base, size, system_mode=system_mode)
            self._call("image", callback, (full_name, pid, info), context)
        self._execution.run_deferred()

    def load_driver(self, *, path: str, data: bytes, context: ThreadContext) -> int:
        """Map the image, report it, call its DriverEntry; the NTSTATUS. A failure unmaps it again.

        :raises DriverFileError: the file is no driver for this target.
        """
        self._execution.refuse_when_dead()
        system = self._system
        if path.replace("/", "\\").rsplit("\\", 1)[-1].lower() in system.drivers:
            return STATUS_IMAGE_ALREADY_LOADED
        driver = self._loader.load(path, data)
        module = driver.module
        self._tell_symbols(module, context, unload=False)
        self.image_notify(
            name=path, pid=0, base=module.base, size=module.size, system_mode=True, context=context
        )
        registry_path = system.heap.unicode_string(_SERVICES + module.name.rsplit(".", 1)[0])
        arguments = (driver.driver_object, registry_path)
        status = self._execution.enter(module.entry_point, arguments, context, 0) & 0xFFFF_FFFF
        self._execution.run_deferred()
        if failed(status):
            self._take_away(driver, context)
        else:
            self._loader.discard(driver)
        return status

    def unload_driver(self, *, name: str, context: ThreadContext) -> int:
        """Call DriverUnload and unmap; STATUS_INVALID_DEVICE_REQUEST without an unload routine,
        STATUS_OBJECT_NAME_NOT_FOUND for a driver that is not loaded."""
        self._execution.refuse_when_dead()
        system = self._system
        driver = system.drivers.get(name.lower()) or system.drivers.get(f"{name.lower()}.sys")
        if driver is None:
            return STATUS_OBJECT_NAME_NOT_FOUND
        routine = system.memory.u64(driver.driver_object + DRIVER_UNLOAD)
        if routine == 0:
            return STATUS_INVALID_DEVICE_REQUEST
        self._execution.enter(routine, (driver.driver_object,), context, 0)
        self._execution.run_deferred()
        if system.verifier:
            self._demand_freed_pool(driver)
        self._take_away(driver, context)
        return STATUS_SUCCESS

    def debug_print(self, text: str, context: ThreadContext) -> None:
        """OutputDebugString of a user-mode thread: DbgPrints of at most 511 characters each."""
        self._execution.refuse_when_dead()
        if not self._system.print_filter.passes(DEFAULT_COMPONENT, INFO_LEVEL):
            return
        ansi = text.encode("cp1252", "replace")
        for start in range(0, len(ansi), _PRINT_CHUNK):
            self._system.port.print_string(ansi[start : start + _PRINT_CHUNK], context.cpu)

    # What the KD stub sees (KernelView).

    @property
    def memory(self) -> Memory:
        """All of virtual memory that is mapped."""
        return self._system.memory

    @property
    def modules(self) -> Sequence[ImageModule]:
        """Loaded kernel images in load order, ntoskrnl.exe first."""
        return [self._kernel_module, *(driver.module for driver in self._system.drivers.values())]

    def symbol(self, name: str) -> int:
        """Address of an export or of reserved data; KeyError if there is none."""
        return self._system.symbol(name)

    def registers(self) -> dict[str, int]:
        """The current processor's registers."""
        return self._system.cpu.registers.all()

    def set_registers(self, values: Mapping[str, int]) -> None:
        """Change some of them; takes effect when the target goes on."""
        self._system.cpu.registers.update(values)

    def processor_block(self, cpu: int) -> int:
        """Address of that processor's KPCR."""
        return self._system.processor_blocks.addresses[cpu]

    def stack(self, cpu: int) -> tuple[int, int]:
        """That processor's kernel stack: its lowest address and the address behind it."""
        return self._system.cpu.stack(cpu)

    def write_bugcheck_data(self, code: int, parameters: tuple[int, int, int, int]) -> None:
        """KiBugCheckData, for a bugcheck that the debugger caused."""
        self._execution.write_bugcheck_data(code, parameters)

    def break_in(self) -> None:
        """Run nt!DbgBreakPointWithStatus(1): now, or when the export that is being called returns."""
        if self._system.cpu.running:
            self._system.cpu.request_break_in()
            return
        routine = self._system.symbol("DbgBreakPointWithStatus")
        self._execution.enter(routine, (1,), self._system.context, self._system.cpu.irql)

    # Inside.

    def _call(
        self, group: str, callback: Callback, arguments: tuple[int, ...], context: ThreadContext
    ) -> None:
        system = self._system
        system.in_callback = True
        with system.callbacks.active(group, callback.routine):
            self._execution.enter(callback.routine, arguments, context, context.irql)
        system.in_callback = False

    def _take_away(self, driver: LoadedDriver, context: ThreadContext) -> None:
        self._tell_symbols(driver.module, context, unload=True)
        self._change(self._loader.unload, driver)

    def _demand_freed_pool(self, driver: LoadedDriver) -> None:
        left = self._system.pool.leftovers(driver.module.name)
        if left:
            name = self._system.heap.unicode_string(driver.module.name)
            violation = BugcheckRaised(
                _DRIVER_VERIFIER_DETECTED_VIOLATION, _POOL_NOT_FREED, name, 0, len(left)
            )
            self._execution.report_bugcheck(violation, driver.module.name)

    def _learn_executable(self, pid: int, path: str, base: int) -> None:
        """The first image a process maps is its executable."""
        objects = self._system.objects
        process = objects.process(pid)
        if not process.image_base:
            objects.set_image_base(process, base)
        if not process.name:
            process.image_path = process.image_path or path
            objects.set_name(process, path.rsplit("\\", 1)[-1])

    def _change(self, change: Callable[..., None], *arguments: Any) -> None:
        """The kernel's own work on lists that a driver can have broken."""
        try:
            change(*arguments)
        except BugcheckRaised as raised:
            self._execution.report_bugcheck(raised, self._execution.last_driver)

    def _tell_symbols(self, module: ImageModule, context: ThreadContext, *, unload: bool) -> None:
        self._system.shared_data.refresh()
        self._system.port.load_symbols(module, unload=unload, cpu=context.cpu)

    def _fill_exported_data(self) -> None:
        system = self._system
        for name, (size, value) in DATA.items():
            system.memory.write(system.symbol(name), value.to_bytes(size, "little"))
        system.memory.put_u8(system.symbol("KeNumberProcessors"), self.processors)
        self._show_system_process()
        for name in _TYPE_OBJECTS:
            type_object = system.heap.allocate(0xD8)
            system.other_objects.add(type_object)
            system.memory.put_u64(system.symbol(name), type_object)

    def _show_system_process(self) -> None:
        system = self._system
        address = system.objects.process(SYSTEM_CONTEXT.pid).address
        system.memory.put_u64(system.symbol("PsInitialSystemProcess"), address)
