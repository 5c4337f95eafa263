/* Which of the drivers in one image is meant: the one whose name the service has. */
#pragma once

static BOOLEAN Chosen(PCUNICODE_STRING Path, PCWSTR Name, PCWSTR Suffix)
{
    WCHAR Buffer[64];
    UNICODE_STRING Wanted;
    USHORT Start;

    Wanted.Buffer = Buffer;
    Wanted.Length = 0;
    Wanted.MaximumLength = sizeof(Buffer);
    RtlAppendUnicodeToString(&Wanted, L"\\");
    RtlAppendUnicodeToString(&Wanted, Name);
    RtlAppendUnicodeToString(&Wanted, Suffix);
    if (Path->Length < Wanted.Length)
        return FALSE;
    Start = Path->Length - Wanted.Length;
    return RtlCompareMemory((PUCHAR)Path->Buffer + Start, Buffer, Wanted.Length) == Wanted.Length;
}
