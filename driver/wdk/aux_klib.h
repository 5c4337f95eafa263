/*
 * Microsoft's auxiliary kernel library, which drivers link statically: the loaded modules. Here its routines are the
 * header's own. Source: Microsoft, AuxKlibQueryModuleInformation, AUX_MODULE_EXTENDED_INFO.
 */
#pragma once
#include <ntddk.h>

EXTERN_C_START

#define AUX_KLIB_MODULE_PATH_LEN 256

typedef struct _AUX_MODULE_BASIC_INFO {
    PVOID ImageBase;
} AUX_MODULE_BASIC_INFO, *PAUX_MODULE_BASIC_INFO;

typedef struct _AUX_MODULE_EXTENDED_INFO {
    AUX_MODULE_BASIC_INFO BasicInfo;
    ULONG ImageSize;
    USHORT FileNameOffset;
    UCHAR FullPathName[AUX_KLIB_MODULE_PATH_LEN];
} AUX_MODULE_EXTENDED_INFO, *PAUX_MODULE_EXTENDED_INFO;

/* SystemModuleInformation: RTL_PROCESS_MODULES, under names that a driver's own do not clash with. */
struct AuxKlibModule {
    HANDLE Section;
    PVOID MappedBase, ImageBase;
    ULONG ImageSize, Flags;
    USHORT LoadOrderIndex, InitOrderIndex, LoadCount, OffsetToFileName;
    UCHAR FullPathName[AUX_KLIB_MODULE_PATH_LEN];
};
struct AuxKlibModules {
    ULONG NumberOfModules;
    struct AuxKlibModule Modules[1];
};

#if defined(_X86_)
#define AUX_KLIB_QUERY "__imp__ZwQuerySystemInformation@16"
#else
#define AUX_KLIB_QUERY "__imp_ZwQuerySystemInformation"
#endif
extern NTSTATUS(NTAPI *const AuxKlibQuery)(ULONG Class, PVOID Information, ULONG Length, PULONG Needed) __asm__(AUX_KLIB_QUERY);

FORCEINLINE NTSTATUS AuxKlibInitialize(VOID)
{
    return STATUS_SUCCESS;
}

FORCEINLINE NTSTATUS AuxKlibQueryModuleInformation(PULONG BufferSize, ULONG ElementSize, PVOID QueryInfo)
{
    struct AuxKlibModules *All = NULL;
    ULONG Size = 0, Index;
    NTSTATUS Status;

    if (ElementSize != sizeof(AUX_MODULE_BASIC_INFO) && ElementSize != sizeof(AUX_MODULE_EXTENDED_INFO))
        return STATUS_INVALID_PARAMETER_2;
    AuxKlibQuery(11, NULL, 0, &Size);
    All = (struct AuxKlibModules *)ExAllocatePoolWithTag(PagedPool, Size, 'xuAK');
    if (All == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Status = AuxKlibQuery(11, All, Size, &Size);
    if (NT_SUCCESS(Status) && QueryInfo == NULL) {
        *BufferSize = All->NumberOfModules * ElementSize;
    } else if (NT_SUCCESS(Status) && *BufferSize / ElementSize < All->NumberOfModules) {
        *BufferSize = All->NumberOfModules * ElementSize;
        Status = STATUS_BUFFER_TOO_SMALL;
    } else if (NT_SUCCESS(Status)) {
        for (Index = 0; Index < All->NumberOfModules; Index++) {
            const struct AuxKlibModule *From = &All->Modules[Index];
            PAUX_MODULE_EXTENDED_INFO To = (PAUX_MODULE_EXTENDED_INFO)((PUCHAR)QueryInfo + Index * ElementSize);

            To->BasicInfo.ImageBase = From->ImageBase;
            if (ElementSize == sizeof(AUX_MODULE_BASIC_INFO))
                continue;
            To->ImageSize = From->ImageSize;
            To->FileNameOffset = From->OffsetToFileName;
            RtlCopyMemory(To->FullPathName, From->FullPathName, AUX_KLIB_MODULE_PATH_LEN);
        }
    }
    ExFreePoolWithTag(All, 'xuAK');
    return Status;
}

EXTERN_C_END
