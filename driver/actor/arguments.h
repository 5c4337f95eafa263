/* The command line, one argument at a time, by the rules of Microsoft's C runtime. */
#pragma once

#include <windows.h>

#define ARGUMENT_CAPACITY 32768

typedef struct ARGUMENTS {
    PCWSTR Rest;                        /* what was not taken yet, as it was typed */
    WCHAR Current[ARGUMENT_CAPACITY];   /* the argument taken last, unquoted */
} ARGUMENTS;

/* FALSE when there is no further argument. */
BOOL TakeArgument(ARGUMENTS *Arguments);

/* The next argument as a decimal number; FALSE when it is missing or none. */
BOOL TakeNumber(ARGUMENTS *Arguments, PDWORD Number);

/*
 * The next argument as a path that means the same in every process. Path has ARGUMENT_CAPACITY characters.
 * FALSE when it is missing; *Status is a Win32 error where it has no full path.
 */
BOOL TakePath(ARGUMENTS *Arguments, PWSTR Path, PDWORD Status);
