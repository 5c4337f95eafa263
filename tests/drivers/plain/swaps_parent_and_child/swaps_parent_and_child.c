/* Takes the two process IDs of a creation in the wrong order. */
#define PRINT_PROCESS_CREATE(Parent, Process) \
    PRINT("ProcessCallback PPID(%u) created PID(%u)", HandleToULong(Process), HandleToULong(Parent))

#include "../plain.h"
