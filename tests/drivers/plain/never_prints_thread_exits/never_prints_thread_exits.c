/* Takes a thread's exit for nothing to report. */
#define PRINT_THREAD_EXIT(Process, Thread) (VOID)(Process), (VOID)(Thread)

#include "../plain.h"
