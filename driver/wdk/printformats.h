/* Let clang compare the arguments of the kernel's print routines with their format strings. Included before
 * everything else; the headers declare the same routines again, without the attribute. */
#ifndef PROCNOTIFY_PRINTFORMATS_H
#define PROCNOTIFY_PRINTFORMATS_H

#ifdef __cplusplus
extern "C" {
#endif

__declspec(dllimport) unsigned long __cdecl DbgPrint(const char *Format, ...)
    __attribute__((format(printf, 1, 2)));
__declspec(dllimport) unsigned long __cdecl DbgPrintEx(unsigned long ComponentId, unsigned long Level,
                                                       const char *Format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
