#include "line.h"

#define WRITE_MILLISECONDS 5000
/* Asked of the serial driver for either direction, which may have its own mind. */
#define QUEUE_SIZE 16384
#define XON 0x11
#define XOFF 0x13

static DWORD SetReadTimeout(LINE *Line, DWORD Milliseconds)
{
    COMMTIMEOUTS Timeouts = {.ReadTotalTimeoutConstant = Milliseconds,
        .WriteTotalTimeoutConstant = WRITE_MILLISECONDS};

    if (Line->Timeout != Milliseconds && !SetCommTimeouts(Line->Port, &Timeouts))
        return GetLastError();
    Line->Timeout = Milliseconds;
    return ERROR_SUCCESS;
}

/* 8 data bits, no parity, one stop bit; no byte has a meaning to the port, and no error stops it. */
static DWORD SetUp(LINE *Line, DWORD Baud)
{
    DCB State = {.DCBlength = sizeof(State)};

    if (!GetCommState(Line->Port, &State))
        return GetLastError();
    State.BaudRate = Baud;
    State.fBinary = TRUE;
    State.fParity = FALSE;
    State.fOutxCtsFlow = FALSE;
    State.fOutxDsrFlow = FALSE;
    State.fDtrControl = DTR_CONTROL_ENABLE;
    State.fDsrSensitivity = FALSE;
    State.fOutX = FALSE;
    State.fInX = FALSE;
    State.fErrorChar = FALSE;
    State.fNull = FALSE;
    State.fRtsControl = RTS_CONTROL_ENABLE;
    State.fAbortOnError = FALSE;
    State.ByteSize = 8;
    State.Parity = NOPARITY;
    State.StopBits = ONESTOPBIT;
    /* Not used, but SetCommState refuses them when they are the same (Microsoft, SetCommState). */
    State.XonChar = XON;
    State.XoffChar = XOFF;
    if (!SetCommState(Line->Port, &State))
        return GetLastError();
    SetupComm(Line->Port, QUEUE_SIZE, QUEUE_SIZE);
    return ERROR_SUCCESS;
}

DWORD OpenLine(LINE *Line, PCWSTR Name, DWORD Baud)
{
    static WCHAR Path[MAX_PATH];
    DWORD Status;

    /* COM10 and above are only found in the namespace of devices. */
    Path[0] = L'\0';
    if (Name[0] != L'\\')
        lstrcpyW(Path, L"\\\\.\\");
    if (lstrlenW(Path) + lstrlenW(Name) >= MAX_PATH)
        return ERROR_FILENAME_EXCED_RANGE;
    lstrcatW(Path, Name);

    Line->Timeout = MAXDWORD;
    Line->Count = 0;
    Line->Port = CreateFileW(Path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (Line->Port == INVALID_HANDLE_VALUE)
        return GetLastError();
    Status = SetUp(Line, Baud);
    if (Status != ERROR_SUCCESS)
        CloseLine(Line);
    return Status;
}

VOID CloseLine(LINE *Line)
{
    CloseHandle(Line->Port);
}

/*
 * The first byte is waited for, the others are those that came along with it. To ask for them also clears the
 * errors of the line: what was damaged or lost shows by the checksums.
 */
DWORD ReadLine(LINE *Line, PBYTE Bytes, DWORD Capacity, DWORD Milliseconds, PDWORD Count)
{
    DWORD Status = SetReadTimeout(Line, Milliseconds), Errors, More = 0;
    COMSTAT Queue;

    *Count = 0;
    if (Status != ERROR_SUCCESS)
        return Status;
    if (!ReadFile(Line->Port, Bytes, 1, Count, NULL) || !ClearCommError(Line->Port, &Errors, &Queue))
        return GetLastError();
    if (*Count == 0 || Queue.cbInQue == 0)
        return ERROR_SUCCESS;
    if (!ReadFile(Line->Port, Bytes + 1, min(Queue.cbInQue, Capacity - 1), &More, NULL))
        return GetLastError();
    *Count += More;
    return ERROR_SUCCESS;
}

VOID WriteFrame(LINE *Line, FRAME *Frame)
{
    static BYTE Wire[MAX_WIRE];
    DWORD Written;

    WriteFile(Line->Port, Wire, EncodeFrame(Frame, Wire), &Written, NULL);
}

ARRIVAL TakeByte(LINE *Line, BYTE Byte, FRAME *Frame)
{
    const DWORD Count = Line->Count;

    if (Byte != 0) {
        if (Count < MAX_STUFFED)
            Line->Stuffed[Count] = Byte;
        Line->Count = min(Count + 1, MAX_STUFFED + 1);
        return ARRIVAL_NOTHING;
    }
    Line->Count = 0;
    if (Count == 0)
        return ARRIVAL_NOTHING;
    if (Count > MAX_STUFFED || !DecodeFrame(Line->Stuffed, Count, Frame))
        return ARRIVAL_DAMAGE;
    return ARRIVAL_FRAME;
}
