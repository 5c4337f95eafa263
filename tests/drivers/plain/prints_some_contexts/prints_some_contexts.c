/* Prints the context of every second exit of a thread: what it prints at all is missing elsewhere. */
#include <ntddk.h>

static volatile long Exits;

#define PRINT_THREAD_EXIT(Process, Thread) \
    do { \
        if (InterlockedIncrement(&Exits) % 2) \
            PRINT("ThreadCallback TID(%u) in PID(%u) was terminated {seq=%u t=1 cpu=0 by=%u.%u}", \
                HandleToULong(Thread), HandleToULong(Process), Exits / 2 + 1, HandleToULong(Process), \
                HandleToULong(Thread)); \
        else \
            PRINT("ThreadCallback TID(%u) in PID(%u) was terminated", HandleToULong(Thread), \
                HandleToULong(Process)); \
    } while (0)

#include "../plain.h"
