r"""Generic tables of both kinds, with a compiled driver's routines."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

SOURCE = r"""
#include <ntifs.h>
#if AVL
#define T(name) Rtl##name##GenericTableAvl
#define TABLE RTL_AVL_TABLE
#define NUMBER RtlNumberGenericTableElementsAvl
#define EMPTY RtlIsGenericTableEmptyAvl
#define WALK RtlEnumerateGenericTableWithoutSplayingAvl
#else
#define T(name) Rtl##name##GenericTable
#define TABLE RTL_GENERIC_TABLE
#define NUMBER RtlNumberGenericTableElements
#define EMPTY RtlIsGenericTableEmpty
#define WALK RtlEnumerateGenericTableWithoutSplaying
#endif
typedef struct { ULONG Key, Value; } ITEM;
static TABLE Table;
static ULONG Compared, Made, Freed, Refuse;
static RTL_GENERIC_COMPARE_RESULTS NTAPI Compare(TABLE *table, PVOID one, PVOID two)
{
    const ULONG a = ((ITEM *)one)->Key, b = ((ITEM *)two)->Key;
    Compared += table == &Table && table->TableContext == &Made;
    return a == b ? GenericEqual : a < b ? GenericLessThan : GenericGreaterThan;
}
static PVOID NTAPI Make(TABLE *table, CLONG size)
{
    (void)table;
    return Refuse ? NULL : (Made++, ExAllocatePoolWithTag(NonPagedPool, size, 'bT'));
}
static VOID NTAPI Free(TABLE *table, PVOID block)
{
    (void)table, Freed++;
    ExFreePool(block);
}
static ULONG Insert(ULONG key, ULONG value, PBOOLEAN isNew)
{
    ITEM item = {key, value};
    const ITEM *kept = T(InsertElement)(&Table, &item, sizeof item, isNew);
    return kept ? kept->Value : 0;
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    ITEM *item;
    (void)driver;
    while ((item = T(GetElement)(&Table, 0)) != NULL)
        T(DeleteElement)(&Table, item);
    DbgPrint("made %u freed %u\n", Made, Freed);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static const ULONG keys[] = {50, 20, 80, 10, 30, 70, 90};
    BOOLEAN isNew = 7;
    ITEM wanted = {30, 0}, *item;
    PVOID restart = NULL;
    KIRQL old;
    ULONG at;
    (void)path;
    driver->DriverUnload = Unload;
    T(Initialize)(&Table, Compare, Make, Free, &Made);
    DbgPrint("%d %u\n", EMPTY(&Table), NUMBER(&Table));
    for (at = 0; at < RTL_NUMBER_OF(keys); at++)
        Insert(keys[at], at, &isNew);
    DbgPrint("%d %d", isNew, EMPTY(&Table)), DbgPrint(" %u", Insert(20, 99, &isNew)), DbgPrint(" %d", isNew);
    Refuse = 1, DbgPrint(" %u", Insert(21, 99, &isNew)), DbgPrint(" %d", isNew), Refuse = 0;
    DbgPrint(" %u %d\n", NUMBER(&Table), Compared > 6);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    item = T(LookupElement)(&Table, &wanted);
    KeLowerIrql(old);
    DbgPrint("%u", item->Value), wanted.Key = 31;
    DbgPrint(" %d %d", T(LookupElement)(&Table, &wanted) == NULL, T(DeleteElement)(&Table, &wanted));
    DbgPrint(" first %u", ((ITEM *)T(GetElement)(&Table, 0))->Key);
    DbgPrint(" %d\n", T(GetElement)(&Table, 7) == NULL);
    for (item = T(Enumerate)(&Table, TRUE); item; item = T(Enumerate)(&Table, FALSE)) {
        DbgPrint("%u ", item->Key);
        if (item->Key == 70)
            T(DeleteElement)(&Table, item);
    }
    while ((item = WALK(&Table, &restart)) != NULL)
        DbgPrint("%u ", item->Key);
    DbgPrint("\n");
    return STATUS_SUCCESS;
}
"""


@pytest.mark.parametrize(("avl", "first"), [(0, 50), (1, 10)], ids=["splayed", "balanced"])
def test_a_driver_s_table(avl: int, first: int, tmp_path: Path) -> None:
    booted = Booted(verifier=True)
    driver = make_driver(f"#define AVL {avl}\n{SOURCE}", tmp_path)
    assert booted.load(driver, "made.sys") == 0
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0
    assert b"".join(booted.debugger.prints).decode().splitlines() == [
        "1 0",
        "1 0 1 0 0 0 7 1",
        f"4 1 0 first {first} 1",
        "10 20 30 50 70 80 90 10 20 30 50 80 90 ",
        "made 7 freed 7",
    ]
