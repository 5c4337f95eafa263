/* A serial port, and the frames that come over it. */
#pragma once

#include "frame.h"

typedef struct LINE {
    HANDLE Port;
    DWORD Timeout;                  /* of a read, in milliseconds, as the port has it */
    DWORD Count;                    /* of Stuffed; more than its size while what comes is too long */
    BYTE Stuffed[MAX_STUFFED];      /* since the last zero byte */
} LINE;

/* COM2, or the path of a device. Returns 0 or a Win32 error. */
DWORD OpenLine(LINE *Line, PCWSTR Name, DWORD Baud);

VOID CloseLine(LINE *Line);

/*
 * Waits for bytes for that many milliseconds, and takes up to Capacity of them that are there. Returns 0, with
 * *Count 0 when none came, or a Win32 error when the port is gone.
 */
DWORD ReadLine(LINE *Line, PBYTE Bytes, DWORD Capacity, DWORD Milliseconds, PDWORD Count);

/* What does not go out within some seconds is lost; the other side asks again. */
VOID WriteFrame(LINE *Line, FRAME *Frame);

typedef enum ARRIVAL { ARRIVAL_NOTHING, ARRIVAL_FRAME, ARRIVAL_DAMAGE } ARRIVAL;

/* Takes one byte off the line; whether it completed a frame, or something that was one. */
ARRIVAL TakeByte(LINE *Line, BYTE Byte, FRAME *Frame);
