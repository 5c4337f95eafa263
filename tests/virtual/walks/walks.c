/*
 * A driver that reads the kernel's own structures, soundly, and prints all it finds: the rings of processes,
 * threads and modules, the shared page and the processor's blocks. Offsets: Windows 10 1903 (build 18362), x64.
 */
#include <ntddk.h>

/* Declared in ntifs.h. */
NTKERNELAPI HANDLE NTAPI PsGetProcessId(PEPROCESS Process);

#define ACTIVE_PROCESS_LINKS 0x2F0
#define UNIQUE_PROCESS_ID 0x2E8
#define IMAGE_FILE_NAME 0x450
#define THREAD_LIST_HEAD 0x488
#define ACTIVE_THREADS 0x498
#define THREAD_LIST_ENTRY 0x6B8
#define CLIENT_ID 0x648
#define THREAD_STATE 0x184
#define DLL_BASE 0x30
#define BASE_DLL_NAME 0x58
#define SHARED_DATA ((PUCHAR)0xFFFFF78000000000ULL)
#define INTERRUPT_TIME 0x008
#define SYSTEM_TIME 0x014

#define AT(Address, Offset, Type) (*(Type volatile *)((PUCHAR)(Address) + (Offset)))

static PVOID Section;

/* First and last links of the ring that Start belongs to, how many nodes it has, and a sum over their addresses. */
static ULONG Walk(PLIST_ENTRY Start, PULONG_PTR Sum)
{
    PLIST_ENTRY Node;
    ULONG Count = 0;

    *Sum = (ULONG_PTR)Start;
    for (Node = Start->Flink; Node != Start; Node = Node->Flink) {
        if (Node->Flink->Blink != Node || Node->Blink->Flink != Node)
            DbgPrint("[walks] broken at %p\n", Node);
        *Sum += (ULONG_PTR)Node * ++Count;
    }
    return Count;
}

static VOID Look(PCSTR Why, HANDLE Id)
{
    PEPROCESS Process = PsGetCurrentProcess();
    PUCHAR Thread = (PUCHAR)__readgsqword(0x188), Idle = (PUCHAR)__readgsqword(0x198);
    PLIST_ENTRY Head = (PLIST_ENTRY)((PUCHAR)Process + THREAD_LIST_HEAD), Node;
    PUNICODE_STRING Name = (PUNICODE_STRING)((PUCHAR)Section + BASE_DLL_NAME);
    ULONG Processes, Threads, Modules, Mine = 0;
    ULONG_PTR Sums[3];
    CHAR Narrow[32] = {0}; /* a thread callback may come at APC_LEVEL, where wide formats are not allowed */
    USHORT Index;

    for (Index = 0; Index < Name->Length / sizeof(WCHAR) && Index < sizeof(Narrow) - 1; Index++)
        Narrow[Index] = (CHAR)Name->Buffer[Index];
    Processes = Walk((PLIST_ENTRY)((PUCHAR)PsInitialSystemProcess + ACTIVE_PROCESS_LINKS), &Sums[0]);
    Threads = Walk(Head, &Sums[1]);
    Modules = Walk((PLIST_ENTRY)Section, &Sums[2]);
    for (Node = Head->Flink; Node != Head; Node = Node->Flink)
        Mine += (PUCHAR)Node - THREAD_LIST_ENTRY == Thread;
    DbgPrint("[walks] %s %u: processes %u %p, threads %u %p active %u, modules %u %p\n", Why, HandleToULong(Id),
        Processes, (PVOID)Sums[0], Threads, (PVOID)Sums[1], AT(Process, ACTIVE_THREADS, ULONG), Modules,
        (PVOID)Sums[2]);
    DbgPrint("[walks] in %u.%u %s, listed %u, state %u, idle %p, %s at %p, time %I64u %I64u\n",
        HandleToULong(AT(Process, UNIQUE_PROCESS_ID, HANDLE)), HandleToULong(AT(Thread, CLIENT_ID + 8, HANDLE)),
        (PCSTR)Process + IMAGE_FILE_NAME, Mine, (ULONG)AT(Thread, THREAD_STATE, UCHAR), Idle, Narrow,
        AT(Section, DLL_BASE, PVOID), AT(SHARED_DATA, INTERRUPT_TIME, ULONG64),
        AT(SHARED_DATA, SYSTEM_TIME, ULONG64));
}

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    Look(Create ? "process begins" : "process ends", ProcessId);
}

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    Look(Create ? "thread begins" : "thread ends", ThreadId);
}

static VOID NTAPI OnUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    Look("unload", PsGetProcessId(PsInitialSystemProcess));
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Section = DriverObject->DriverSection;
    DriverObject->DriverUnload = OnUnload;
    Status = PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
    return NT_SUCCESS(Status) ? PsSetCreateThreadNotifyRoutine(OnThread) : Status;
}
