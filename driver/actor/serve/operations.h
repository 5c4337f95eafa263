/* What a request can ask for. */
#pragma once

#include "payload.h"

/* Begins a session. */
#define OPERATION_HELLO 1

#define PROTOCOL_VERSION 1

/* Not answered yet: see IsWaitOver. No Win32 error has this number. */
#define STATUS_LATER 0xFFFFFFFF

/* Does it, once. Returns 0 with the answer, a Win32 error, or STATUS_LATER. */
DWORD Perform(BYTE Operation, PAYLOAD *Asked, PAYLOAD *Answer);

/* Whether what is answered later can be answered now; then it is in *Answer. */
BOOL IsWaitOver(PAYLOAD *Answer);

/* Nothing is left of what the session before had under way. */
VOID DropEverything(VOID);
