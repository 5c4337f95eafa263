/* What the helper can do: one scenario action each. */
#pragma once

#include "arguments.h"

/* Bytes of each buffer that an action hands to a driver, and of the answer. */
#define BUFFER_CAPACITY 4096

/* What an action made. Zero where it made no such thing. */
typedef struct RESULT {
    DWORD Status;           /* 0, or the Win32 error of the call that failed */
    DWORD ChildProcessId;
    DWORD ChildThreadId;
    BOOL HasChildEnded;
    DWORD ChildExitCode;
    DWORD NewThreadId;
    HMODULE Base;
    BOOL IsAnswer;          /* of a driver: the three below are to be told */
    DWORD Returned;
    const BYTE *Output;
    DWORD OutputLength;
    DWORD ExitCode;         /* of the helper itself, after everything is reported */
} RESULT;

/* FALSE when the arguments are wrong, and nothing was done. */
typedef BOOL ACTION(ARGUMENTS *Arguments, RESULT *Result);

typedef struct ACTION_ENTRY {
    PCWSTR Word;
    PCSTR Name;
    ACTION *Do;
} ACTION_ENTRY;

/* Ends with an entry whose Word is NULL. */
extern const ACTION_ENTRY Actions[];
