/*
 * What every line of the driver carries besides its text: which line it is, when the callback was entered,
 * and where it ran. Taken at callback entry: two processors may print in the other order.
 */
#pragma once

#include <ntddk.h>

typedef struct STAMP {
    ULONG Sequence;     /* counts every line of the driver, from 1; a gap is a lost line */
    ULONGLONG Time;     /* interrupt time: 100 ns units since boot */
    ULONG Processor;
    ULONG ProcessId;    /* of the thread in whose context the callback runs */
    ULONG ThreadId;
} STAMP;

STAMP TakeStamp(VOID);

/* The tail of a line, without the closing brace: an image line has its size there. */
#define STAMP_FORMAT " {seq=%u t=%I64u cpu=%u by=%u.%u"
#define STAMP_ARGUMENTS(Stamp) \
    (Stamp).Sequence, (Stamp).Time, (Stamp).Processor, (Stamp).ProcessId, (Stamp).ThreadId
