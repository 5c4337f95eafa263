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
} Transfer;

static const WCHAR SUFFIX[] = L".part";

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
    if (lstrlenW(Path) + ARRAYSIZE(SUFFIX) > ARGUMENT_CAPACITY)
        return ERROR_FILENAME_EXCED_RANGE;
    lstrcpyW(Transfer.Path, Path);
    lstrcpyW(Transfer.Temporary, Path);
    lstrcatW(Transfer.Temporary, SUFFIX);
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

DWORD StoreFile(VOID)
{
    if (Transfer.State != TRANSFER_PUT || Transfer.Offset != Transfer.Size)
        return ERROR_INVALID_DATA;
    if (!FlushFileBuffers(Transfer.File))
        return Fail(GetLastError());
    CloseHandle(Transfer.File);
    Transfer.State = TRANSFER_NONE;
    if (MoveFileExW(Transfer.Temporary, Transfer.Path, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        return ERROR_SUCCESS;

    const DWORD Status = GetLastError();
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
