/* Prints a thread's ID where the ID of its process belongs, when the thread ends. */
#define PRINT_THREAD_EXIT(Process, Thread) \
    PRINT("ThreadCallback TID(%u) in PID(%u) was terminated", HandleToULong(Process), HandleToULong(Thread))

#include "../plain.h"
