"""The virtual target's kernel: the driver, called in an emulator as Windows would call it.

The NT model reports what happens through :class:`~harness.virtual.interfaces.NotifyRoutines`; every
registered callback runs in the right thread's context; prints, image loads, exceptions and bugchecks go
out through :class:`~harness.virtual.interfaces.DebugPort`; the KD stub looks in through
:class:`~harness.virtual.interfaces.KernelView`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from random import Random
from typing import Any, Final, TypeVar

from harness.standingrules import BrokenRule
from harness.virtual.callbackcalls import CallLog
from harness.virtual.clock import MICROSECOND, Clock
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.cpu.kernel_image import build_kernel_image
from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.traps import BugcheckRaised, TrapError
from harness.virtual.dispatcher.dispatcher import Dispatcher
from harness.virtual.dispatcher.program import Program, ThreadWait, begin
from harness.virtual.interfaces import MAX_PROCESSORS, DebugPort, ImageModule, NewThread, ThreadContext
from harness.virtual.kernel.callfailures import CallFailures
from harness.virtual.kernel.exceptions.handlers import ExceptionHandlers
from harness.virtual.kernel.executor import Executor
from harness.virtual.kernel.exporteddata import fill_exported_data
from harness.virtual.kernel.exports import DATA, EXPORTS, UNEXPORTED, ServiceTable
from harness.virtual.kernel.faults import Faults
from harness.virtual.kernel.heap import HEAP_BASE
from harness.virtual.kernel.iomanager import IoManager
from harness.virtual.kernel.leftovers import demand_nothing_left, report_leftovers
from harness.virtual.kernel.loader import DRIVER_UNLOAD, DRIVERS_BASE, LoadedDriver, Loader, check_driver_file
from harness.virtual.kernel.notifications import Notifications
from harness.virtual.kernel.pool import POOL_BASE
from harness.virtual.kernel.printfilter import PrintFilter
from harness.virtual.kernel.stopping import Stopping
from harness.virtual.kernel.system import System
from harness.virtual.kernel.systemthreads import LoneThreads, ThreadModel, run_alone
from harness.virtual.kernel.userprints import print_from_user_mode
from harness.virtual.windows.status import (
    STATUS_IMAGE_ALREADY_LOADED,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
    failed,
)

__all__ = ["Kernel", "check_driver_file"]

_KERNEL_PATH = "\\SystemRoot\\system32\\ntoskrnl.exe"
_SOON: Final = 100 * MICROSECOND
"""What a kernel alone lets happen after each call."""
_T = TypeVar("_T")


class Kernel:
    """One booted kernel; constructing it takes a few milliseconds.

    What enters driver code ends at once, or hands back a program for the rest of itself where the code waits.
    A kernel alone, to which nobody attached a dispatcher, lets time pass until it has ended.

    :param port: the debugger.
    :param clock: the target's time.
    :param processors: 1 to :data:`MAX_PROCESSORS`.
    :param print_filter: which debug prints pass; by default errors, as in Windows.
    :param verifier: Driver Verifier is on: pool faults are reported as such (0xD5, 0xD6); pool that a driver
        leaves is a bugcheck (0xC4, 0x62), and so is a timer, DPC (0xC7) or work item (0xE4) in freed memory.
    :param call_failures: records drivers' calls that may fail, and lets one fail.
    :param hardware: what to boot on, a kernel that ran on it before being dead then; None: on new hardware.
    """

    def __init__(
        self,
        port: DebugPort,
        clock: Clock,
        *,
        processors: int = 2,
        print_filter: PrintFilter | None = None,
        verifier: bool = False,
        hardware: Hardware | None = None,
        call_failures: CallFailures | None = None,
    ) -> None:
        if not 1 <= processors <= MAX_PROCESSORS:
            raise ValueError(f"1 to {MAX_PROCESSORS} processors, not {processors}")
        sizes = tuple((name, size) for name, (size, _) in DATA.items())
        image = build_kernel_image(tuple(EXPORTS), sizes, UNEXPORTED)
        self.processors = processors
        self.kernel_base = image.base
        self._attached = False
        dispatcher = Dispatcher(clock, Random(0), processors=processors)
        self._system = System(
            image,
            port,
            clock,
            dispatcher,
            processors=processors,
            print_filter=print_filter or PrintFilter(),
            verifier=verifier,
            hardware=hardware or Hardware(),
        )
        self._system.call_failures = call_failures
        self._system.cpu.connect(ServiceTable(self._system).serve)
        self._faults = Faults(self._system)
        self._executor = Executor(self._system, self._faults)
        self._system.enter = self._enter = self._executor.enter
        self._system.exceptions = ExceptionHandlers(self._system, self._executor.call_nested)
        self._system.hang = lambda reason, who: self._faults.hang(reason, who.place, routine=who.routine)
        self._system.place = self._faults.place
        self._system.kernel_code = self._kernel_code
        self.stopping = Stopping(self._system, self.break_in)
        self._loader = Loader(self._system)
        self._notifications = Notifications(self._system, self._change)
        self.io = IoManager(self._system, self._run, self._faults.hang_in_routine)
        """The drivers' devices, for the processes that open them."""
        self._use(dispatcher, LoneThreads(dispatcher, self.delete_thread_object))
        self._kernel_module = ImageModule(
            name="ntoskrnl.exe",
            path=_KERNEL_PATH,
            base=image.base,
            size=image.size,
            entry_point=image.entry_point,
            checksum=image.checksum,
        )
        self._system.modules.add(self._kernel_module, timestamp=image.timestamp)
        fill_exported_data(self._system)

    def attach(self, dispatcher: Dispatcher, threads: ThreadModel) -> None:
        """Run on ``dispatcher`` from now on, with the System process's threads from ``threads``."""
        self._attached = True
        if dispatcher.policy.preempts:
            self._system.preemptive = True
            self._system.shared_memory.watch((DRIVERS_BASE, POOL_BASE, HEAP_BASE))
        self._use(dispatcher, threads)

    # What the NT model does and reports (NotifyRoutines).

    def create_process_object(
        self, pid: int, parent_pid: int, name: str, image: str | None, session: int = 0, wow64: bool = False
    ) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        system = self._system
        self._change(system.objects.create_process, pid, parent_pid, name, image, session)
        if image is not None:
            system.user_blocks.add_process(system.objects.process(pid), wow64=wow64)

    def create_thread_objects(self, *, pid: int, threads: Sequence[NewThread]) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        objects = self._system.objects
        self._change(objects.create_threads, pid, threads)
        for new in threads:
            self._system.user_blocks.add_thread(objects.thread(pid, new.tid))

    def create_thread_object(self, *, pid: int, tid: int, processor: int) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        self._change(self._system.objects.create_thread, pid, tid, processor)
        self._system.user_blocks.add_thread(self._system.objects.thread(pid, tid))

    def delete_thread_object(self, tid: int) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        thread = self._system.objects.find_thread(tid)
        self._change(self._system.objects.delete_thread, tid)
        if thread is not None:
            self._system.apcs.forget(thread.address)
            self._system.waits.signalled(thread.address)

    def delete_process_object(self, pid: int) -> None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        process = self._system.objects.find_process(pid)
        self._change(self._system.objects.delete_process, pid)
        if process is not None:
            self._system.waits.signalled(process.address)

    def open_process(self, *, pid: int, access: int, context: ThreadContext) -> int | Program[int]:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        process = self._system.objects.process(pid)
        return self._run(self._system.handle_opening.open(process, access, context, kernel=False))

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
        """A process was created, or is about to be gone; of a creation the NTSTATUS that Ex callbacks left.

        :param image: NT path of its executable, for Ex callbacks; None: not known (FileOpenNameAvailable
            FALSE).
        :param command_line: None is passed on as NULL.
        :param exit_status: of a process that ends, for PsGetProcessExitStatus.
        """
        if not create:
            self._system.objects.process(pid).exit_status = exit_status
        return self._run(self._notifications.process(parent_pid, pid, create, context, image, command_line))

    def thread_notify(
        self, *, pid: int, tid: int, create: bool, context: ThreadContext
    ) -> Program[None] | None:
        """A thread was created, or ends in its own context."""
        return self._run(self._notifications.thread(pid, tid, create, context))

    @property
    def wants_thread_starts(self) -> bool:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        return any(callback.extended for callback in self._system.callbacks.of("thread"))

    def thread_start_notify(self, *, pid: int, tid: int, context: ThreadContext) -> Program[None] | None:
        """See :class:`~harness.virtual.interfaces.NotifyRoutines`."""
        return self._run(self._notifications.thread_start(pid, tid, context))

    def image_notify(
        self,
        *,
        name: str | None,
        pid: int,
        base: int,
        size: int,
        system_mode: bool,
        context: ThreadContext,
    ) -> Program[None] | None:
        """An image was mapped; ``pid`` 0 for a driver."""
        return self._run(self._notifications.image(name, pid, base, size, system_mode, context))

    def load_driver(self, *, path: str, data: bytes, context: ThreadContext) -> int | Program[int]:
        """Map the image, report it, call its DriverEntry; the NTSTATUS. A failure unmaps it again.

        :raises DriverFileError: the file is no driver for this target.
        """
        return self._run(self._load_driver(path, data, context))

    def unload_driver(self, *, name: str, context: ThreadContext) -> int | Program[int]:
        """See NotifyRoutines; STATUS_OBJECT_NAME_NOT_FOUND for a driver that is not loaded."""
        return self._run(self._unload_driver(name, context))

    def debug_print(self, text: str, context: ThreadContext) -> None:
        """The guest helper's DbgPrintEx (user mode's is in ntdll): prints of at most 511 characters each."""
        self._faults.refuse_when_dead()
        print_from_user_mode(self._system, text, context)

    @property
    def calls(self) -> CallLog:
        """What it remembers of the callbacks that it called."""
        return self._system.calls

    @property
    def context(self) -> ThreadContext:
        """The thread in which driver code runs, or ran last."""
        return self._system.context

    # What the KD stub sees (KernelView).

    @property
    def memory(self) -> Memory:
        """All of virtual memory that is mapped."""
        return self._system.memory

    @property
    def modules(self) -> Sequence[ImageModule]:
        """Loaded kernel images in load order, ntoskrnl.exe first."""
        return [self._kernel_module, *(driver.module for driver in self._system.drivers.values())]

    @property
    def caller(self) -> int:
        """Return address of the export that is being served."""
        return self._system.caller()

    @property
    def broken_rules(self) -> Sequence[BrokenRule]:
        """The standing rules that drivers have broken by now."""
        return self._system.broken_rules.all()

    def symbol(self, name: str) -> int:
        """Address of an export or of reserved data; KeyError if there is none."""
        return self._system.symbol(name)

    def registers(self) -> dict[str, int]:
        """The current processor's registers."""
        return self._system.cpu.all_registers()

    def set_registers(self, values: Mapping[str, int]) -> None:
        """Change some of them; takes effect when the target goes on."""
        self._system.cpu.registers.update(values)

    def debug_registers(self, cpu: int) -> dict[str, int]:
        """That processor's DR0 to DR3, DR6 and DR7."""
        return self._system.cpu.breakpoints.of(cpu).all()

    def set_debug_registers(self, cpu: int, values: Mapping[str, int]) -> None:
        """Change some of them; what they enable stops the driver from now on."""
        breakpoints = self._system.cpu.breakpoints
        breakpoints.of(cpu).update(values)
        breakpoints.arm()

    def processor_block(self, cpu: int) -> int:
        """Address of that processor's KPCR."""
        return self._system.processor_blocks.addresses[cpu]

    def stack(self, cpu: int) -> tuple[int, int]:
        """That processor's kernel stack: its lowest address and the address behind it."""
        if cpu == self._system.context.cpu:
            return self._system.stack
        return self._system.cpu.stacks.own[cpu]

    def write_bugcheck_data(self, code: int, parameters: tuple[int, int, int, int]) -> None:
        """KiBugCheckData, for a bugcheck that the debugger caused."""
        self._faults.write_bugcheck_data(code, parameters)

    def break_in(self) -> None:
        """Run nt!DbgBreakPointWithStatus(1): now, or when the export that is being called returns."""
        if self._system.cpu.running:
            self._system.cpu.request_break_in()
            return
        self._executor.break_in(self._system.symbol("DbgBreakPointWithStatus"))

    # Inside.

    def _use(self, dispatcher: Dispatcher, threads: ThreadModel) -> None:
        self._system.dispatcher, self._system.threads = dispatcher, threads
        dispatcher.when_stuck = self._system.waits.report_stuck
        self._system.work.hire(threads.system_workers())

    def _run(self, program: Program[_T]) -> _T | Program[_T]:
        self._faults.refuse_when_dead()
        rest = begin(program)
        if self._attached:
            return rest
        if isinstance(rest, Generator):
            rest = run_alone(self._system.dispatcher, self._system.context, rest)
        dispatcher = self._system.dispatcher
        while (due := dispatcher.next_time()) is not None and due <= self._system.clock.now + _SOON:
            dispatcher.step()
        return rest

    def _kernel_code(self, program: Program[None]) -> Program[None]:
        try:
            yield from program
        except TrapError as reason:
            self._faults.kernel_trap(reason)

    def _load_driver(self, path: str, data: bytes, context: ThreadContext) -> Program[int]:
        system = self._system
        if path.replace("/", "\\").rsplit("\\", 1)[-1].lower() in system.drivers:
            return STATUS_IMAGE_ALREADY_LOADED
        driver = self._loader.load(path, data)
        module = driver.module
        self._tell_symbols(module, context, unload=False)
        yield from self._notifications.image(path, 0, module.base, module.size, True, context)
        service_key = system.configuration.add_service(module.name, path, minifilter=driver.minifilter)
        registry_path = system.heap.unicode_string(service_key)
        arguments = (driver.driver_object, registry_path)
        result = yield from self._enter(module.entry_point, arguments, context, 0, what="DriverEntry")
        status = result & 0xFFFF_FFFF
        if failed(status):
            yield from self._take_away(driver, context, failed=True)
        else:
            self._loader.discard(driver)
            self.io.devices_ready(driver.driver_object)
        return status

    def _unload_driver(self, name: str, context: ThreadContext) -> Program[int]:
        system = self._system
        driver = system.drivers.get(name.lower()) or system.drivers.get(f"{name.lower()}.sys")
        if driver is None:
            return STATUS_OBJECT_NAME_NOT_FOUND
        routine = system.memory.u64(driver.driver_object + DRIVER_UNLOAD)
        if routine == 0:
            return STATUS_INVALID_DEVICE_REQUEST
        if busy := (yield from self.io.await_closed(driver.driver_object)):
            return busy
        yield from self._enter(routine, (driver.driver_object,), context, 0, what="DriverUnload")
        if system.verifier:
            self._change(demand_nothing_left, system, driver)
        yield from self._take_away(driver, context, failed=False)
        return STATUS_SUCCESS

    def _take_away(self, driver: LoadedDriver, context: ThreadContext, *, failed: bool) -> Program[None]:
        """Unmap the image, once the I/O work items have ended that keep its driver object alive."""
        work = self._system.work
        while work.busy(driver.driver_object):
            yield ThreadWait(work.next_end())
        report_leftovers(self._system, driver, failed=failed)
        self._tell_symbols(driver.module, context, unload=True)
        self._change(self._loader.unload, driver)

    def _change(self, change: Callable[..., None], *arguments: Any) -> None:
        """The kernel's own work on what a driver can have broken."""
        try:
            change(*arguments)
        except BugcheckRaised as raised:
            self._faults.report_bugcheck(raised, self._faults.last_driver)

    def _tell_symbols(self, module: ImageModule, context: ThreadContext, *, unload: bool) -> None:
        self._system.shared_data.refresh()
        self._system.port.load_symbols(module, unload=unload, cpu=context.cpu)
