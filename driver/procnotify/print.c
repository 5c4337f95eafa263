#include "print.h"
#include "utf8.h"

/*
 * DbgPrint passes on 512 bytes of a call and silently drops the rest. Without its path an image line is at
 * most 190 bytes long, so with a piece of this size every call stays under 480.
 */
#define PIECE_SIZE 288

#define HEAD_FORMAT "%s PID(%u) loaded a/an "
#define PART_FORMAT "part(%u/%u) seq(%u) "
#define TAIL_FORMAT " at 0x%p" STAMP_FORMAT " size=0x%Ix}"

/* How many pieces the name from Position on makes. */
static ULONG CountPieces(PCUNICODE_STRING Name, USHORT Position)
{
    CHAR Piece[PIECE_SIZE];
    ULONG Pieces = 0;

    while (Position < Name->Length / sizeof(WCHAR)) {
        Utf8Piece(Name, &Position, Piece, sizeof(Piece));
        ++Pieces;
    }
    return Pieces;
}

/*
 * A line that might not fit one call is split, never cut: parts that share the line's sequence number, each
 * with a piece of it. The head goes with the first part, the tail with the last.
 */
VOID PrintImageLine(
    const STAMP *Stamp, PCSTR Function, ULONG ProcessId, PCUNICODE_STRING Name, PVOID Base, SIZE_T Size)
{
    static const UNICODE_STRING Unknown = RTL_CONSTANT_STRING(L"(null)");
    CHAR Piece[PIECE_SIZE];
    USHORT Position = 0;

    /* The name is NULL when the system had no memory for it. */
    if (Name == NULL || Name->Buffer == NULL)
        Name = &Unknown;

    Utf8Piece(Name, &Position, Piece, sizeof(Piece));
    const ULONG Parts = 1 + CountPieces(Name, Position);
    if (Parts == 1) {
        PRINT(HEAD_FORMAT "%s" TAIL_FORMAT, Function, ProcessId, Piece, Base, STAMP_ARGUMENTS(*Stamp), Size);
        return;
    }

    PRINT(PART_FORMAT HEAD_FORMAT "%s", 1, Parts, Stamp->Sequence, Function, ProcessId, Piece);
    for (ULONG Part = 2; Part < Parts; ++Part) {
        Utf8Piece(Name, &Position, Piece, sizeof(Piece));
        PRINT(PART_FORMAT "%s", Part, Parts, Stamp->Sequence, Piece);
    }
    Utf8Piece(Name, &Position, Piece, sizeof(Piece));
    PRINT(PART_FORMAT "%s" TAIL_FORMAT, Parts, Parts, Stamp->Sequence, Piece, Base, STAMP_ARGUMENTS(*Stamp),
        Size);
}
