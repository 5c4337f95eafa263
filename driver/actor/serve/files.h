/* The one file that is on its way at a time, in pieces and from its beginning on. Functions return 0 or a Win32
 * error. */
#pragma once

#include <windows.h>

/* A file that is put has another name until it is whole. */
DWORD BeginPut(PCWSTR Path, DWORD Size);
DWORD PutPiece(DWORD Offset, const BYTE *Bytes, DWORD Count);
DWORD StoreFile(VOID);      /* replaces a program that runs, too */

/* *Size is known for a file that is longer than Limit, too: ERROR_FILE_TOO_LARGE. */
DWORD BeginGet(PCWSTR Path, DWORD Limit, PLARGE_INTEGER Size);
DWORD GetPiece(DWORD Offset, PBYTE Bytes, DWORD Capacity, PDWORD Count);

/* What is half put is deleted. */
VOID DropFile(VOID);
