/* The one program that runs at a time, and what it printed. Functions return 0 or a Win32 error. */
#pragma once

#include <windows.h>

/* What is kept of either output; the rest is counted and dropped. */
#define OUTPUT_CAPACITY (1024 * 1024)

typedef enum PROGRAM_STATE { PROGRAM_RUNS, PROGRAM_ENDED, PROGRAM_TERMINATED, PROGRAM_NONE } PROGRAM_STATE;

#define STREAM_COUNT 2
typedef struct OUTPUT {
    HANDLE Pipe;
    PBYTE Bytes;
    DWORD Count;
    DWORD Dropped;
} OUTPUT;

typedef struct PROGRAM {
    PROGRAM_STATE State;
    HANDLE Process;
    DWORD ProcessId;
    DWORD ExitCode;
    DWORD Started;              /* GetTickCount */
    DWORD Milliseconds;         /* then it is terminated */
    OUTPUT Outputs[STREAM_COUNT];   /* standard output, standard error */
} PROGRAM;

extern PROGRAM Program;

/* Starts it in place of the one before, which ends if it still runs. The command line is changed. */
DWORD StartProgram(PWSTR CommandLine, DWORD Milliseconds);

/* Takes what it printed, and notices its end or its deadline. */
VOID WatchProgram(VOID);

/* Terminates what still runs; what it printed is forgotten. */
VOID DropProgram(VOID);
