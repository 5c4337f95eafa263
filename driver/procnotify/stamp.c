#include "stamp.h"

/*
 * KUSER_SHARED_DATA lies at a fixed address in every Windows since NT 3.5, so the clock costs no import.
 * Microsoft, ntddk.h: KSYSTEM_TIME InterruptTime at offset 8; KI_USER_SHARED_DATA per architecture.
 */
#if defined(_X86_)
#define SHARED_DATA_ADDRESS 0xFFDF0000UL
#else
#define SHARED_DATA_ADDRESS 0xFFFFF78000000000ULL
#endif
#define INTERRUPT_TIME ((const volatile KSYSTEM_TIME *)(SHARED_DATA_ADDRESS + 8))

static volatile LONG LastSequence;

/* The clock interrupt writes High2, Low, High1 in that order: both halves agree once High1 equals High2. */
static ULONGLONG InterruptTime(VOID)
{
    LONG High;
    ULONG Low;

    do {
        High = INTERRUPT_TIME->High1Time;
        Low = INTERRUPT_TIME->LowPart;
    } while (High != INTERRUPT_TIME->High2Time);
    return ((ULONGLONG)(ULONG)High << 32) | Low;
}

/*
 * KeGetCurrentProcessorNumber is an inline function of the WDK on x64 (gs:[0x184]) and x86 (fs:[0x51], KPCR's
 * Number); no kernel older than Windows 7 exports KeGetCurrentProcessorNumberEx. The mingw-w64 headers have no
 * correct inline for all three architectures.
 */
static ULONG CurrentProcessor(VOID)
{
#if defined(_AMD64_)
    ULONG Number;

    __asm__ volatile("movl %%gs:0x184, %0" : "=r"(Number));
    return Number;
#elif defined(_X86_)
    UCHAR Number;

    __asm__ volatile("movb %%fs:0x51, %0" : "=q"(Number));
    return Number;
#else
    return KeGetCurrentProcessorNumberEx(NULL);
#endif
}

STAMP TakeStamp(VOID)
{
    STAMP Stamp;

    Stamp.Sequence = (ULONG)InterlockedIncrement(&LastSequence);
    Stamp.Time = InterruptTime();
    Stamp.Processor = CurrentProcessor();
    Stamp.ProcessId = HandleToULong(PsGetCurrentProcessId());
    Stamp.ThreadId = HandleToULong(PsGetCurrentThreadId());
    return Stamp;
}
