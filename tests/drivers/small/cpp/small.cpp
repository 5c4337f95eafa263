// Small drivers in C++, each with one habit; the service's name says which. "-mended" leaves the fault out.
#include <ntifs.h>

namespace {

constexpr ULONG Tag = 'pplS';

template <typename... Values> void Log(const char *Format, Values... Given)
{
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, Format, Given...);
}

bool Mended;

} // namespace

void *operator new(size_t Size)
{
    return ExAllocatePoolWithTag(NonPagedPool, Size, Tag);
}

void operator delete(void *Memory)
{
    if (Memory != nullptr)
        ExFreePoolWithTag(Memory, Tag);
}

void operator delete(void *Memory, size_t)
{
    operator delete(Memory);
}

namespace {

// A list of what was seen, a node each; an unload that forgets the list leaves it all.
struct Seen {
    Seen *Next;
    ULONG Process;
};

class Monitor {
public:
    virtual ~Monitor() = default;
    virtual void Thread(HANDLE ProcessId, HANDLE ThreadId, bool Create) = 0;
};

class KeepsNodes : public Monitor {
public:
    ~KeepsNodes() override
    {
        while (Mended && First != nullptr) {
            Seen *Node = First;
            First = Node->Next;
            delete Node;
        }
    }

    void Thread(HANDLE ProcessId, HANDLE ThreadId, bool Create) override
    {
        Log("Thread %s. [x](PID=%u)(TID=%u)\n", Create ? "Created" : "Ended", HandleToULong(ProcessId), HandleToULong(ThreadId));
        KIRQL Old;
        KeAcquireSpinLock(&Lock, &Old);
        auto *Node = new Seen{First, HandleToULong(ProcessId)};
        if (Node != nullptr)
            First = Node;
        KeReleaseSpinLock(&Lock, Old);
    }

private:
    KSPIN_LOCK Lock = 0;
    Seen *First = nullptr;
};

class KeepsThreads : public Monitor {
public:
    void Thread(HANDLE ProcessId, HANDLE ThreadId, bool Create) override
    {
        Log("[X] Thread %Iu in process %Iu\n", (ULONG_PTR)ThreadId, (ULONG_PTR)ProcessId);
        PETHREAD Thread;
        if (!NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Thread)))
            return;
        Log("    thread object 0x%p, %s\n", Thread, Create ? "new" : "old");
        if (Mended)
            ObDereferenceObject(Thread);
    }
};

class KeepsItself : public Monitor {
public:
    void Thread(HANDLE ProcessId, HANDLE ThreadId, bool Create) override
    {
        auto Say = [&](const char *What) { Log("%s %d.%d\n", What, HandleToLong(ProcessId), HandleToLong(ThreadId)); };
        Say(Create ? "start" : "stop");
    }
};

Monitor *Current;
bool DeletesMonitor = true;

void NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    Current->Thread(ProcessId, ThreadId, Create != FALSE);
}

bool EndsWith(PCUNICODE_STRING Path, const wchar_t *Wanted)
{
    UNICODE_STRING Tail;
    RtlInitUnicodeString(&Tail, Wanted);
    if (Path->Length < Tail.Length)
        return false;
    auto *Start = reinterpret_cast<PUCHAR>(Path->Buffer) + Path->Length - Tail.Length;
    return RtlCompareMemory(Start, Tail.Buffer, Tail.Length) == Tail.Length;
}

void Unload(PDRIVER_OBJECT)
{
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    if (DeletesMonitor)
        delete Current;
}

} // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    Driver->DriverUnload = Unload;
    Mended = EndsWith(Path, L"-mended");
    if (EndsWith(Path, L"\\keeps-nodes") || EndsWith(Path, L"\\keeps-nodes-mended"))
        Current = new KeepsNodes;
    else if (EndsWith(Path, L"\\keeps-threads") || EndsWith(Path, L"\\keeps-threads-mended"))
        Current = new KeepsThreads;
    else if (EndsWith(Path, L"\\keeps-monitor") || EndsWith(Path, L"\\keeps-monitor-mended")) {
        Current = new KeepsItself;
        DeletesMonitor = Mended;
    }
    if (Current == nullptr)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS Status = PsSetCreateThreadNotifyRoutine(OnThread);
    if (!NT_SUCCESS(Status))
        delete Current;
    return Status;
}
