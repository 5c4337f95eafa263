/* python.exe: Py_Main of the python311.dll beside it, as a python.org installation has it. */
#include <windows.h>
#include <shellapi.h>

#define EXIT_NO_INTERPRETER 126

typedef int (*py_main_routine)(int, wchar_t **);

DECLSPEC_NORETURN void EntryPoint(void)
{
    int argc;
    wchar_t **argv = CommandLineToArgvW(GetCommandLineW(), &argc);
    HMODULE python = LoadLibraryW(L"python311.dll");
    py_main_routine py_main = python == NULL ? NULL : (py_main_routine)(void *)GetProcAddress(python, "Py_Main");

    ExitProcess(argv == NULL || py_main == NULL ? EXIT_NO_INTERPRETER : (UINT)py_main(argc, argv));
}
