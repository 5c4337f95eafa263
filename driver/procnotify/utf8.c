#include "utf8.h"

#define REPLACEMENT 0xFFFD

/* The code point at *Position (in characters of UTF-16), which moves past it. */
static ULONG NextCodePoint(PCUNICODE_STRING Text, PUSHORT Position)
{
    const USHORT Count = Text->Length / sizeof(WCHAR);
    const ULONG First = Text->Buffer[(*Position)++];

    if (First < 0x20 || First == 0x7F)
        return REPLACEMENT;
    if (First < 0xD800 || First > 0xDFFF)
        return First;
    if (First > 0xDBFF || *Position == Count)
        return REPLACEMENT;

    const ULONG Second = Text->Buffer[*Position];
    if (Second < 0xDC00 || Second > 0xDFFF)
        return REPLACEMENT;
    ++*Position;
    return 0x10000 + ((First - 0xD800) << 10) + (Second - 0xDC00);
}

static ULONG Encode(ULONG CodePoint, UCHAR Bytes[4])
{
    if (CodePoint < 0x80) {
        Bytes[0] = (UCHAR)CodePoint;
        return 1;
    }
    if (CodePoint < 0x800) {
        Bytes[0] = (UCHAR)(0xC0 | CodePoint >> 6);
        Bytes[1] = (UCHAR)(0x80 | (CodePoint & 0x3F));
        return 2;
    }
    if (CodePoint < 0x10000) {
        Bytes[0] = (UCHAR)(0xE0 | CodePoint >> 12);
        Bytes[1] = (UCHAR)(0x80 | (CodePoint >> 6 & 0x3F));
        Bytes[2] = (UCHAR)(0x80 | (CodePoint & 0x3F));
        return 3;
    }
    Bytes[0] = (UCHAR)(0xF0 | CodePoint >> 18);
    Bytes[1] = (UCHAR)(0x80 | (CodePoint >> 12 & 0x3F));
    Bytes[2] = (UCHAR)(0x80 | (CodePoint >> 6 & 0x3F));
    Bytes[3] = (UCHAR)(0x80 | (CodePoint & 0x3F));
    return 4;
}

VOID Utf8Piece(PCUNICODE_STRING Text, PUSHORT Position, PSTR Buffer, SIZE_T Size)
{
    const USHORT Count = Text->Length / sizeof(WCHAR);
    SIZE_T Used = 0;

    while (*Position < Count) {
        UCHAR Bytes[4];
        USHORT Next = *Position;
        const ULONG Length = Encode(NextCodePoint(Text, &Next), Bytes);

        if (Used + Length + 1 > Size)
            break;
        for (ULONG i = 0; i < Length; ++i)
            Buffer[Used++] = (CHAR)Bytes[i];
        *Position = Next;
    }
    Buffer[Used] = '\0';
}
