"""The KD stub with a kernel and a model behind it, seen by the project's own host session in memory."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise

import pytest
from kd_debugger import Dialog, MemoryDebugger, go, read, read_u64

from harness.errors import DriverBugcheck
from harness.kd.contexts import Amd64Context, Amd64ControlReport, Amd64SpecialRegisters
from harness.kd.manipulate import (
    CauseBugCheck,
    Continue2,
    GetContext,
    GetVersion64,
    Manipulate,
    ReadControlSpace,
    ReadPhysicalMemory,
    ReadVirtualMemory,
    RebootRequest,
    RestoreBreakPoint,
    SwitchProcessor,
    WriteBreakPoint,
    WriteVirtualMemory,
)
from harness.kd.manipulate_rare import GetContextEx, QueryMemory, SearchMemory
from harness.kd.statechange import Exception64, LoadSymbols, StateChange
from harness.kd.status import (
    DBG_EXCEPTION_NOT_HANDLED,
    DBG_STATUS_BUGCHECK_FIRST,
    DBG_STATUS_CONTROL_C,
    STATUS_ACCESS_VIOLATION,
    STATUS_BREAKPOINT,
    STATUS_NOT_FOUND,
    STATUS_SINGLE_STEP,
    STATUS_UNSUCCESSFUL,
)
from harness.virtual.clock import SECOND
from harness.virtual.cpu.registers import SYSTEM_REGISTERS
from harness.virtual.kernel.structures.shareddata import KI_USER_SHARED_DATA
from harness.virtual.served import ServedTarget
from harness.virtual.stub.link import MAX_TRIES
from harness.virtual.stub.stub import RebootedByDebugger, TargetCrashed
from harness.virtual.windows.symbols18362 import (
    BUILD_LAB,
    EPROCESS,
    ETHREAD,
    KDDEBUGGER_DATA64,
    KUSER_SHARED_DATA,
)

pytestmark = pytest.mark.usefixtures("any_link")

Script = Callable[[StateChange], Dialog]


def once(script: Script) -> Script:
    """Hold that dialog at the first stop, let all others go."""
    stops = iter((script,))
    return lambda state: next(stops, go)(state)


def test_a_break_in_stops_the_idle_target_as_windows_does() -> None:
    seen: list[Amd64Context] = []

    def script(state: StateChange) -> Dialog:
        reply = yield GetContext()
        seen.append(Amd64Context.decode(reply.data))
        yield from go(state)

    debugger = MemoryDebugger(once(script))
    debugger.attached()
    (stop,) = debugger.stops
    assert isinstance(stop, Exception64)
    assert (stop.exception_code, stop.first_chance, stop.parameters) == (STATUS_BREAKPOINT, 1, (0,))
    report = Amd64ControlReport.decode(stop.control_report)
    assert report.instruction_stream[:2] == b"\xcc\xc3"  # int3; ret: nt!DbgBreakPointWithStatus
    assert (report.seg_cs, report.instruction_count) == (0x10, 16)
    assert seen[0].rip == stop.program_counter == stop.exception_address
    assert seen[0].rcx == DBG_STATUS_CONTROL_C


def test_what_dbgeng_asks_at_attach_is_answered() -> None:
    block: dict[str, int] = {}
    lab: list[bytes] = []

    def script(state: StateChange) -> Dialog:
        version = yield GetVersion64()
        assert isinstance(version, GetVersion64)
        assert (version.minor_version, version.machine_type, version.flags) == (18362, 0x8664, 7)
        assert (version.major_version, version.protocol_version) == (15, 6)
        address = yield from read_u64(version.debugger_data_list)
        header = yield from read(address, 0x18)
        assert header[0x10:0x14] == b"KDBG"
        size = struct.unpack_from("<I", header, 0x14)[0]
        assert size >= 0x350 + 0x18
        data = yield from read(address, size)
        block.update({field: KDDEBUGGER_DATA64.read(data, field) for field in KDDEBUGGER_DATA64.fields})
        assert block["KernBase"] == version.kernel_base
        assert block["BreakpointWithStatus"] == state.program_counter
        assert block["PsLoadedModuleList"] == version.ps_loaded_module_list
        lab.append((yield from read(block["NtBuildLab"], 0x80)))
        headers = yield from read(version.kernel_base, 0x400)
        assert headers[:2] == b"MZ"
        special_reply = yield ReadControlSpace(address=2, count=0xE0)
        special = Amd64SpecialRegisters.decode(special_reply.data)
        assert special.cr3 == SYSTEM_REGISTERS["cr3"]
        descriptor = yield from read_u64(special.gdtr_base + 0x10)
        assert descriptor == 0x00209B0000000000
        kprcb = int.from_bytes((yield ReadControlSpace(address=1, count=8)).data, "little")
        assert (yield from read_u64(block["KiProcessorBlock"])) == kprcb
        for handle in range(1, 33):
            assert (yield RestoreBreakPoint(handle=handle)).status == STATUS_UNSUCCESSFUL
        part = yield GetContextEx(offset=0, count=0x4D0)
        assert isinstance(part, GetContextEx)
        rest = yield GetContextEx(offset=part.copied, count=0x4D0 - part.copied)
        assert len(part.data + rest.data) == 0x4D0
        assert (yield Manipulate(api=0x31FF)).status == STATUS_UNSUCCESSFUL
        yield from go(state)

    MemoryDebugger(once(script)).attached()
    assert lab[0].startswith(BUILD_LAB.encode() + b"\0")
    assert len(lab[0]) == 0x80


def test_process_and_thread_lists_are_the_models() -> None:
    found: dict[int, tuple[str, set[int]]] = {}

    def script(state: StateChange) -> Dialog:
        version = yield GetVersion64()
        block = yield from read_u64(version.debugger_data_list)
        head = yield from read_u64(block + KDDEBUGGER_DATA64.offset("PsActiveProcessHead"))
        link = yield from read_u64(head)
        while link != head:
            image = yield from read(link - EPROCESS.offset("ActiveProcessLinks"), EPROCESS.size)
            threads: set[int] = set()
            thread_head = link + EPROCESS.offset("ThreadListHead") - EPROCESS.offset("ActiveProcessLinks")
            node = yield from read_u64(thread_head)
            while node != thread_head:
                thread = yield from read(node - ETHREAD.offset("ThreadListEntry"), ETHREAD.size)
                pid, tid = ETHREAD.read(thread, "Cid")
                assert pid == EPROCESS.read(image, "UniqueProcessId")
                threads.add(tid)
                node = ETHREAD.read(thread, "ThreadListEntry")[0]
            assert len(threads) == EPROCESS.read(image, "ActiveThreads")
            name = EPROCESS.read(image, "ImageFileName").rstrip(b"\0").decode()
            found[EPROCESS.read(image, "UniqueProcessId")] = (name, threads)
            link = EPROCESS.read(image, "ActiveProcessLinks")[0]
        yield from go(state)

    debugger = MemoryDebugger(once(script))
    target = debugger.attached()
    model = target._target.system.processes
    assert {pid: threads for pid, (_, threads) in found.items()} == {
        pid: {thread.tid for thread in process.live_threads()} for pid, process in model.items()
    }
    assert found[4][0] == "System"
    assert all(name == model[pid].name[:14] for pid, (name, _) in found.items())


def test_physical_memory_agrees_with_the_page_tables() -> None:
    def entry(table: int, index: int) -> Dialog:
        reply = yield ReadPhysicalMemory(address=table + 8 * index, count=8)
        return int.from_bytes(reply.data, "little")

    def script(state: StateChange) -> Dialog:
        address = state.program_counter
        table = SYSTEM_REGISTERS["cr3"]
        for shift in (39, 30, 21, 12):
            found = yield from entry(table, address >> shift & 0x1FF)
            assert found & 1
            table = found & 0x000FFFFFFFFFF000
        assert not found & 2  # code is not writable
        assert not found >> 63
        reply = yield ReadPhysicalMemory(address=table + (address & 0xFFF), count=16)
        assert reply.data == (yield from read(address, 16))
        assert (
            len((yield ReadPhysicalMemory(address=SYSTEM_REGISTERS["cr3"] + 0xE00, count=0x200)).data)
            == 0x200
        )
        yield from go(state)

    MemoryDebugger(once(script)).attached()


def test_memory_requests_keep_windows_rules() -> None:
    def script(state: StateChange) -> Dialog:
        version = yield GetVersion64()
        base = version.kernel_base
        long = yield ReadVirtualMemory(address=base, count=0x548)
        assert isinstance(long, ReadVirtualMemory)
        assert (long.actual, len(long.data)) == (0x448, 0x448)
        hole = yield ReadVirtualMemory(address=0xFFFFAAAA00000000, count=8)
        assert isinstance(hole, ReadVirtualMemory)
        assert (hole.status, hole.actual, hole.data) == (STATUS_UNSUCCESSFUL, 0, b"")
        data = version.ps_loaded_module_list + 0x20
        assert (yield WriteVirtualMemory(address=data, count=4, data=b"abcd")).succeeded
        assert (yield from read(data, 4)) == b"abcd"
        found = yield SearchMemory(address=data & ~0xFFF, length=0x1000, pattern_length=4, data=b"abcd")
        assert isinstance(found, SearchMemory)
        assert found.address == data
        none = yield SearchMemory(address=base, length=0x10000, pattern_length=8, data=b"\1nowhere")
        assert none.status == STATUS_NOT_FOUND
        kind = yield QueryMemory(address=state.program_counter)
        assert isinstance(kind, QueryMemory)
        assert (kind.address_space, kind.flags) == (2, 7)
        assert not (yield QueryMemory(address=0xFFFFAAAA00000000)).succeeded
        yield from go(state)

    MemoryDebugger(once(script)).attached()


def test_the_debuggers_clock_moves_with_every_stop_and_the_models_does_not() -> None:
    shown: list[int] = []

    def script(state: StateChange) -> Dialog:
        shown.append((yield from read_u64(KI_USER_SHARED_DATA + KUSER_SHARED_DATA.offset("InterruptTime"))))
        yield from go(state)

    debugger = MemoryDebugger(script)
    target = debugger.attached()
    before = target.status().time
    for _ in range(2):
        debugger.break_in()
        target.idle()
    assert len(shown) == 3
    assert [b - a for a, b in pairwise(shown)] == [156_250, 156_250]
    assert target.status().time == before
    memory = target._kernel.memory
    at = KI_USER_SHARED_DATA + KUSER_SHARED_DATA.offset("InterruptTime")
    assert int.from_bytes(memory.read(at, 8), "little") == before


def test_processors_can_be_switched() -> None:
    def script(state: StateChange) -> Dialog:
        if len(debugger.stops) < 3:
            reply = yield GetContext(processor=state.processor)
            assert Amd64Context.decode(reply.data).rip == state.program_counter
            yield SwitchProcessor(processor=1 - state.processor)
        yield from go(state)

    debugger = MemoryDebugger(script)
    debugger.attached()
    assert [stop.processor for stop in debugger.stops] == [0, 1, 0]
    assert {stop.number_processors for stop in debugger.stops} == {2}
    assert debugger.stops[0].program_counter != debugger.stops[1].program_counter


def test_a_single_step_stops_behind_the_instruction() -> None:
    def script(state: StateChange) -> Dialog:
        yield from go(state, trace=len(debugger.stops) == 1)

    debugger = MemoryDebugger(script)
    debugger.attached()
    assert [stop.exception_code for stop in debugger.stops if isinstance(stop, Exception64)] == [
        STATUS_BREAKPOINT,
        STATUS_SINGLE_STEP,
    ]
    assert debugger.stops[1].program_counter != debugger.stops[0].program_counter + 1


def test_a_driver_comes_and_goes_with_its_symbols_and_lines(procnotify: bytes) -> None:
    debugger = MemoryDebugger()
    target = debugger.attached()
    path = target.put("procnotify.sys", procnotify)
    assert target.load_driver("procnotify", path) == 0
    assert target.unload_driver("procnotify") == 0
    loads = [stop for stop in debugger.stops if isinstance(stop, LoadSymbols)]
    assert [(stop.path.rpartition("\\")[2], stop.unload) for stop in loads] == [
        ("procnotify.sys", 0),
        ("procnotify.sys", 1),
    ]
    assert debugger.prints[0].startswith(b"[procnotify] DriverEntry PsSetCreateProcessNotifyRoutine success")
    assert b"totals" in debugger.prints[-1]


def test_a_breakpoint_is_hit_reported_and_gone(procnotify: bytes) -> None:
    hits: list[int] = []
    wanted: list[int] = []

    def script(state: StateChange) -> Dialog:
        if isinstance(state, LoadSymbols) and not state.unload:
            entry = next(module.entry_point for module in target._kernel.modules if module.base == state.base)
            reply = yield WriteBreakPoint(address=entry)
            assert isinstance(reply, WriteBreakPoint)
            assert reply.handle == 1
            assert (yield from read(entry, 1)) == b"\xcc"
            wanted.append(entry)
        elif isinstance(state, Exception64) and wanted:
            hits.append(state.program_counter)
            assert (yield RestoreBreakPoint(handle=1)).status == STATUS_UNSUCCESSFUL
            assert (yield from read(wanted[0], 1)) != b"\xcc"
        yield from go(state)

    debugger = MemoryDebugger(script)
    target = debugger.attached()
    assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
    assert hits == wanted


def test_crash_prints_the_banner_breaks_and_announces_the_reboot() -> None:
    seen: list[tuple[int, ...]] = []

    def script(state: StateChange) -> Dialog:
        if len(debugger.stops) == 1:
            yield CauseBugCheck(bug_check_code=0xDEADDEAD)
        if isinstance(state, Exception64):
            context = Amd64Context.decode((yield GetContext()).data)
            version = yield GetVersion64()
            block = yield from read_u64(version.debugger_data_list)
            address = yield from read_u64(block + KDDEBUGGER_DATA64.offset("KiBugcheckData"))
            seen.append((context.rcx, *struct.unpack("<5Q", (yield from read(address, 40)))))
        yield from go(state)

    debugger = MemoryDebugger(script)
    target = debugger.boot()
    with pytest.raises(TargetCrashed):
        for _ in range(20):
            target.idle()
    assert seen == [(DBG_STATUS_BUGCHECK_FIRST, 0xDEADDEAD, 0, 0, 0, 0)]
    assert debugger.prints[0] == b"KDTARGET: Refreshing KD connection\n"
    assert debugger.prints[1].startswith(b"\n*** Fatal System Error: 0xdeaddead\n")
    last = debugger.stops[-1]
    assert isinstance(last, LoadSymbols)
    assert last.is_reboot


def test_reboot_ends_the_boot_and_a_new_one_is_answered() -> None:
    def script(state: StateChange) -> Dialog:
        if len(debugger.stops) == 1:
            yield GetVersion64()  # or the next boot's first packet over KDCOM would be a copy of the last one
            yield RebootRequest()
        yield from go(state)

    debugger = MemoryDebugger(script)
    target = debugger.boot()
    with pytest.raises(RebootedByDebugger):
        for _ in range(20):
            target.idle()
    debugger.attached(nonce=bytes(range(100, 132)))
    assert len(debugger.stops) == 2


def test_without_a_debugger_prints_go_nowhere_and_cost_nothing(procnotify: bytes) -> None:
    debugger = MemoryDebugger()
    debugger.deaf = True
    target = debugger.boot()
    assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
    assert debugger.prints == []
    assert not target.debugger_present
    assert debugger.time < 1.0


def test_a_debugger_that_is_gone_is_given_up_after_its_tries() -> None:
    debugger = MemoryDebugger()
    target = debugger.attached()
    debugger.deaf = True
    began = debugger.time
    target.stub.print_string(b"lost\n", 0)
    assert not target.debugger_present
    assert MAX_TRIES * 0.5 - 1 <= debugger.time - began <= MAX_TRIES * 0.5 + 1
    waited = debugger.time
    target.stub.print_string(b"not even tried\n", 0)
    assert debugger.time == waited


def test_a_file_that_the_debugger_maps_replaces_the_driver(procnotify: bytes) -> None:
    debugger = MemoryDebugger()
    target = debugger.attached()
    path = target.put("procnotify.sys", b"not a driver at all")
    debugger.files[path] = procnotify
    assert target.load_driver("procnotify", path) == 0
    assert debugger.prints


def test_the_same_seed_gives_the_same_lines_however_often_the_debugger_breaks_in(procnotify: bytes) -> None:
    def lines(interrupted: bool) -> list[bytes]:
        debugger = MemoryDebugger()
        target = debugger.attached(seed=3)
        target.load_driver("procnotify", target.put("procnotify.sys", procnotify))
        for step in range(2):
            if interrupted:
                debugger.break_in()
            target.act(["sleep", "20"], step)
        target.unload_driver("procnotify")
        return debugger.prints

    undisturbed = lines(False)
    assert lines(True) == undisturbed
    assert len(undisturbed) > 10


def pass_on(state: StateChange) -> Dialog:
    """``gn`` for what is no break instruction, ``g`` for the rest."""
    if isinstance(state, Exception64) and state.exception_code != STATUS_BREAKPOINT:
        yield Continue2(continue_status=DBG_EXCEPTION_NOT_HANDLED)
    else:
        yield from go(state)


def load_faulty(debugger: MemoryDebugger, driver: bytes) -> ServedTarget:
    target = debugger.attached()
    assert target.load_driver("faulty", target.put("faulty.sys", driver)) == 0
    return target


def live(target: ServedTarget) -> None:
    """Long enough for an image without a name."""
    target.act(["launch", "notepad.exe"], 1)
    for _ in range(20):
        target.settle(SECOND, 5 * SECOND)


def exceptions_of(debugger: MemoryDebugger) -> list[Exception64]:
    return [
        stop
        for stop in debugger.stops
        if isinstance(stop, Exception64) and stop.exception_code != STATUS_BREAKPOINT
    ]


def test_a_fault_that_the_debugger_passes_on_comes_twice_and_is_then_a_bugcheck(null_reader: bytes) -> None:
    debugger = MemoryDebugger(pass_on)
    target = load_faulty(debugger, null_reader)
    with pytest.raises(DriverBugcheck) as caught:
        live(target)
    first, second = exceptions_of(debugger)
    assert (first.exception_code, first.parameters) == (STATUS_ACCESS_VIOLATION, (0, 0))
    assert (first.first_chance, second.first_chance) == (1, 0)
    assert first.exception_address == second.exception_address == first.program_counter
    assert (caught.value.code, caught.value.module) == (0x3B, "faulty.sys")
    assert any(b"Fatal System Error: 0x0000003b" in line for line in debugger.prints)


def test_a_fault_that_the_debugger_calls_handled_comes_again_and_again(null_reader: bytes) -> None:
    debugger = MemoryDebugger()

    def handle_some(state: StateChange) -> Dialog:
        return go(state) if len(exceptions_of(debugger)) <= 50 else pass_on(state)

    debugger.on_stop = handle_some
    target = load_faulty(debugger, null_reader)
    with pytest.raises(DriverBugcheck):
        live(target)
    chances = [stop.first_chance for stop in exceptions_of(debugger)]
    assert chances == [1] * 51 + [0]


def test_a_fault_without_a_debugger_is_a_bugcheck(null_reader: bytes) -> None:
    debugger = MemoryDebugger()
    debugger.deaf = True
    target = debugger.boot()
    assert target.load_driver("faulty", target.put("faulty.sys", null_reader)) == 0
    with pytest.raises(DriverBugcheck) as caught:
        live(target)
    assert caught.value.code == 0x3B
    assert debugger.stops == []
