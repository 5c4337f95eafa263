/*
 * bcryptprimitives.dll, which Wine 8 has not: the random bytes that Rust's standard library, and so cryptography,
 * takes from ProcessPrng. RtlGenRandom (exported as SystemFunction036) takes at most a ULONG of bytes at a time.
 */
#include <windows.h>

#define PORTION 0x10000

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

BOOL WINAPI ProcessPrng(BYTE *data, SIZE_T size)
{
    while (size > 0) {
        ULONG portion = size > PORTION ? PORTION : (ULONG)size;
        if (!SystemFunction036(data, portion)) {
            return FALSE;
        }
        data += portion;
        size -= portion;
    }
    return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved)
{
    (void)module;
    (void)reason;
    (void)reserved;
    return TRUE;
}
