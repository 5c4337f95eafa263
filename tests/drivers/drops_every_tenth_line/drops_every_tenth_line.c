/* Counts every line and swallows each tenth before it is printed. */
#include <ntddk.h>

static volatile LONG Lines;

#define DbgPrintEx(...) (InterlockedIncrement(&Lines) % 10 == 0 ? STATUS_SUCCESS : DbgPrintEx(__VA_ARGS__))

#include "../ours.h"
#include "../registration.h"
