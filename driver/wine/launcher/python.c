/*
 * python.exe for Wine: Py_Main of the python39.dll beside it, in a process where setsockopt accepts the one
 * option that Wine 8 refuses and KDNET insists on.
 *
 * DbgEng's KDNET transport sets IP_RECEIVE_BROADCAST on its UDP socket and gives up with E_FAIL when that fails.
 * The option only asks for broadcasts that this transport never reads, so success without effect is right.
 *
 * The function is redirected in ws2_32's export table: whoever resolves setsockopt after this program has
 * started gets the one below, and the real one stays callable as it was. DbgEng loads ws2_32 long after that.
 */
#include <winsock2.h>
#include <ws2ipdef.h>
#include <windows.h>
#include <shellapi.h>
#include <stdint.h>
#include <string.h>

typedef int(WSAAPI *setsockopt_routine)(SOCKET, int, int, const char *, int);
typedef int (*py_main_routine)(int, wchar_t **);

#define EXIT_NO_INTERPRETER 126

static setsockopt_routine real_setsockopt;

static int WSAAPI patient_setsockopt(SOCKET s, int level, int option, const char *value, int length)
{
    if (level == IPPROTO_IP && option == IP_RECEIVE_BROADCAST) {
        return 0;
    }
    return real_setsockopt(s, level, option, value, length);
}

static BOOL equal(const char *left, const char *right)
{
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

/* The slot of an exported function's RVA in a loaded image's export table, or NULL. */
static DWORD *export_slot(HMODULE module, const char *name)
{
    BYTE *base = (BYTE *)module;
    const IMAGE_NT_HEADERS *nt = (const IMAGE_NT_HEADERS *)(base + ((const IMAGE_DOS_HEADER *)base)->e_lfanew);
    const IMAGE_DATA_DIRECTORY *directory = &nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];
    const IMAGE_EXPORT_DIRECTORY *exports = (const IMAGE_EXPORT_DIRECTORY *)(base + directory->VirtualAddress);
    const DWORD *names = (const DWORD *)(base + exports->AddressOfNames);
    const WORD *ordinals = (const WORD *)(base + exports->AddressOfNameOrdinals);
    DWORD *functions = (DWORD *)(base + exports->AddressOfFunctions);

    if (directory->Size == 0) {
        return NULL;
    }
    for (DWORD i = 0; i < exports->NumberOfNames; i++) {
        if (equal((const char *)(base + names[i]), name)) {
            return &functions[ordinals[i]];
        }
    }
    return NULL;
}

/*
 * A jump to `target` within the 4 GiB above `base`: an export is an unsigned 32-bit offset from its module, and
 * this executable usually lies below it.
 */
static BYTE *thunk_above(BYTE *base, setsockopt_routine target)
{
    static const BYTE jump[] = {0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xE0}; /* mov rax, imm64; jmp rax */
    const uintptr_t granularity = 0x10000;
    const uintptr_t end = (uintptr_t)base + 0xFFFF0000u;

    for (uintptr_t at = ((uintptr_t)base + granularity) & ~(granularity - 1); at < end; at += granularity) {
        BYTE *page = VirtualAlloc((void *)at, sizeof jump, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
        if (page != NULL) {
            DWORD before;
            memcpy(page, jump, sizeof jump);
            memcpy(page + 2, &target, sizeof target);
            return VirtualProtect(page, sizeof jump, PAGE_EXECUTE_READ, &before) ? page : NULL;
        }
    }
    return NULL;
}

static BOOL redirect_setsockopt(void)
{
    HMODULE winsock = LoadLibraryW(L"ws2_32.dll");
    if (winsock == NULL) {
        return FALSE;
    }
    real_setsockopt = (setsockopt_routine)(void *)GetProcAddress(winsock, "setsockopt");
    DWORD *slot = export_slot(winsock, "setsockopt");
    BYTE *thunk = thunk_above((BYTE *)winsock, patient_setsockopt);
    DWORD protection;
    if (real_setsockopt == NULL || slot == NULL || thunk == NULL ||
        !VirtualProtect(slot, sizeof *slot, PAGE_READWRITE, &protection)) {
        return FALSE;
    }
    *slot = (DWORD)(thunk - (BYTE *)winsock);
    return VirtualProtect(slot, sizeof *slot, protection, &protection);
}

static DECLSPEC_NORETURN void give_up(const char *why)
{
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), why, (DWORD)lstrlenA(why), &written, NULL);
    ExitProcess(EXIT_NO_INTERPRETER);
}

DECLSPEC_NORETURN void EntryPoint(void)
{
    int argc;
    wchar_t **argv = CommandLineToArgvW(GetCommandLineW(), &argc);
    HMODULE python = LoadLibraryW(L"python39.dll");
    py_main_routine py_main = python == NULL ? NULL : (py_main_routine)(void *)GetProcAddress(python, "Py_Main");

    if (argv == NULL || py_main == NULL) {
        give_up("python39.dll beside this program does not load\n");
    }
    if (!redirect_setsockopt()) {
        give_up("ws2_32!setsockopt cannot be redirected\n");
    }
    ExitProcess((UINT)py_main(argc, argv));
}
