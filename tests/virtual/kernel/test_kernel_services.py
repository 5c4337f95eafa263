"""The exports, called by compiled code: what a driver sees of the kernel."""

from __future__ import annotations

from booted import SYSTEM, USER

from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.kernel import Kernel


def lines(booted) -> list[str]:
    return b"".join(booted.debugger.prints).decode("cp1252").splitlines()


def test_driver_entry_sees_its_names(booted, misbehave) -> None:
    assert booted.load(misbehave) == 0
    registry = r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\misbehave"
    assert lines(booted) == [rf"\Driver\misbehave {registry} misbehave"]


def test_format_language_in_compiled_code(booted, misbehave) -> None:
    booted.load(misbehave)
    booted.debugger.prints.clear()
    booted.create(1)
    assert lines(booted) == [
        "-1 4000000000 beef 0XBEEF 00042|42   |   42 10",
        "-5 123456789abc 7 -2 0000000000001234 %",
        "abc|     right|left  |cu|c|(null)",
        "café ?|big|café ?|ansi|w|   9|xy",
    ]


def test_services(booted, misbehave) -> None:
    booted.load(misbehave)
    booted.debugger.prints.clear()
    booted.create(2)
    assert lines(booted) == [
        "lookup 0 4",
        "missing c000000d",
        "irql 2 was 0",
        "upcase 0 MIXEDCASE equal=1",
        "routine 1 0",
        "cpu 1 of 2, thread 1004",
        # Below DISPATCH_LEVEL a DPC runs before KeInsertQueueDpc returns, so that it can be queued again.
        "dpc 0000000000000001 0000000000000002 0000000000000003 irql=2",
        "dpc 0000000000000001 0000000000000000 0000000000000000 irql=2",
        "queued 1 1",
    ]


def test_registration_limits_and_statuses(booted, misbehave) -> None:
    booted.load(misbehave)
    booted.debugger.prints.clear()
    booted.create(3)
    assert lines(booted) == [
        "twice c000000d",
        "threads 64 then c000009a",
        "removed, again c000007a",
        "extended c0000022",
    ]


def test_a_break_point_stops_in_the_debugger_and_goes_on(booted, misbehave) -> None:
    booted.load(misbehave)
    booted.create(21)
    ((code, address),) = booted.debugger.exceptions
    module = booted.kernel.modules[1]
    assert code == 0x80000003
    assert module.base < address < module.base + module.size
    assert booted.kernel.memory.read(address, 1) == b"\xcc"
    assert lines(booted)[-1] == "went on"


def test_break_in_between_callbacks(booted) -> None:
    plain, statuses, before = booted.debugger.exception, [], booted.kernel.registers()

    def stopped(*given, **named):
        statuses.append(booted.kernel.registers()["rcx"])
        return plain(*given, **named)

    booted.debugger.exception = stopped
    booted.kernel.break_in()
    assert booted.debugger.exceptions == [(0x80000003, booted.kernel.symbol("DbgBreakPointWithStatus"))]
    assert statuses == [1]
    assert booted.kernel.registers() == before


def test_break_in_during_a_print_waits_for_the_export_to_return(booted, misbehave) -> None:
    booted.load(misbehave)
    plain = booted.debugger.print_string

    def print_and_break(text: bytes, cpu: int) -> None:
        plain(text, cpu)
        booted.kernel.break_in()

    booted.debugger.print_string = print_and_break
    booted.create(50)
    assert booted.debugger.exceptions == [(0x80000003, booted.kernel.symbol("DbgBreakPointWithStatus"))]
    assert lines(booted)[-1] == "pid 50"


def test_a_driver_that_prints_without_end_can_be_broken_into(booted, misbehave) -> None:
    booted.load(misbehave)
    plain, booted.debugger.poll = booted.debugger.poll, booted.kernel.break_in
    booted.create(50)
    booted.debugger.poll = plain
    assert booted.debugger.exceptions[0] == (0x80000003, booted.kernel.symbol("DbgBreakPointWithStatus"))
    assert lines(booted)[-1] == "pid 50"


def test_single_step_from_a_break_point(booted, misbehave) -> None:
    booted.load(misbehave)
    seen = []

    def exception(code: int, address: int, **_: object) -> bool:
        seen.append((code, address))
        if len(seen) == 1:
            flags = booted.kernel.registers()["eflags"]
            booted.kernel.set_registers({"rip": address + 1, "eflags": flags | 0x100})
        return True

    booted.debugger.exception = exception
    booted.create(21)
    (first, at), (second, after) = seen
    assert (first, second) == (0x80000003, 0x80000004)
    assert 1 < after - at < 17, "one instruction further"
    assert lines(booted)[-1] == "went on"


def test_a_debuggers_break_point_takes_effect_in_code_that_has_run(booted, misbehave) -> None:
    booted.load(misbehave)
    booted.create(50)
    target = booted.kernel.symbol("DbgPrint")
    original = booted.kernel.memory.read(target, 1)
    assert booted.kernel.memory.write(target, b"\xcc")

    def exception(code: int, address: int, **_: object) -> bool:
        booted.debugger.exceptions.append((code, address))
        return booted.kernel.memory.write(target, original)

    booted.debugger.exception = exception
    booted.create(51)
    assert booted.debugger.exceptions == [(0x80000003, target)]
    assert lines(booted)[-1] == "pid 51"


def test_windows_own_filter_hides_a_plain_dbgprint(booted, misbehave, procnotify) -> None:
    kernel = Kernel(booted.debugger, booted.clock)
    for name, data in (("misbehave.sys", misbehave), ("procnotify.sys", procnotify)):
        kernel.load_driver(path=rf"\SystemRoot\{name}", data=data, context=SYSTEM)
    assert len(lines(booted)) == 3, "only procnotify's three lines, which are errors of IHVDRIVER"


def test_load_and_unload_are_told_to_the_debugger(booted, misbehave) -> None:
    booted.load(misbehave)
    assert [module.name for module in booted.kernel.modules] == ["ntoskrnl.exe", "misbehave.sys"]
    assert booted.load(misbehave) == 0xC000010E
    assert booted.kernel.unload_driver(name="misbehave", context=SYSTEM) == 0
    assert booted.kernel.unload_driver(name="misbehave", context=SYSTEM) == 0xC0000034
    assert booted.debugger.symbols == [("misbehave.sys", False), ("misbehave.sys", True)]
    assert [module.name for module in booted.kernel.modules] == ["ntoskrnl.exe"]


def test_our_driver_reports_each_kind_of_event(booted, procnotify) -> None:
    booted.load(procnotify, "procnotify.sys")
    kernel, own = booted.kernel, ThreadContext(2000, 2004, 1)
    kernel.process_notify(parent_pid=1000, pid=2000, create=True, context=USER)
    kernel.thread_notify(pid=2000, tid=2004, create=True, context=USER)
    path = r"\Device\HarddiskVolume3\Windows\notepad.exe"
    kernel.image_notify(
        name=path, pid=2000, base=0x7FF700000000, size=0x38000, system_mode=False, context=own
    )
    kernel.image_notify(name=None, pid=2000, base=0x1000, size=0x2000, system_mode=False, context=own)
    booted.clock.advance(5)
    kernel.thread_notify(pid=2000, tid=2004, create=False, context=own)
    kernel.process_notify(parent_pid=1000, pid=2000, create=False, context=own)
    assert lines(booted)[3:] == [
        "[procnotify] OnProcessNotify PPID(1000) created PID(2000) {seq=4 t=10000000 cpu=1 by=1000.1004}",
        "[procnotify] OnThreadNotify TID(2004) was created in PID(2000) by PID(1000)"
        " {seq=5 t=10000000 cpu=1 by=1000.1004}",
        f"[procnotify] OnImageNotify PID(2000) loaded a/an {path} at 0x00007FF700000000"
        " {seq=6 t=10000000 cpu=1 by=2000.2004 size=0x38000}",
        "[procnotify] OnImageNotify PID(2000) loaded a/an (null) at 0x0000000000001000"
        " {seq=7 t=10000000 cpu=1 by=2000.2004 size=0x2000}",
        "[procnotify] OnThreadNotify TID(2004) in PID(2000) was terminated"
        " {seq=8 t=10000005 cpu=1 by=2000.2004}",
        "[procnotify] OnProcessNotify PID(2000) was terminated {seq=9 t=10000005 cpu=1 by=2000.2004}",
    ]


def test_output_debug_string_is_split_at_511_bytes(booted) -> None:
    booted.kernel.debug_print("x" * 1000 + "\n", USER)
    assert [len(text) for text in booted.debugger.prints] == [511, 490]
