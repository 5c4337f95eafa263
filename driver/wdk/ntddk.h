/*
 * What Microsoft's ntddk.h has and mingw-w64's lacks: the members that newer Windows gives to what a notify routine
 * is told, and the newer registrations. The structures are declared anew here, so the original's stand under other
 * names. ntifs.h includes this one. Source: Microsoft, PS_CREATE_NOTIFY_INFO, IMAGE_INFO, PSCREATETHREADNOTIFYTYPE.
 */
#pragma once

/* As the original does before it takes wdm.h, which declares less to who has not said that it is ntddk.h's. */
#define _NTDDK_
#if !defined(_NTHAL_) && !defined(_NTIFS_)
#define _NTDDK_INCLUDED_
#define _DDK_DRIVER_
#endif
#include <wdm.h>

#define _PS_CREATE_NOTIFY_INFO _OLDER_PS_CREATE_NOTIFY_INFO
#define PS_CREATE_NOTIFY_INFO OLDER_PS_CREATE_NOTIFY_INFO
#define PPS_CREATE_NOTIFY_INFO OLDER_PPS_CREATE_NOTIFY_INFO
#define PCREATE_PROCESS_NOTIFY_ROUTINE_EX OLDER_PCREATE_PROCESS_NOTIFY_ROUTINE_EX
#define PsSetCreateProcessNotifyRoutineEx OlderPsSetCreateProcessNotifyRoutineEx
#define _IMAGE_INFO _OLDER_IMAGE_INFO
#define IMAGE_INFO OLDER_IMAGE_INFO
#define PIMAGE_INFO OLDER_PIMAGE_INFO
#define _IMAGE_INFO_EX _OLDER_IMAGE_INFO_EX
#define IMAGE_INFO_EX OLDER_IMAGE_INFO_EX
#define PIMAGE_INFO_EX OLDER_PIMAGE_INFO_EX
#define PLOAD_IMAGE_NOTIFY_ROUTINE OLDER_PLOAD_IMAGE_NOTIFY_ROUTINE
#define PsSetLoadImageNotifyRoutine OlderPsSetLoadImageNotifyRoutine
#define PsRemoveLoadImageNotifyRoutine OlderPsRemoveLoadImageNotifyRoutine
#include_next <ntddk.h>
#undef _PS_CREATE_NOTIFY_INFO
#undef PS_CREATE_NOTIFY_INFO
#undef PPS_CREATE_NOTIFY_INFO
#undef PCREATE_PROCESS_NOTIFY_ROUTINE_EX
#undef PsSetCreateProcessNotifyRoutineEx
#undef _IMAGE_INFO
#undef IMAGE_INFO
#undef PIMAGE_INFO
#undef _IMAGE_INFO_EX
#undef IMAGE_INFO_EX
#undef PIMAGE_INFO_EX
#undef PLOAD_IMAGE_NOTIFY_ROUTINE
#undef PsSetLoadImageNotifyRoutine
#undef PsRemoveLoadImageNotifyRoutine

EXTERN_C_START

typedef struct _PS_CREATE_NOTIFY_INFO {
    SIZE_T Size;
    union {
        ULONG Flags;
        struct {
            ULONG FileOpenNameAvailable : 1;
            ULONG IsSubsystemProcess : 1;
            ULONG Reserved : 30;
        };
    };
    HANDLE ParentProcessId;
    CLIENT_ID CreatingThreadId;
    struct _FILE_OBJECT *FileObject;
    PCUNICODE_STRING ImageFileName;
    PCUNICODE_STRING CommandLine;
    NTSTATUS CreationStatus;
} PS_CREATE_NOTIFY_INFO, *PPS_CREATE_NOTIFY_INFO;

typedef VOID(NTAPI *PCREATE_PROCESS_NOTIFY_ROUTINE_EX)(PEPROCESS Process, HANDLE ProcessId,
                                                       PPS_CREATE_NOTIFY_INFO CreateInfo);
DECLSPEC_IMPORT NTSTATUS NTAPI PsSetCreateProcessNotifyRoutineEx(PCREATE_PROCESS_NOTIFY_ROUTINE_EX NotifyRoutine,
                                                                 BOOLEAN Remove);

typedef enum _PSCREATEPROCESSNOTIFYTYPE { PsCreateProcessNotifySubsystems = 0 } PSCREATEPROCESSNOTIFYTYPE;
DECLSPEC_IMPORT NTSTATUS NTAPI PsSetCreateProcessNotifyRoutineEx2(PSCREATEPROCESSNOTIFYTYPE NotifyType,
                                                                  PVOID NotifyInformation, BOOLEAN Remove);

typedef enum _PSCREATETHREADNOTIFYTYPE {
    PsCreateThreadNotifyNonSystem = 0,
    PsCreateThreadNotifySubsystems = 1
} PSCREATETHREADNOTIFYTYPE;
DECLSPEC_IMPORT NTSTATUS NTAPI PsSetCreateThreadNotifyRoutineEx(PSCREATETHREADNOTIFYTYPE NotifyType,
                                                                PVOID NotifyInformation);

typedef struct _IMAGE_INFO {
    union {
        ULONG Properties;
        struct {
            ULONG ImageAddressingMode : 8;
            ULONG SystemModeImage : 1;
            ULONG ImageMappedToAllPids : 1;
            ULONG ExtendedInfoPresent : 1;
            ULONG MachineTypeMismatch : 1;
            ULONG ImageSignatureLevel : 4;
            ULONG ImageSignatureType : 3;
            ULONG ImagePartialMap : 1;
            ULONG Reserved : 12;
        };
    };
    PVOID ImageBase;
    ULONG ImageSelector;
    SIZE_T ImageSize;
    ULONG ImageSectionNumber;
} IMAGE_INFO, *PIMAGE_INFO;

typedef struct _IMAGE_INFO_EX {
    SIZE_T Size;
    IMAGE_INFO ImageInfo;
    struct _FILE_OBJECT *FileObject;
} IMAGE_INFO_EX, *PIMAGE_INFO_EX;

typedef VOID(NTAPI *PLOAD_IMAGE_NOTIFY_ROUTINE)(PUNICODE_STRING FullImageName, HANDLE ProcessId,
                                                PIMAGE_INFO ImageInfo);
DECLSPEC_IMPORT NTSTATUS NTAPI PsSetLoadImageNotifyRoutine(PLOAD_IMAGE_NOTIFY_ROUTINE NotifyRoutine);
DECLSPEC_IMPORT NTSTATUS NTAPI PsRemoveLoadImageNotifyRoutine(PLOAD_IMAGE_NOTIFY_ROUTINE NotifyRoutine);

#define PS_IMAGE_NOTIFY_CONFLICTING_ARCHITECTURE 0x1
DECLSPEC_IMPORT NTSTATUS NTAPI PsSetLoadImageNotifyRoutineEx(PLOAD_IMAGE_NOTIFY_ROUTINE NotifyRoutine,
                                                             ULONG_PTR Flags);

/* Windows 8.1: MmCopyMemory. */
#define MM_COPY_MEMORY_PHYSICAL 0x1
#define MM_COPY_MEMORY_VIRTUAL 0x2
typedef struct _MM_COPY_ADDRESS {
    union {
        PVOID VirtualAddress;
        PHYSICAL_ADDRESS PhysicalAddress;
    };
} MM_COPY_ADDRESS, *PMMCOPY_ADDRESS;
DECLSPEC_IMPORT NTSTATUS NTAPI MmCopyMemory(PVOID TargetAddress, MM_COPY_ADDRESS SourceAddress, SIZE_T NumberOfBytes,
                                            ULONG Flags, PSIZE_T NumberOfBytesTransferred);

EXTERN_C_END
