/*
 * A driver for the kernel's tests: its process callback does one thing, good or bad, that the PID of the process
 * chooses. The numbers are those of tests/virtual/test_kernel_bugchecks.py and test_kernel_services.py.
 */
#include <ntddk.h>

/* Declared in ntifs.h. */
NTKERNELAPI NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE ProcessId, PEPROCESS *Process);

#define TAG 'vbsM'

static ULONG_PTR Data[64];
static KSPIN_LOCK Lock;
static KDPC Dpc;

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create);

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
}

static VOID NTAPI OnDpc(PKDPC Self, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(Self);
    DbgPrint("dpc %p %p %p irql=%u\n", Context, First, Second, (ULONG)KeGetCurrentIrql());
}

/* An address in initialised data: the image needs a relocation. */
static PKDEFERRED_ROUTINE volatile DpcRoutine = OnDpc;

/* Called through a pointer, because the compiler would put nothing behind a call that never returns. */
static VOID (NTAPI *volatile Raise)(NTSTATUS) = ExRaiseStatus;

static ULONG Recurse(volatile ULONG *Depth)
{
    volatile ULONG Room[256];

    Room[0] = *Depth + 1;
    return Recurse(Room) + Room[0];
}

static VOID Formats(VOID)
{
    WCHAR Wide[] = L"caf\x00e9 \x4e2d";
    UNICODE_STRING Unicode;
    ANSI_STRING Ansi;

    RtlInitUnicodeString(&Unicode, Wide);
    RtlInitAnsiString(&Ansi, "ansi");
    DbgPrint("%d %u %x %#X %05d|%-5d|%5d %o\n", -1, 4000000000U, 0xbeef, 0xbeef, 42, 42, 42, 8);
    DbgPrint("%I64d %I64x %lu %hd %p %%\n", -5LL, 0x123456789abcULL, 7UL, (short)-2, (PVOID)0x1234);
    DbgPrint("%s|%10s|%-6s|%.2s|%c|%s\n", "abc", "right", "left", "cut", 'c', (PCSTR)NULL);
    DbgPrint("%ws|%S|%wZ|%Z|%wc|%*d|%.*s\n", Wide, L"big", &Unicode, &Ansi, L'w', 4, 9, 2, "xyz");
}

static VOID Services(VOID)
{
    PEPROCESS Process = NULL;
    UNICODE_STRING Name, Upper;
    WCHAR Buffer[16];
    KIRQL Old;
    NTSTATUS Status;
    PVOID Block = ExAllocatePoolWithTag(PagedPool, 100, TAG);

    RtlZeroMemory(Block, 100);
    ExFreePoolWithTag(Block, TAG);
    Status = PsLookupProcessByProcessId((HANDLE)4, &Process);
    DbgPrint("lookup %x %u\n", Status, HandleToULong(PsGetProcessId(Process)));
    ObDereferenceObject(Process);
    DbgPrint("missing %x\n", PsLookupProcessByProcessId((HANDLE)99992, &Process));
    KeAcquireSpinLock(&Lock, &Old);
    DbgPrint("irql %u was %u\n", (ULONG)KeGetCurrentIrql(), (ULONG)Old);
    KeReleaseSpinLock(&Lock, Old);
    Upper.Buffer = Buffer;
    Upper.Length = 0;
    Upper.MaximumLength = sizeof(Buffer);
    RtlInitUnicodeString(&Name, L"MixedCase");
    Status = RtlUpcaseUnicodeString(&Upper, &Name, FALSE);
    DbgPrint("upcase %x %wZ equal=%u\n", Status, &Upper, RtlEqualUnicodeString(&Name, &Upper, TRUE));
    RtlInitUnicodeString(&Name, L"PsGetProcessId");
    DbgPrint("routine %u", MmGetSystemRoutineAddress(&Name) != NULL);
    RtlInitUnicodeString(&Name, L"NoSuchRoutine");
    DbgPrint(" %u\n", MmGetSystemRoutineAddress(&Name) != NULL);
    DbgPrint("cpu %u of %u, thread %u\n", (ULONG)KeGetCurrentProcessorNumber(),
        (ULONG)KeQueryActiveProcessorCount(NULL), HandleToULong(PsGetCurrentThreadId()));
    KeInitializeDpc(&Dpc, DpcRoutine, (PVOID)1);
    DbgPrint("queued %u %u\n", KeInsertQueueDpc(&Dpc, (PVOID)2, (PVOID)3), KeInsertQueueDpc(&Dpc, NULL, NULL));
}

static VOID Limits(VOID)
{
    ULONG Count = 0;
    NTSTATUS Status;

    DbgPrint("twice %x\n", PsSetCreateProcessNotifyRoutine(OnProcess, FALSE));
    while (NT_SUCCESS(Status = PsSetCreateThreadNotifyRoutine(OnThread)))
        Count++;
    DbgPrint("threads %u then %x\n", Count, Status);
    while (Count-- != 0)
        PsRemoveCreateThreadNotifyRoutine(OnThread);
    DbgPrint("removed, again %x\n", PsRemoveCreateThreadNotifyRoutine(OnThread));
    DbgPrint("extended %x\n", PsSetCreateProcessNotifyRoutineEx((PCREATE_PROCESS_NOTIFY_ROUTINE_EX)OnThread, FALSE));
}

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    volatile ULONG_PTR *Address = (volatile ULONG_PTR *)ParentId;
    volatile ULONG Zero = 0;
    UNICODE_STRING String;
    KEVENT Event;
    KIRQL Old;
    PVOID Block;

    if (!Create)
        return;
    switch (HandleToULong(ProcessId)) {
    case 1: Formats(); break;
    case 2: Services(); break;
    case 3: Limits(); break;
    case 10: Data[0] = *Address; break;
    case 11: *Address = 1; break;
    case 12: *(volatile UCHAR *)(ULONG_PTR)&OnProcess = 0xC3; break;
    case 13: ((VOID(*)(VOID))(ULONG_PTR)Data)(); break;
    case 14:
        KeRaiseIrql(DISPATCH_LEVEL, &Old);
        Data[0] = *Address;
        break;
    case 15: Data[0] = HandleToULong(ProcessId) / Zero; break;
    case 16: __asm__ volatile("ud2"); break;
    case 17:
        Block = ExAllocatePoolWithTag(NonPagedPool, 32, TAG);
        ExFreePoolWithTag(Block, TAG);
        ExFreePoolWithTag(Block, TAG);
        break;
    case 18: KeRaiseIrql(DISPATCH_LEVEL, &Old); break;
    case 19:
        KeAcquireSpinLock(&Lock, &Old);
        KeAcquireSpinLock(&Lock, &Old);
        break;
    case 20: KeBugCheckEx(0xE2, 1, 2, 3, 4); break;
    case 21:
        __asm__ volatile("int3");
        DbgPrint("went on\n");
        break;
    case 22: __asm__ volatile("movl $7, %%ecx\n\tint $0x29" ::: "ecx"); break;
    case 23: Data[0] = Recurse(&Zero); break;
    case 24: RtlInitUnicodeString(&String, (PCWSTR)ParentId); break;
    case 25:
        KeInitializeEvent(&Event, NotificationEvent, FALSE);
        KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
        break;
    case 26: PsSetCreateProcessNotifyRoutine(OnProcess, TRUE); break;
    case 27:
        Block = ExAllocatePoolWithTag(NonPagedPool, 32, TAG);
        ((volatile UCHAR *)Block)[32] = 1;
        break;
    case 28:
        Block = ExAllocatePoolWithTag(NonPagedPool, 32, TAG);
        ((volatile UCHAR *)Block)[-1] = 1;
        ExFreePoolWithTag(Block, TAG);
        break;
    case 29:
        Block = ExAllocatePoolWithTag(NonPagedPool, 32, TAG);
        ExFreePoolWithTag(Block, 'gnrW');
        break;
    case 30:
        Block = ExAllocatePoolWithTag(NonPagedPool, 32, TAG);
        ExFreePoolWithTag(Block, TAG);
        Data[0] = *(volatile ULONG_PTR *)Block;
        break;
    case 31: Data[0] = (ULONG_PTR)ExAllocatePoolWithTag(NonPagedPool, 32, TAG); break;
    case 32: DbgPrint("%s\n", (PCSTR)ParentId); break;
    case 33:
        Raise((NTSTATUS)0xE0000001);
        DbgPrint("came back\n");
        break;
    case 34: ((VOID(*)(VOID))ParentId)(); break;
    case 35: __asm__ volatile("int $0x2c"); break;
    default: DbgPrint("pid %u\n", HandleToULong(ProcessId)); break;
    }
}

static VOID NTAPI OnUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    DbgPrint("%wZ %wZ %wZ\n", &DriverObject->DriverName, RegistryPath,
        &DriverObject->DriverExtension->ServiceKeyName);
    KeInitializeSpinLock(&Lock);
    DriverObject->DriverUnload = OnUnload;
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
