#include "text.h"

/* Of ntdll, which the SDK's headers leave out; the values are dpfilter.h's. */
__declspec(dllimport) ULONG __cdecl DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...);
#define DPFLTR_IHVDRIVER_ID 77
#define DPFLTR_ERROR_LEVEL 0

/* Room for a line feed and the terminating NUL stays free. */
static VOID PutByte(TEXT_LINE *Line, CHAR Byte)
{
    if (Line->Length < sizeof(Line->Bytes) - 2)
        Line->Bytes[Line->Length++] = Byte;
}

VOID PutText(TEXT_LINE *Line, PCSTR Text)
{
    while (*Text != '\0')
        PutByte(Line, *Text++);
}

VOID WriteNumber(PWSTR Text, DWORD Number)
{
    WCHAR Digits[DIGITS_CAPACITY];
    DWORD Count = 0;

    do {
        Digits[Count++] = (WCHAR)(L'0' + Number % 10);
        Number /= 10;
    } while (Number != 0);
    while (Count > 0)
        *Text++ = Digits[--Count];
    *Text = L'\0';
}

VOID PutNumber(TEXT_LINE *Line, DWORD Number)
{
    WCHAR Digits[DIGITS_CAPACITY];

    WriteNumber(Digits, Number);
    for (PCWSTR At = Digits; *At != L'\0'; ++At)
        PutByte(Line, (CHAR)*At);
}

VOID PutHex(TEXT_LINE *Line, ULONG_PTR Number)
{
    PutText(Line, "0x");
    for (int Shift = sizeof(Number) * 8 - 4; Shift >= 0; Shift -= 4)
        PutByte(Line, "0123456789abcdef"[Number >> Shift & 0xF]);
}

VOID PutByteInHex(TEXT_LINE *Line, BYTE Byte)
{
    PutByte(Line, "0123456789abcdef"[Byte >> 4]);
    PutByte(Line, "0123456789abcdef"[Byte & 0xF]);
}

static VOID EndLine(TEXT_LINE *Line)
{
    Line->Bytes[Line->Length++] = '\n';
    Line->Bytes[Line->Length] = '\0';
}

VOID SayToDebugger(TEXT_LINE *Line)
{
    EndLine(Line);
    /* Not OutputDebugString: the kernel filters that as it does a plain DbgPrint, and errors alone pass. */
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "%s", Line->Bytes);
}

BOOL WriteTo(DWORD StandardHandle, TEXT_LINE *Line)
{
    EndLine(Line);
    return WritePieceTo(StandardHandle, Line);
}

BOOL WritePieceTo(DWORD StandardHandle, TEXT_LINE *Line)
{
    const DWORD Length = Line->Length;
    DWORD Written;

    Line->Length = 0;
    return WriteFile(GetStdHandle(StandardHandle), Line->Bytes, Length, &Written, NULL) && Written == Length;
}

BOOL ReadNumber(PCWSTR Text, PDWORD Number)
{
    DWORD Value = 0;

    if (*Text == L'\0')
        return FALSE;
    for (; *Text != L'\0'; ++Text) {
        const DWORD Digit = (DWORD)(*Text - L'0');

        if (*Text < L'0' || *Text > L'9' || Value > (MAXDWORD - Digit) / 10)
            return FALSE;
        Value = Value * 10 + Digit;
    }
    *Number = Value;
    return TRUE;
}
