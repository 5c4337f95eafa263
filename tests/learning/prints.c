/*
 * One driver, ten ways to print: STYLE chooses. It registers the plain process and image callbacks and the
 * thread callback, or the Ex process callback where a style needs what only that is told.
 */
#include <ntifs.h>

#ifndef STYLE
#define STYLE 1
#endif

NTKERNELAPI PUCHAR NTAPI PsGetProcessImageFileName(PEPROCESS Process);

#define SAY(...) DbgPrint(__VA_ARGS__)
#define NUMBER(Id) HandleToULong(Id)

static PUCHAR NameOf(HANDLE ProcessId)
{
    PEPROCESS process;
    PUCHAR name = (PUCHAR)"?";

    if (NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &process))) {
        name = PsGetProcessImageFileName(process);
        ObDereferenceObject(process);
    }
    return name;
}

static VOID OnProcess(HANDLE Parent, HANDLE Process, PPS_CREATE_NOTIFY_INFO Info)
{
#if STYLE == 1 /* verb, name and id */
    if (Info)
        SAY("[watch] Process Began. [%s](%u)\n", NameOf(Process), NUMBER(Process));
    else
        SAY("[watch] Process Ended. [%s](%u)\n", NameOf(Process), NUMBER(Process));
#elif STYLE == 2 /* key=value */
    if (Info)
        SAY("new ppid:%u pid=%u,cmd=\"%wZ\",%wZ\r\n", NUMBER(Parent), NUMBER(Process), Info->CommandLine,
            Info->ImageFileName);
    else
        SAY("end pid=%u\r\n", NUMBER(Process));
#elif STYLE == 3 /* the id only */
    SAY(Info ? "[Process Start] %u: %s\n" : "Process Stop (%u)\n", NUMBER(Process), NameOf(Process));
#elif STYLE == 4 /* records */
    if (Info) {
        SAY("[rec] Process %wZ begins\n", Info->ImageFileName);
        SAY("      id: %u\n", NUMBER(Process));
        SAY("      made by: %u (%s)\n", NUMBER(PsGetCurrentProcessId()), NameOf(PsGetCurrentProcessId()));
        if (NUMBER(Parent) % 8 == 0)
            SAY("      parent: %u\n", NUMBER(Parent));
    } else {
        SAY("[rec] Process over\n");
        SAY("      id: %u\n", NUMBER(Process));
    }
#elif STYLE == 5 /* ids in hexadecimal */
    if (Info)
        SAY("process 0x%p (ID 0x%p) of 0x%p\n", PsGetCurrentProcess(), Process, Parent);
    else
        SAY("'%s'(%p) leaves\n", NameOf(Process), Process);
#elif STYLE == 6 /* three ids */
    if (Info)
        SAY("Process %u under %u by %u.%u\n", NUMBER(Process), NUMBER(Parent), NUMBER(PsGetCurrentProcessId()),
            NUMBER(PsGetCurrentThreadId()));
    else
        SAY("Process %u gone in %u.%u\n", NUMBER(Process), NUMBER(PsGetCurrentProcessId()),
            NUMBER(PsGetCurrentThreadId()));
#elif STYLE == 7 /* images above all */
    if (Info)
        SAY("pid%u\n", NUMBER(Process));
    else
        SAY("Process gone\n");
#elif STYLE == 8 /* a code page; the kind stands in words that are not ASCII */
    if (Info)
        SAY("\xbd\xf8\xb3\xcc\xb4\xb4\xbd\xa8: %d <- %d\n", NUMBER(Process), NUMBER(Parent));
    else
        SAY("\xbd\xf8\xb3\xcc\xcd\xcb\xb3\xf6: %d\n", NUMBER(Process));
#elif STYLE == 9 /* one format, a number that differs */
    SAY("PROC create=%d id=%u level 3\n", Info != NULL, NUMBER(Process));
#elif STYLE == 10 /* no line ends */
    SAY("%s %Iu", Info ? "start" : "stop", Process);
#else /* 11: nothing that tells the kinds apart */
    UNREFERENCED_PARAMETER(Info);
    SAY("process event %u\n", NUMBER(Process));
#endif
    UNREFERENCED_PARAMETER(Parent);
}

static VOID NTAPI ProcessCallback(PEPROCESS Object, HANDLE Process, PPS_CREATE_NOTIFY_INFO Info)
{
    UNREFERENCED_PARAMETER(Object);
    OnProcess(Info ? Info->ParentProcessId : NULL, Process, Info);
}

static VOID NTAPI ThreadCallback(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
#if STYLE == 1 || STYLE == 2
    SAY("Thread %s. [%s](PID=%u)(TID=%u)\n", Create ? "Began" : "Ended", NameOf(Process), NUMBER(Process),
        NUMBER(Thread));
#elif STYLE == 3
    SAY(Create ? "Thread Start (%u)\n" : "Thread Stop (%u)\n", NUMBER(Thread));
#elif STYLE == 4
    SAY("[rec] Thread %s\n", Create ? "begins" : "over");
    SAY("      id: %u\n", NUMBER(Thread));
    SAY("      of: %u\n", NUMBER(Process));
#elif STYLE == 5
    SAY("thread %X of %x %s\n", NUMBER(Thread), NUMBER(Process), Create ? "enters" : "leaves");
#elif STYLE == 6
    if (!Create)
        SAY("Thread %u in process %u ended\n", NUMBER(Thread), NUMBER(Process));
    else if (PsGetCurrentProcessId() != Process)
        SAY("Thread %u in process %u was made remotely from process %u\n", NUMBER(Thread), NUMBER(Process),
            NUMBER(PsGetCurrentProcessId()));
    else
        SAY("Thread %u in process %u was made\n", NUMBER(Thread), NUMBER(Process));
#elif STYLE == 8
    SAY("\xcf\xdf\xb3\xcc%s: %d/%d\n", Create ? "\xb4\xb4\xbd\xa8" : "\xcd\xcb\xb3\xf6", NUMBER(Process), NUMBER(Thread));
#elif STYLE == 9
    SAY("THRD create=%d id=%u of %u\n", Create, NUMBER(Thread), NUMBER(Process));
#elif STYLE == 10
    SAY("%s %Iu.%Iu", Create ? "start" : "stop", Process, Thread);
#elif STYLE == 11
    SAY("thread event %u %u\n", NUMBER(Process), NUMBER(Thread));
#endif
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Thread);
    UNREFERENCED_PARAMETER(Create);
}

static VOID NTAPI ImageCallback(PUNICODE_STRING Name, HANDLE Process, PIMAGE_INFO Info)
{
#if STYLE == 2
    SAY("ImagePath=%wZ / PID=%u\n", Name, NUMBER(Process));
#elif STYLE == 5
    SAY("%wZ is mapped at 0x%p, 0x%Ix bytes\n", Name, Info->ImageBase, Info->ImageSize);
#elif STYLE == 6 || STYLE == 10
    SAY("%u:%wZ,%p", NUMBER(Process), Name, Info->ImageBase);
    if (STYLE == 6)
        SAY("\n");
#elif STYLE == 7
    SAY("Image name: %wZ\n", Name);
#elif STYLE == 9
    SAY("IMAG (%wZ) on cpu %u\n", Name, KeGetCurrentProcessorNumber());
#endif
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Info);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutineEx(ProcessCallback, TRUE);
    PsRemoveCreateThreadNotifyRoutine(ThreadCallback);
    PsRemoveLoadImageNotifyRoutine(ImageCallback);
    SAY("removed all 3%s", STYLE == 10 ? "" : "\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    status = PsSetCreateProcessNotifyRoutineEx(ProcessCallback, FALSE);
    SAY("PsSetCreateProcessNotifyRoutineEx: 0x%X%s", status, STYLE == 10 ? "" : "\n");
    PsSetCreateThreadNotifyRoutine(ThreadCallback);
    PsSetLoadImageNotifyRoutine(ImageCallback);
    return status;
}
