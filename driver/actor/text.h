/* Text without a C runtime: a line that is built piece by piece, and numbers that are read. */
#pragma once

#include <windows.h>

/* A line under construction. What does not fit is left out; no line of the helper comes near the capacity. */
typedef struct TEXT_LINE {
    CHAR Bytes[512];
    DWORD Length;
} TEXT_LINE;

VOID PutText(TEXT_LINE *Line, PCSTR Text);
VOID PutNumber(TEXT_LINE *Line, DWORD Number);
VOID PutHex(TEXT_LINE *Line, ULONG_PTR Number);
VOID PutByteInHex(TEXT_LINE *Line, BYTE Byte);

/* Both end the line with a line feed. */
VOID SayToDebugger(TEXT_LINE *Line);
BOOL WriteTo(DWORD StandardHandle, TEXT_LINE *Line);

/* The part of a line that is there so far, which is empty then. */
BOOL WritePieceTo(DWORD StandardHandle, TEXT_LINE *Line);

/* The number in decimal, with its NUL. */
#define DIGITS_CAPACITY 11
VOID WriteNumber(PWSTR Text, DWORD Number);

/* A decimal number that fills the whole text; FALSE otherwise. */
BOOL ReadNumber(PCWSTR Text, PDWORD Number);
