/*
 * UTF-16 to UTF-8 by hand, piece by piece, at any IRQL. DbgPrint's own %wZ is only allowed at PASSIVE_LEVEL
 * and stops at characters that the system's ANSI code page does not have.
 */
#pragma once

#include <ntddk.h>

/*
 * Writes as many whole characters from *Position on as fit, ends them with a NUL and moves *Position.
 * Size is the buffer's size in bytes, at least 4 + 1. Control characters, which could end the line or the
 * string, and halves of surrogate pairs become U+FFFD.
 */
VOID Utf8Piece(PCUNICODE_STRING Text, PUSHORT Position, PSTR Buffer, SIZE_T Size);
