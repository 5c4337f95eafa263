/* What a request carries, and what its answer does. */
#pragma once

#include "frame.h"

typedef struct PAYLOAD {
    PBYTE Bytes;
    DWORD Count;        /* read: what is left; written: how much there is */
    DWORD Capacity;     /* of one that is written */
} PAYLOAD;

/* FALSE when the payload is too short. */
BOOL GetDword(PAYLOAD *Payload, PDWORD Value);

/* Callers leave room for what they put; what has none is left out. */
VOID PutDword(PAYLOAD *Payload, DWORD Value);
VOID PutBytes(PAYLOAD *Payload, const VOID *Bytes, DWORD Count);
