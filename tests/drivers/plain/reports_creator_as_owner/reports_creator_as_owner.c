/* Reports the process that creates a thread as the one that has it. */
#define PRINT_THREAD_CREATE(Process, Thread) \
    PRINT("ThreadCallback TID(%u) was created in PID(%u) by PID(%u)", HandleToULong(Thread), \
        HandleToULong(PsGetCurrentProcessId()), HandleToULong(Process))

#include "../plain.h"
