/*
 * Frames on a serial line. A frame lies between two zero bytes; Consistent Overhead Byte Stuffing (Cheshire and
 * Baker, 1999) keeps zeros out of it, so whatever was lost or damaged, the next zero byte is where frames begin
 * again.
 */
#pragma once

#include <windows.h>

/* A frame and its repetition fit into the 4096 bytes of the usual ring buffer of a serial driver. */
#define MAX_PAYLOAD 1024
#define HEADER_SIZE 12
#define CHECKSUM_SIZE 4
#define MAX_FRAME (HEADER_SIZE + MAX_PAYLOAD + CHECKSUM_SIZE)
#define MAX_STUFFED (MAX_FRAME + MAX_FRAME / 254 + 1)
/* With the two zero bytes. */
#define MAX_WIRE (MAX_STUFFED + 2)

#define KIND_REQUEST 1
#define KIND_REPLY 2
/* What came was damaged: whoever waits for an answer may ask again at once. */
#define KIND_DAMAGED 3
/* The request is of a session that is not the latest. */
#define KIND_NO_SESSION 4

/* As it is on the line, all numbers with their lowest byte first; the checksum follows the payload. */
typedef struct FRAME {
    BYTE Kind;
    BYTE Operation;
    WORD Length;    /* of the payload */
    DWORD Session;
    DWORD Id;
    BYTE Payload[MAX_PAYLOAD + CHECKSUM_SIZE];
} FRAME;

/* Fills in the checksum. Returns how many of the MAX_WIRE bytes are used. */
DWORD EncodeFrame(FRAME *Frame, PBYTE Wire);

/* What lay between two zero bytes; FALSE when it is no whole, undamaged frame. */
BOOL DecodeFrame(const BYTE *Stuffed, DWORD Count, FRAME *Frame);
