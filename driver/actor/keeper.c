#include "devicepipe.h"
#include "devices.h"

/* Requests that a device can be left with at a time. */
#define PENDING_CAPACITY 8
#define PAGE_BYTES 4096
/* What a driver may ask of the alignment of a buffer. */
#define BUFFER_ALIGNMENT 8

C_ASSERT(BUFFER_CAPACITY <= PAGE_BYTES);

/* Neither it nor its buffers are freed: there are a handful of them, and a driver could still write to them. */
typedef struct REQUEST {
    OVERLAPPED Overlapped;
    PBYTE Input;
    PBYTE Output;
    DWORD OutputLength;
    BOOL OutputIsAddress;
} REQUEST;

static HANDLE Device = INVALID_HANDLE_VALUE;
static REQUEST *Pending[PENDING_CAPACITY];  /* the oldest first */
static DWORD Count;
static ORDER Order;
static REPLY Reply;

static PVOID Allocate(SIZE_T Size)
{
    const PVOID Memory = VirtualAlloc(NULL, Size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);

    if (Memory == NULL)
        ExitProcess(ERROR_NOT_ENOUGH_MEMORY);
    return Memory;
}

/* A buffer ends where a page ends, and nothing can be accessed behind it. */
static PBYTE PlaceBytes(const PASSED_BUFFER *Buffer)
{
    const DWORD Room = (Buffer->Length + BUFFER_ALIGNMENT - 1) & ~(DWORD)(BUFFER_ALIGNMENT - 1);
    DWORD Old;

    if (Buffer->IsAddress)
        return (PBYTE)(ULONG_PTR)Buffer->Address;
    if (Buffer->Length == 0)
        return NULL;
    PBYTE Page = Allocate(2 * PAGE_BYTES), To = Page + PAGE_BYTES - Room;
    if (!VirtualProtect(Page + PAGE_BYTES, PAGE_BYTES, PAGE_NOACCESS, &Old))
        ExitProcess(GetLastError());
    for (DWORD i = 0; i < Buffer->Length; ++i)
        To[i] = Buffer->Bytes[i];
    return To;
}

static DWORD Wait(REQUEST *Request)
{
    DWORD Moved;

    return GetOverlappedResult(Device, &Request->Overlapped, &Moved, TRUE) ? ERROR_SUCCESS : GetLastError();
}

static VOID Finish(REQUEST *Request, DWORD Status)
{
    Reply.Status = Status;
    Reply.Returned = (DWORD)Request->Overlapped.InternalHigh;
    CloseHandle(Request->Overlapped.hEvent);
    if ((Status != ERROR_SUCCESS && Status != ERROR_MORE_DATA) || Request->OutputIsAddress)
        return;
    Reply.OutputLength = min(Reply.Returned, Request->OutputLength);
    for (DWORD i = 0; i < Reply.OutputLength; ++i)
        Reply.Output[i] = Request->Output[i];
}

static BOOL Issue(REQUEST *Request)
{
    switch (Order.Operation) {
    case OPERATION_CONTROL:
        return DeviceIoControl(Device, Order.Code, Request->Input, Order.Input.Length, Request->Output,
            Order.Output.Length, NULL, &Request->Overlapped);
    case OPERATION_READ:
        return ReadFile(Device, Request->Output, Order.Output.Length, NULL, &Request->Overlapped);
    default:
        return WriteFile(Device, Request->Input, Order.Input.Length, NULL, &Request->Overlapped);
    }
}

static VOID Send(VOID)
{
    if (Count == PENDING_CAPACITY) {
        Reply.Status = ERROR_TOO_MANY_CMDS;
        return;
    }
    REQUEST *Request = Allocate(sizeof(*Request));
    Request->Overlapped.Offset = Order.Offset;
    Request->Overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    Request->Input = PlaceBytes(&Order.Input);
    Request->Output = PlaceBytes(&Order.Output);
    Request->OutputLength = Order.Output.Length;
    Request->OutputIsAddress = Order.Output.IsAddress;
    DWORD Status = Issue(Request) ? ERROR_SUCCESS : GetLastError();
    if (Status == ERROR_IO_PENDING && Order.Pending) {
        Pending[Count++] = Request;
        Reply.Status = Status;
        return;
    }
    Finish(Request, Status == ERROR_IO_PENDING ? Wait(Request) : Status);
}

static VOID AwaitOldest(VOID)
{
    REQUEST *Request = Pending[0];

    if (Count == 0) {
        Reply.Status = ERROR_NOT_FOUND;
        return;
    }
    --Count;
    for (DWORD i = 0; i < Count; ++i)
        Pending[i] = Pending[i + 1];
    Finish(Request, Wait(Request));
}

static VOID Obey(PCWSTR Name)
{
    switch (Order.Operation) {
    case OPERATION_OPEN:
        Device = CreateFileW(Name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
            OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
        Reply.Status = Device != INVALID_HANDLE_VALUE ? ERROR_SUCCESS : GetLastError();
        break;
    case OPERATION_AWAIT:
        AwaitOldest();
        break;
    case OPERATION_CANCEL:
        if (Count == 0)
            Reply.Status = ERROR_NOT_FOUND;
        else if (!CancelIo(Device))
            Reply.Status = GetLastError();
        break;
    case OPERATION_CLOSE:
        if (!CloseHandle(Device))
            Reply.Status = GetLastError();
        Device = INVALID_HANDLE_VALUE;
        break;
    default:
        Send();
    }
}

/* One order after the other, each over a connection of its own, until no device is open any more. */
BOOL KeepDevice(ARGUMENTS *Arguments, RESULT *Result)
{
    static const REPLY Nothing;
    WCHAR Name[PIPE_NAME_CAPACITY];
    DWORD Moved;

    if (!TakeArgument(Arguments))
        return FALSE;
    WritePipeName(Name, GetCurrentProcessId());
    const HANDLE Pipe = CreateNamedPipeW(Name, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
        PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1,
        sizeof(REPLY), sizeof(ORDER), 0, NULL);
    if (Pipe == INVALID_HANDLE_VALUE) {
        Result->Status = GetLastError();
        return TRUE;
    }
    do {
        if (!ConnectNamedPipe(Pipe, NULL) && GetLastError() != ERROR_PIPE_CONNECTED)
            break;
        if (ReadFile(Pipe, &Order, sizeof(Order), &Moved, NULL) && Moved == sizeof(Order)) {
            Reply = Nothing;
            Obey(Arguments->Current);
            WriteFile(Pipe, &Reply, sizeof(Reply), &Moved, NULL);
            FlushFileBuffers(Pipe);
        }
        DisconnectNamedPipe(Pipe);
    } while (Device != INVALID_HANDLE_VALUE);
    return TRUE;
}
