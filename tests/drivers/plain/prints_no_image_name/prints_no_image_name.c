/* Knows of no image what it is called. */
#define PRINT_IMAGE(Process, Name, Base) \
    PRINT("ImageCallback PID(%u) loaded a/an (null) at 0x%p", HandleToULong(Process), Base)

#include "../plain.h"
