/* What goes through the pipe of a process that keeps a device open. */
#pragma once

#include "actions.h"

typedef enum OPERATION {
    OPERATION_OPEN,
    OPERATION_CONTROL,
    OPERATION_READ,
    OPERATION_WRITE,
    OPERATION_AWAIT,
    OPERATION_CANCEL,
    OPERATION_CLOSE,
} OPERATION;

/* Bytes of the process's own, or an address of whatever lies there. */
typedef struct PASSED_BUFFER {
    BOOL IsAddress;
    DWORD Length;
    ULONGLONG Address;
    BYTE Bytes[BUFFER_CAPACITY];
} PASSED_BUFFER;

typedef struct ORDER {
    OPERATION Operation;
    DWORD Code;
    DWORD Offset;
    BOOL Pending;           /* the request may be left pending */
    PASSED_BUFFER Input;
    PASSED_BUFFER Output;   /* Bytes is what it holds before */
} ORDER;

typedef struct REPLY {
    DWORD Status;
    DWORD Returned;
    DWORD OutputLength;
    BYTE Output[BUFFER_CAPACITY];
} REPLY;

/* The name of the pipe of that process. */
#define PIPE_NAME_CAPACITY 64
VOID WritePipeName(PWSTR Name, DWORD ProcessId);
