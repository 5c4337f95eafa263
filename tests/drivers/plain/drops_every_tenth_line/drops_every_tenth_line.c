/* Loses every tenth line. It has no numbers, so nothing tells that but what is missing. */
#include <ntddk.h>

static volatile long Lines;

#define PRINT(Format, ...) \
    do { \
        if (InterlockedIncrement(&Lines) % 10) \
            DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "[procnotify] " Format "\n", __VA_ARGS__); \
    } while (0)

#include "../plain.h"
