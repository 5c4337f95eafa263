"""A callback may look at the image that was mapped, in the process that maps it, and nowhere else."""

from __future__ import annotations

import pytest
from booted import Booted

from harness.errors import DriverBugcheck
from harness.toolchain import Arch, build_driver
from harness.virtual.interfaces import ThreadContext

BASE, SIZE = 0x7FF6_1234_0000, 0x5000
LOOKS = r"""
#include <ntddk.h>
static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    volatile UCHAR *Image = Info->ImageBase;
    USHORT Magic;

    if (ProcessId == NULL)
        return;
    RtlCopyMemory(&Magic, Info->ImageBase, sizeof(Magic));
    DbgPrint("%wZ %x %c%c %u ex=%u sys=%u\n", Name, Magic, Image[0x80], Image[0x81],
        Image[Info->ImageSize - 1], Info->ExtendedInfoPresent, Info->SystemModeImage);
}
static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    volatile USHORT *Image = (volatile USHORT *)0x7FF612340000;

    UNREFERENCED_PARAMETER(Create);
    DbgPrint("%u %u %x\n", HandleToULong(ProcessId), HandleToULong(ThreadId), *Image);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    (void)Driver;
    (void)Path;
    PsSetCreateThreadNotifyRoutine(OnThread);
    return PsSetLoadImageNotifyRoutine(OnImage);
}
"""


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("looks")
    (folder / "looks.c").write_text(LOOKS, encoding="utf-8")
    build_driver(folder, Arch.X64, folder / "looks.sys")
    return (folder / "looks.sys").read_bytes()


def map_image(booted: Booted, pid: int, tid: int) -> None:
    booted.kernel.image_notify(
        name="a.dll", pid=pid, base=BASE, size=SIZE, system_mode=False, context=ThreadContext(pid, tid, 0)
    )


def test_the_image_can_be_read_where_it_is_mapped(booted, looks) -> None:
    assert booted.load(looks, "looks.sys") == 0
    map_image(booted, 40, 44)
    booted.kernel.thread_notify(pid=40, tid=48, create=True, context=ThreadContext(40, 44, 1))
    assert booted.debugger.prints == [b"a.dll 5a4d PE 0 ex=1 sys=0\n", b"40 48 5a4d\n"]
    assert not booted.kernel.memory.is_mapped(BASE)


def test_another_process_has_nothing_there(booted, looks) -> None:
    booted.load(looks, "looks.sys")
    map_image(booted, 40, 44)
    with pytest.raises(DriverBugcheck) as caught:
        booted.kernel.thread_notify(pid=80, tid=84, create=True, context=ThreadContext(80, 84, 1))
    assert (caught.value.code, caught.value.module) == (0x3B, "looks.sys")


def test_after_its_end_a_process_has_nothing_mapped(booted, looks) -> None:
    booted.load(looks, "looks.sys")
    map_image(booted, 40, 44)
    own = ThreadContext(40, 44, 0)
    booted.kernel.process_notify(parent_pid=4, pid=40, create=False, context=own)
    with pytest.raises(DriverBugcheck):
        booted.kernel.thread_notify(pid=40, tid=44, create=True, context=own)
