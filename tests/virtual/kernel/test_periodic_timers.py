"""Timers with a period, as KeSetTimerEx sets them."""

from __future__ import annotations

import pytest
from booted import SYSTEM, Booted

from harness.toolchain import Arch, build_driver
from harness.virtual.clock import MILLISECOND

SOURCE = """\
#include <ntddk.h>
static KTIMER Timer;
static KDPC Dpc;
static VOID NTAPI OnTimer(PKDPC Self, PVOID Context, PVOID First, PVOID Second)
{
    (void)Self; (void)Context; (void)First; (void)Second;
    DbgPrint("tick\\n");
}
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    (void)Driver;
    DbgPrint("cancelled %u\\n", KeCancelTimer(&Timer));
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    LARGE_INTEGER Due = {.QuadPart = -20000};
    (void)Path;
    Driver->DriverUnload = Unload;
    KeInitializeTimerEx(&Timer, NotificationTimer);
    KeInitializeDpc(&Dpc, OnTimer, NULL);
    %s;
    return STATUS_SUCCESS;
}
"""


SETS = ("KeSetTimerEx(&Timer, Due, 5, &Dpc)", "KeSetCoalescableTimer(&Timer, Due, 5, 2, &Dpc)")


@pytest.fixture(scope="module", params=SETS)
def periodic(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> bytes:
    """Ticks after 2 ms and then every 5 ms."""
    folder = tmp_path_factory.mktemp("periodic")
    (folder / "periodic.c").write_text(SOURCE.replace("%s", request.param), encoding="utf-8")
    build_driver(folder, Arch.X64, folder / "periodic.sys")
    return (folder / "periodic.sys").read_bytes()


def ticks_after(booted: Booted, milliseconds: int, pid: int) -> int:
    """Ticks while so much time goes by; something must happen for a timer to be looked at."""
    before = len(booted.debugger.prints)
    booted.clock.advance(milliseconds * MILLISECOND)
    booted.create(pid)
    return len(booted.debugger.prints) - before


def test_a_periodic_timer_fires_again_and_again_a_period_later(booted: Booted, periodic: bytes) -> None:
    booted.load(periodic, "periodic.sys")
    assert ticks_after(booted, 1, 60) == 0
    assert ticks_after(booted, 1, 64) == 1
    for number in range(3):
        assert ticks_after(booted, 4, 68 + 8 * number) == 0, "not before the period is over"
        assert ticks_after(booted, 1, 72 + 8 * number) == 1


def test_a_cancelled_periodic_timer_is_silent(booted: Booted, periodic: bytes) -> None:
    booted.load(periodic, "periodic.sys")
    assert ticks_after(booted, 2, 60) == 1
    booted.kernel.unload_driver(name="periodic.sys", context=SYSTEM)
    assert booted.debugger.prints[-1] == b"cancelled 1\n"
    assert ticks_after(booted, 50, 64) == 0
