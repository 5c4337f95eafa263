/*
 * The driver's lines. DPFLTR_ERROR_LEVEL of any component passes the default filter of every Windows version,
 * so nothing has to be set up on the target (DbgPrint itself is filtered out since Windows Vista).
 */
#pragma once

#include "stamp.h"

#define PRINT(Format, ...) \
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "[procnotify] " Format "\n", __VA_ARGS__)

/* A whole line: its text and the stamp's tail. */
#define PRINT_LINE(Stamp, Format, ...) \
    PRINT(Format STAMP_FORMAT "}", __VA_ARGS__, STAMP_ARGUMENTS(Stamp))

VOID PrintImageLine(
    const STAMP *Stamp, PCSTR Function, ULONG ProcessId, PCUNICODE_STRING Name, PVOID Base, SIZE_T Size);
