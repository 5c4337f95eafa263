// A monitor in the manner of books about kernel programming: C++ with locks that release themselves, a generic list,
// lambdas, and a globals object; events are kept until the driver goes.
#include <ntifs.h>

#define DRIVER_TAG 'nmoM'
#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)

extern "C" {
__declspec(dllimport) NTSTATUS NTAPI MmCopyVirtualMemory(PEPROCESS, PVOID, PEPROCESS, PVOID, SIZE_T, KPROCESSOR_MODE,
    PSIZE_T);
__declspec(dllimport) PVOID NTAPI PsGetProcessSectionBaseAddress(PEPROCESS);
__declspec(dllimport) PCHAR NTAPI PsGetProcessImageFileName(PEPROCESS);
__declspec(dllimport) int __cdecl memcpy_s(void *, SIZE_T, const void *, SIZE_T);
__declspec(dllimport) char *__cdecl _strlwr(char *);
__declspec(dllimport) int __cdecl _snprintf(char *, SIZE_T, const char *, ...);
__declspec(dllimport) void NTAPI KeInitializeApc(PVOID, PKTHREAD, int, PVOID, PVOID, PVOID, KPROCESSOR_MODE, PVOID);
__declspec(dllimport) BOOLEAN NTAPI KeInsertQueueApc(PVOID, PVOID, PVOID, KPRIORITY);
DRIVER_INITIALIZE DriverEntry;
}

void *__cdecl operator new(size_t size, POOL_TYPE pool) { return ExAllocatePoolWithTag(pool, size, DRIVER_TAG); }
void __cdecl operator delete(void *block, size_t) { if (block) ExFreePoolWithTag(block, DRIVER_TAG); }
void __cdecl operator delete(void *block) { if (block) ExFreePoolWithTag(block, DRIVER_TAG); }

inline void *__cdecl operator new(size_t, void *place) { return place; }

class FastMutex {
public:
    void Init() { ExInitializeFastMutex(&m_mutex); }
    void Lock() { ExAcquireFastMutex(&m_mutex); }
    void Unlock() { ExReleaseFastMutex(&m_mutex); }

private:
    FAST_MUTEX m_mutex;
};

class Resource {
public:
    void Init() { ExInitializeResourceLite(&m_resource); }
    void Lock() { ExEnterCriticalRegionAndAcquireResourceExclusive(&m_resource); }
    void Unlock() { ExReleaseResourceAndLeaveCriticalRegion(&m_resource); }
    void Delete() { ExDeleteResourceLite(&m_resource); }

private:
    ERESOURCE m_resource;
};

template <typename TLock> class AutoLock {
public:
    explicit AutoLock(TLock &lock) : m_lock(lock) { m_lock.Lock(); }
    ~AutoLock() { m_lock.Unlock(); }

private:
    TLock &m_lock;
};

struct Item {
    explicit Item(ULONG id) : Id(id) {}
    virtual ~Item() = default;
    virtual const char *Kind() const = 0;
    Item *Next = nullptr;
    ULONG Id;
    char Name[16] = {};
};
struct Started final : Item {
    using Item::Item;
    const char *Kind() const override { return "start"; }
};
struct Ended final : Item {
    using Item::Item;
    const char *Kind() const override { return "end"; }
};

class List {
public:
    void Init() { m_lock.Init(); m_counts.Init(); }
    void Push(Item *item)
    {
        AutoLock<FastMutex> locker(m_lock);
        *m_last = item;
        m_last = &item->Next;
        m_count++;
    }
    template <typename F> ULONG Drain(F visit)
    {
        AutoLock<Resource> counts(m_counts);
        for (Item *item = m_first, *next; item; item = next) {
            next = item->Next;
            visit(*item);
            delete item;
        }
        m_first = nullptr;
        m_last = &m_first;
        return m_count;
    }
    void Delete() { m_counts.Delete(); }

private:
    FastMutex m_lock;
    Resource m_counts;
    Item *m_first = nullptr;
    Item **m_last = &m_first;
    ULONG m_count = 0;
};

struct Globals {
    List Items;
    EX_RUNDOWN_REF Rundown;
    KSPIN_LOCK Spin;
    ULONG Remote, Apcs;
    KEVENT ApcRan;
    LOOKASIDE_LIST_EX Names;
    UCHAR Apc[0x60];
};
static Globals *g;

static void NTAPI OnApc(PVOID, PVOID *, PVOID *, PVOID *, PVOID *)
{
    g->Apcs++;
    KeSetEvent(&g->ApcRan, 0, FALSE);
}

static void NTAPI OnProcess(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    if (!ExAcquireRundownProtection(&g->Rundown))
        return;
    const ULONG pid = HandleToULong(id);
    Item *item = info ? static_cast<Item *>(new (NonPagedPool) Started(pid)) : new (NonPagedPool) Ended(pid);
    if (item) {
        memcpy_s(item->Name, sizeof item->Name, PsGetProcessImageFileName(process), 15);
        _strlwr(item->Name);
        g->Items.Push(item);
    }
    ExReleaseRundownProtection(&g->Rundown);
}

static void NTAPI OnThread(HANDLE process, HANDLE, BOOLEAN create)
{
    if (!create || PsGetCurrentProcessId() == process)
        return;
    KIRQL old;
    KeAcquireSpinLock(&g->Spin, &old);
    g->Remote++;
    KeReleaseSpinLock(&g->Spin, old);
}

static void NTAPI OnImage(PUNICODE_STRING name, HANDLE process, PIMAGE_INFO)
{
    static LONG once;
    PEPROCESS object;
    if (name == nullptr || process == nullptr || InterlockedExchange(&once, 1))
        return;
    if (!NT_SUCCESS(PsLookupProcessByProcessId(process, &object)))
        return;
    USHORT magic = 0, mapped = 0;
    SIZE_T copied = 0;
    KAPC_STATE state;
    PVOID base = PsGetProcessSectionBaseAddress(object);
    PMDL mdl = IoAllocateMdl(base, sizeof magic, FALSE, FALSE, nullptr);
    KeStackAttachProcess(object, &state);
    MmProbeAndLockPages(mdl, UserMode, IoReadAccess);
    KeUnstackDetachProcess(&state);
    if (PVOID view = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority))
        mapped = *static_cast<USHORT *>(view);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    const NTSTATUS status =
        MmCopyVirtualMemory(object, base, PsGetCurrentProcess(), &magic, sizeof magic, KernelMode, &copied);
    SAY("monitor: first image %x %u %x %x\n", status, (ULONG)copied, magic, mapped);
    ObDereferenceObject(object);
}

static void NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\??\\Monitor");
    PsSetCreateProcessNotifyRoutineEx(OnProcess, TRUE);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    PsRemoveLoadImageNotifyRoutine(OnImage);
    ExWaitForRundownProtectionRelease(&g->Rundown);
    ULONG started = 0, ended = 0;
    const ULONG all = g->Items.Drain([&](const Item &item) {
        char line[64];
        _snprintf(line, sizeof line, "%s %s", item.Kind(), item.Name);
        (item.Kind()[0] == 's' ? started : ended)++;
        if (!strncmp(item.Name, "notepad", 7))
            SAY("monitor: %s\n", line);
    });
    SAY("monitor: all=%u remote=%u apcs=%u\n", all == started + ended, g->Remote > 0, g->Apcs);
    g->Items.Delete();
    ExDeleteLookasideListEx(&g->Names);
    delete g;
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
}

extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Monitor"), link = RTL_CONSTANT_STRING(L"\\??\\Monitor");
    PDEVICE_OBJECT device;
    LARGE_INTEGER second;
    UCHAR block[256];
    ULONG size = 0;
    second.QuadPart = -10000000;

    g = static_cast<Globals *>(ExAllocatePoolWithTag(NonPagedPool, sizeof(Globals), DRIVER_TAG));
    if (!g)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(g, sizeof *g);
    new (&g->Items) List;
    g->Items.Init();
    ExInitializeRundownProtection(&g->Rundown);
    KeInitializeSpinLock(&g->Spin);
    KeInitializeEvent(&g->ApcRan, NotificationEvent, FALSE);
    NTSTATUS status = ExInitializeLookasideListEx(&g->Names, nullptr, nullptr, PagedPool, 0, 64, DRIVER_TAG, 0);
    if (NT_SUCCESS(status)) {
        PVOID text = ExAllocateFromLookasideListEx(&g->Names);
        ExFreeToLookasideListEx(&g->Names, text);
        status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, TRUE, &device);
    }
    if (NT_SUCCESS(status))
        status = IoCreateSymbolicLink(&link, &name);
    if (NT_SUCCESS(status))
        status = PsSetCreateProcessNotifyRoutineEx(OnProcess, FALSE);
    if (NT_SUCCESS(status))
        status = PsSetCreateThreadNotifyRoutine(OnThread);
    if (NT_SUCCESS(status))
        status = PsSetLoadImageNotifyRoutine(OnImage);
    ObQueryNameString(device, reinterpret_cast<POBJECT_NAME_INFORMATION>(block), sizeof block, &size);
    KeInitializeApc(g->Apc, KeGetCurrentThread(), 0, reinterpret_cast<PVOID>(OnApc), nullptr, nullptr, KernelMode,
        nullptr);
    KeInsertQueueApc(g->Apc, nullptr, nullptr, 0);
    KeWaitForSingleObject(&g->ApcRan, Executive, KernelMode, FALSE, &second);
    SAY("monitor: %x %wZ\n", status, reinterpret_cast<PUNICODE_STRING>(block));
    driver->DriverUnload = Unload;
    return status;
}
