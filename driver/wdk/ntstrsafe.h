/*
 * What Microsoft's ntstrsafe.h has and mingw-w64's lacks: the routines on UNICODE_STRING, inline functions in the
 * WDK, too. What does not fit is cut off, and STATUS_BUFFER_OVERFLOW says so. Source: Microsoft, "Using Safe
 * Unicode Strings", RtlUnicodeStringCopy and its relatives.
 */
#pragma once

#include_next <ntstrsafe.h>

#ifndef NTSTRSAFE_UNICODE_STRING_MAX_CCH
#define NTSTRSAFE_UNICODE_STRING_MAX_CCH (0xffff / sizeof(WCHAR))
#endif

static inline NTSTATUS RtlUnicodeStringValidate(PCUNICODE_STRING SourceString)
{
    if (SourceString == NULL)
        return STATUS_SUCCESS;
    if (SourceString->Length % sizeof(WCHAR) || SourceString->MaximumLength % sizeof(WCHAR) ||
        SourceString->Length > SourceString->MaximumLength ||
        (SourceString->Buffer == NULL && SourceString->MaximumLength != 0))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

/* Puts Count characters behind the first At characters of a valid string. */
static inline NTSTATUS RtlUnicodeStringPutWorker(PUNICODE_STRING Destination, size_t At, const WCHAR *Source,
                                               size_t Count)
{
    const size_t Room = Destination->MaximumLength / sizeof(WCHAR) - At;
    const size_t Fits = Count < Room ? Count : Room;

    if (Fits != 0)
        memmove(Destination->Buffer + At, Source, Fits * sizeof(WCHAR));
    Destination->Length = (USHORT)((At + Fits) * sizeof(WCHAR));
    return Fits == Count ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW;
}

static inline NTSTATUS RtlUnicodeStringPutStringWorker(PUNICODE_STRING Destination, size_t At,
                                                     NTSTRSAFE_PCWSTR Source)
{
    size_t Count = 0;

    while (Source[Count] != L'\0') {
        if (++Count > NTSTRSAFE_UNICODE_STRING_MAX_CCH)
            return STATUS_INVALID_PARAMETER;
    }
    return RtlUnicodeStringPutWorker(Destination, At, Source, Count);
}

static inline NTSTATUS RtlUnicodeStringInit(PUNICODE_STRING DestinationString, NTSTRSAFE_PCWSTR pszSrc)
{
    size_t Count = 0;

    DestinationString->Length = DestinationString->MaximumLength = 0;
    DestinationString->Buffer = NULL;
    if (pszSrc == NULL)
        return STATUS_SUCCESS;
    while (pszSrc[Count] != L'\0') {
        if (++Count >= NTSTRSAFE_UNICODE_STRING_MAX_CCH)
            return STATUS_INVALID_PARAMETER;
    }
    DestinationString->Length = (USHORT)(Count * sizeof(WCHAR));
    DestinationString->MaximumLength = (USHORT)(DestinationString->Length + sizeof(WCHAR));
    DestinationString->Buffer = (PWSTR)pszSrc;
    return STATUS_SUCCESS;
}

static inline NTSTATUS RtlUnicodeStringCopyString(PUNICODE_STRING DestinationString, NTSTRSAFE_PCWSTR pszSrc)
{
    const NTSTATUS Status = RtlUnicodeStringValidate(DestinationString);

    return NT_SUCCESS(Status) ? RtlUnicodeStringPutStringWorker(DestinationString, 0, pszSrc) : Status;
}

static inline NTSTATUS RtlUnicodeStringCatString(PUNICODE_STRING DestinationString, NTSTRSAFE_PCWSTR pszSrc)
{
    const NTSTATUS Status = RtlUnicodeStringValidate(DestinationString);

    if (!NT_SUCCESS(Status))
        return Status;
    return RtlUnicodeStringPutStringWorker(DestinationString, DestinationString->Length / sizeof(WCHAR), pszSrc);
}

static inline NTSTATUS RtlUnicodeStringValidateBothWorker(PCUNICODE_STRING One, PCUNICODE_STRING Other)
{
    NTSTATUS Status = RtlUnicodeStringValidate(One);

    return NT_SUCCESS(Status) ? RtlUnicodeStringValidate(Other) : Status;
}

static inline NTSTATUS RtlUnicodeStringCopy(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString)
{
    NTSTATUS Status = RtlUnicodeStringValidateBothWorker(DestinationString, SourceString);

    if (!NT_SUCCESS(Status))
        return Status;
    return RtlUnicodeStringPutWorker(DestinationString, 0, SourceString->Buffer,
                                     SourceString->Length / sizeof(WCHAR));
}

static inline NTSTATUS RtlUnicodeStringCat(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString)
{
    NTSTATUS Status = RtlUnicodeStringValidateBothWorker(DestinationString, SourceString);

    if (!NT_SUCCESS(Status))
        return Status;
    return RtlUnicodeStringPutWorker(DestinationString, DestinationString->Length / sizeof(WCHAR),
                                     SourceString->Buffer, SourceString->Length / sizeof(WCHAR));
}

static inline NTSTATUS RtlUnicodeStringVPrintf(PUNICODE_STRING DestinationString, NTSTRSAFE_PCWSTR pszFormat,
                                             va_list argList)
{
    const NTSTATUS Status = RtlUnicodeStringValidate(DestinationString);
    size_t Room;
    int Count;

    if (!NT_SUCCESS(Status))
        return Status;
    Room = DestinationString->MaximumLength / sizeof(WCHAR);
    Count = _vsnwprintf(DestinationString->Buffer, Room, pszFormat, argList);
    DestinationString->Length = (USHORT)((Count < 0 ? Room : (size_t)Count) * sizeof(WCHAR));
    return Count < 0 ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static inline NTSTATUS RtlUnicodeStringPrintf(PUNICODE_STRING DestinationString, NTSTRSAFE_PCWSTR pszFormat, ...)
{
    NTSTATUS Status;
    va_list Arguments;

    va_start(Arguments, pszFormat);
    Status = RtlUnicodeStringVPrintf(DestinationString, pszFormat, Arguments);
    va_end(Arguments);
    return Status;
}

/* Copies a counted string into a buffer of cchDest characters, and ends it. */
static inline NTSTATUS RtlStringCchCopyUnicodeString(NTSTRSAFE_PWSTR pszDest, size_t cchDest,
                                                   PCUNICODE_STRING SourceString)
{
    const NTSTATUS Status = RtlUnicodeStringValidate(SourceString);
    size_t Count = 0;

    if (cchDest == 0 || cchDest > NTSTRSAFE_MAX_CCH)
        return STATUS_INVALID_PARAMETER;
    pszDest[0] = L'\0';
    if (!NT_SUCCESS(Status))
        return Status;
    if (SourceString != NULL)
        Count = SourceString->Length / sizeof(WCHAR);
    if (Count >= cchDest)
        Count = cchDest - 1;
    if (Count != 0)
        memmove(pszDest, SourceString->Buffer, Count * sizeof(WCHAR));
    pszDest[Count] = L'\0';
    if (SourceString != NULL && Count < SourceString->Length / sizeof(WCHAR))
        return STATUS_BUFFER_OVERFLOW;
    return STATUS_SUCCESS;
}

static inline NTSTATUS RtlStringCbCopyUnicodeString(NTSTRSAFE_PWSTR pszDest, size_t cbDest,
                                                  PCUNICODE_STRING SourceString)
{
    return RtlStringCchCopyUnicodeString(pszDest, cbDest / sizeof(WCHAR), SourceString);
}
