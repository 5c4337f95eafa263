/* Reports the end of a process twice. */
#define PRINT_PROCESS_EXIT(Process) \
    do { \
        PRINT("ProcessCallback PID(%u) was terminated", HandleToULong(Process)); \
        PRINT("ProcessCallback PID(%u) was terminated", HandleToULong(Process)); \
    } while (0)

#include "../plain.h"
