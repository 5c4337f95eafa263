#include "frame.h"

/* CRC-32 of IEEE 802.3, as zlib's. */
static DWORD Checksum(const BYTE *Bytes, DWORD Count)
{
    DWORD Crc = 0xFFFFFFFF;

    while (Count-- > 0) {
        Crc ^= *Bytes++;
        for (int Bit = 0; Bit < 8; ++Bit)
            Crc = Crc >> 1 ^ (Crc & 1 ? 0xEDB88320 : 0);
    }
    return ~Crc;
}

/* Each group begins with the distance to its end, where a zero was; a group of 254 bytes has none. */
static DWORD Stuff(const BYTE *Bytes, DWORD Count, PBYTE Stuffed)
{
    DWORD Start = 0, At = 1;

    for (DWORD i = 0; i < Count; ++i) {
        if (Bytes[i] != 0)
            Stuffed[At++] = Bytes[i];
        if (Bytes[i] == 0 || At - Start == 0xFF) {
            Stuffed[Start] = (BYTE)(At - Start);
            Start = At++;
        }
    }
    Stuffed[Start] = (BYTE)(At - Start);
    return At;
}

static BOOL Unstuff(const BYTE *Stuffed, DWORD Count, PBYTE Bytes, DWORD Capacity, PDWORD Unstuffed)
{
    DWORD At = 0, Length = 0;

    while (At < Count) {
        const BYTE Distance = Stuffed[At];

        if (Distance == 0 || Distance > Count - At || Distance - 1u > Capacity - Length)
            return FALSE;
        for (DWORD i = 1; i < Distance; ++i)
            Bytes[Length++] = Stuffed[At + i];
        At += Distance;
        if (Distance == 0xFF || At == Count)
            continue;
        if (Length == Capacity)
            return FALSE;
        Bytes[Length++] = 0;
    }
    *Unstuffed = Length;
    return TRUE;
}

DWORD EncodeFrame(FRAME *Frame, PBYTE Wire)
{
    const DWORD Size = HEADER_SIZE + Frame->Length;
    const DWORD Crc = Checksum((const BYTE *)Frame, Size);

    CopyMemory((PBYTE)Frame + Size, &Crc, CHECKSUM_SIZE);
    Wire[0] = 0;
    const DWORD Stuffed = Stuff((const BYTE *)Frame, Size + CHECKSUM_SIZE, Wire + 1);
    Wire[1 + Stuffed] = 0;
    return Stuffed + 2;
}

BOOL DecodeFrame(const BYTE *Stuffed, DWORD Count, FRAME *Frame)
{
    DWORD Size, Crc;

    if (!Unstuff(Stuffed, Count, (PBYTE)Frame, sizeof(*Frame), &Size) || Size < HEADER_SIZE + CHECKSUM_SIZE)
        return FALSE;
    Size -= CHECKSUM_SIZE;
    CopyMemory(&Crc, (const BYTE *)Frame + Size, CHECKSUM_SIZE);
    return Frame->Length == Size - HEADER_SIZE && Crc == Checksum((const BYTE *)Frame, Size);
}
