r"""Reader-writer spin locks, and what a driver does with them wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import DriverHang

DRIVER = r"""
#include <ntifs.h>
static EX_SPIN_LOCK Lock;
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    KIRQL old = 99, second;
    (void)driver, (void)path, (void)second;
    %s
    return STATUS_SUCCESS;
}
"""
RIGHT = r"""
    old = ExAcquireSpinLockExclusive(&Lock), DbgPrint("%x at %u", Lock, KeGetCurrentIrql());
    ExReleaseSpinLockExclusive(&Lock, old), DbgPrint(" %x at %u\n", Lock, KeGetCurrentIrql());
    old = ExAcquireSpinLockShared(&Lock), second = ExAcquireSpinLockShared(&Lock);
    DbgPrint("%x %u", Lock, ExTryConvertSharedSpinLockExclusive(&Lock));
    ExReleaseSpinLockShared(&Lock, second), DbgPrint(" %u", ExTryConvertSharedSpinLockExclusive(&Lock));
    DbgPrint(" %x at %u", Lock, KeGetCurrentIrql());
    ExReleaseSpinLockExclusiveFromDpcLevel(&Lock), ExAcquireSpinLockSharedAtDpcLevel(&Lock);
    ExReleaseSpinLockSharedFromDpcLevel(&Lock), ExAcquireSpinLockExclusiveAtDpcLevel(&Lock);
    ExReleaseSpinLockExclusive(&Lock, old), DbgPrint(" %x at %u\n", Lock, KeGetCurrentIrql());
"""
TWICE = "old = ExAcquireSpinLockExclusive(&Lock); second = ExAcquireSpinLockExclusive(&Lock);"
READER_WRITES = "old = ExAcquireSpinLockShared(&Lock); second = ExAcquireSpinLockExclusive(&Lock);"


def test_one_writer_or_several_readers_have_it(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER % RIGHT, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("ascii").splitlines() == [
        "80000000 at 2 0 at 0",
        "2 0 1 80000000 at 2 0 at 0",
    ]


@pytest.mark.parametrize("body", [TWICE, READER_WRITES])
def test_who_has_it_and_wants_it_alone_spins_for_ever(body: str, booted: Booted, tmp_path: Path) -> None:
    with pytest.raises(DriverHang, match=r"reader-writer spin lock .* which it took itself at made.sys"):
        booted.load(make_driver(DRIVER % body, tmp_path), "made.sys")
