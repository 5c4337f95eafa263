"""The exports besides the callbacks, called by compiled code."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, USER, Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck
from harness.toolchain import Arch, build_driver
from harness.virtual.clock import MILLISECOND
from harness.virtual.kernel.exports import DATA, EXPORTS
from harness.virtual.kernel.exports.registry import KERNEL

ENTRY = [
    "mutex irql=1 try=0",
    "event 0 102 set=0 state=1 irql=0",
    "recursive 0 0 -1 0",
    "lookaside 1",
    "depth 2 top=1 next=1 empty=1",
    "head=1 then=1 none=1",
    "ansi 0 \\Device\\café 12",
    "wide 0 equal=1",
    "append 0 c0000023 0x1F 0 31",
    "integer 0 FF compare=-22",
    "snprintf -1 abcdefgh 5 abc-7",
    "qpc 10000000 at 10000000",
    "date 2021-01-01 00:00:01.000 day 5",
    "was set 0 1",
    "device 0 listed=1 extension=1 again c0000035 link 0 again c0000035",
    "work 1 0000000000000005 in 4 irql=0",
]


@pytest.fixture(scope="module")
def exercise(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("exercise") / "exercise.sys"
    build_driver(Path(__file__).resolve().parents[1] / "exercise", Arch.X64, out)
    return out.read_bytes()


def lines(booted: Booted) -> list[str]:
    return b"".join(booted.debugger.prints).decode("cp1252").splitlines()


def test_what_driver_entry_prints(booted: Booted, exercise: bytes) -> None:
    assert booted.load(exercise, "exercise.sys") == 0
    assert lines(booted) == ENTRY


def test_a_timer_fires_when_the_clock_has_passed_it(booted: Booted, exercise: bytes) -> None:
    booted.load(exercise, "exercise.sys")
    booted.clock.advance(4 * MILLISECOND)
    booted.create(60)
    assert lines(booted) == ENTRY
    booted.clock.advance(2 * MILLISECOND)
    booted.create(64)
    booted.create(68)
    assert lines(booted)[len(ENTRY) :] == ["timer 0000000000000009 irql=2"]


def test_unload_gives_everything_back(booted: Booted, exercise: bytes) -> None:
    booted.load(exercise, "exercise.sys")
    assert booted.kernel.unload_driver(name="exercise.sys", context=SYSTEM) == 0
    assert lines(booted)[-1] == "timer cancelled 1 link 0 again c0000034 devices 0"


def test_discardable_sections_are_gone_after_driver_entry(booted: Booted, exercise: bytes) -> None:
    booted.load(exercise, "exercise.sys")
    module = booted.kernel.modules[1]
    mapped = sum(
        size
        for base, size in booted.kernel.memory.ranges()
        if module.base <= base < module.base + module.size
    )
    assert mapped < module.size


def test_a_timer_left_behind_runs_in_unloaded_code(tmp_path: Path) -> None:
    source = tmp_path / "leaves.c"
    source.write_text(
        "#include <ntddk.h>\nstatic KTIMER T; static KDPC D;\n"
        "static VOID NTAPI On(PKDPC a, PVOID b, PVOID c, PVOID d) { (void)a; (void)b; (void)c; (void)d; }\n"
        "static VOID NTAPI Un(PDRIVER_OBJECT a) { (void)a; }\n"
        "NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT a, PUNICODE_STRING b)\n"
        "{ LARGE_INTEGER t = {.QuadPart = -5000}; (void)b; a->DriverUnload = Un; KeInitializeTimer(&T);\n"
        "  KeInitializeDpc(&D, On, 0); KeSetTimer(&T, t, &D); return 0; }\n",
        encoding="utf-8",
    )
    build_driver(source, Arch.X64, tmp_path / "leaves.sys")
    booted = Booted()
    booted.load((tmp_path / "leaves.sys").read_bytes(), "leaves.sys")
    booted.kernel.unload_driver(name="leaves.sys", context=SYSTEM)
    booted.clock.advance(MILLISECOND)
    with pytest.raises(DriverBugcheck) as caught:
        booted.kernel.thread_notify(pid=60, tid=64, create=True, context=USER)
    assert (caught.value.code, caught.value.module) == (0xCE, "leaves.sys")


FINDS = r"""
#include <ntddk.h>
static VOID Find(PCWSTR Name)
{
    UNICODE_STRING Text;
    RtlInitUnicodeString(&Text, Name);
    DbgPrint("%ws %p\n", Name, MmGetSystemRoutineAddress(&Text));
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Path);
    %s
    return STATUS_UNSUCCESSFUL;
}
"""


def test_every_name_of_the_kernel_that_is_served_is_found_at_run_time(booted: Booted, tmp_path: Path) -> None:
    names = [name for name, routine in EXPORTS.items() if routine.module == KERNEL] + [*DATA]
    of_others = [name for name, routine in EXPORTS.items() if routine.module != KERNEL]
    missing = ["NtNoSuchRoutine", "dbgprint", "PsActiveProcessHead", *of_others]
    assert len(names) > 600 and of_others
    calls = "\n    ".join(f'Find(L"{name}");' for name in [*names, *missing])
    booted.load(make_driver(FINDS.replace("    %s\n", f"    {calls}\n"), tmp_path))
    found = dict(line.split() for line in lines(booted))
    for name in names:
        assert int(found[name], 16) == booted.symbol(name), name
    assert {found[name] for name in missing} == {f"{0:016X}"}
