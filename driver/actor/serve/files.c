#include "files.h"

#include "../arguments.h"

#ifndef ERROR_FILE_TOO_LARGE
#define ERROR_FILE_TOO_LARGE 223L
#endif

typedef enum TRANSFER_STATE { TRANSFER_NONE, TRANSFER_PUT, TRANSFER_GET } TRANSFER_STATE;

static struct {
    TRANSFER_STATE State;
    HANDLE File;
    DWORD Size;
    DWORD Offset;                       /* of the next piece */
    WCHAR Path[ARGUMENT_CAPACITY];
    WCHAR Temporary[ARGUMENT_CAPACITY]; /* always the same for a path, so that none is left for long */
    WCHAR Aside[ARGUMENT_CAPACITY];     /* likewise */
} Transfer;

static BOOL Name(PWSTR Path, PCWSTR Suffix)
{
    if (lstrlenW(Transfer.Path) + lstrlenW(Suffix) >= ARGUMENT_CAPACITY)
        return FALSE;
    lstrcpyW(Path, Transfer.Path);
    lstrcatW(Path, Suffix);
    return TRUE;
}

VOID DropFile(VOID)
{
    if (Transfer.State == TRANSFER_NONE)
        return;
    CloseHandle(Transfer.File);
    if (Transfer.State == TRANSFER_PUT)
        DeleteFileW(Transfer.Temporary);
    Transfer.State = TRANSFER_NONE;
}

DWORD BeginPut(PCWSTR Path, DWORD Size)
{
    DropFile();
    lstrcpynW(Transfer.Path, Path, ARGUMENT_CAPACITY);
    if (!Name(Transfer.Temporary, L".part") || !Name(Transfer.Aside, L".old"))
        return ERROR_FILENAME_EXCED_RANGE;
    Transfer.File = CreateFileW(
        Transfer.Temporary, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (Transfer.File == INVALID_HANDLE_VALUE)
        return GetLastError();
    Transfer.Size = Size;
    Transfer.Offset = 0;
    Transfer.State = TRANSFER_PUT;
    return ERROR_SUCCESS;
}

/* A file that could not be written is given up: the next piece would have no place. */
static DWORD Fail(DWORD Status)
{
    DropFile();
    return Status;
}

DWORD PutPiece(DWORD Offset, const BYTE *Bytes, DWORD Count)
{
    DWORD Written;

    if (Transfer.State != TRANSFER_PUT || Offset != Transfer.Offset || Count > Transfer.Size - Offset)
        return ERROR_INVALID_DATA;
    if (!WriteFile(Transfer.File, Bytes, Count, &Written, NULL))
        return Fail(GetLastError());
    if (Written != Count)
        return Fail(ERROR_DISK_FULL);
    Transfer.Offset += Count;
    return ERROR_SUCCESS;
}

/* A program that runs, as this one does, cannot be replaced, but it can be renamed. */
static DWORD Replace(VOID)
{
    if (MoveFileExW(Transfer.Temporary, Transfer.Path, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        return ERROR_SUCCESS;

    const DWORD Status = GetLastError();
    const DWORD Attributes = GetFileAttributesW(Transfer.Path);
    if (Attributes == INVALID_FILE_ATTRIBUTES ||
        Attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_READONLY) ||
        !MoveFileExW(Transfer.Path, Transfer.Aside, MOVEFILE_REPLACE_EXISTING))
        return Status;
    if (!MoveFileExW(Transfer.Temporary, Transfer.Path, MOVEFILE_WRITE_THROUGH)) {
        MoveFileExW(Transfer.Aside, Transfer.Path, 0);
        return Status;
    }
    /* Not while it runs; then it stays until it is in the way. */
    DeleteFileW(Transfer.Aside);
    return ERROR_SUCCESS;
}

DWORD StoreFile(VOID)
{
    if (Transfer.State != TRANSFER_PUT || Transfer.Offset != Transfer.Size)
        return ERROR_INVALID_DATA;
    if (!FlushFileBuffers(Transfer.File))
        return Fail(GetLastError());
    CloseHandle(Transfer.File);
    Transfer.State = TRANSFER_NONE;

    const DWORD Status = Replace();
    if (Status != ERROR_SUCCESS)
        DeleteFileW(Transfer.Temporary);
    return Status;
}

DWORD BeginGet(PCWSTR Path, DWORD Limit, PLARGE_INTEGER Size)
{
    DropFile();
    Size->QuadPart = 0;
    Transfer.File = CreateFileW(Path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
        NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (Transfer.File == INVALID_HANDLE_VALUE)
        return GetLastError();
    Transfer.State = TRANSFER_GET;
    if (!GetFileSizeEx(Transfer.File, Size))
        return Fail(GetLastError());
    if (Size->HighPart != 0 || Size->LowPart > Limit)
        return Fail(ERROR_FILE_TOO_LARGE);
    Transfer.Size = Size->LowPart;
    Transfer.Offset = 0;
    if (Transfer.Size == 0)
        DropFile();
    return ERROR_SUCCESS;
}

DWORD GetPiece(DWORD Offset, PBYTE Bytes, DWORD Capacity, PDWORD Count)
{
    *Count = 0;
    if (Transfer.State != TRANSFER_GET || Offset != Transfer.Offset)
        return ERROR_INVALID_DATA;
    if (!ReadFile(Transfer.File, Bytes, min(Capacity, Transfer.Size - Offset), Count, NULL))
        return Fail(GetLastError());
    /* Shorter than it was. */
    if (*Count == 0)
        return Fail(ERROR_HANDLE_EOF);
    Transfer.Offset += *Count;
    if (Transfer.Offset == Transfer.Size)
        DropFile();
    return ERROR_SUCCESS;
}
