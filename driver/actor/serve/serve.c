#include "serve.h"

#include "../text.h"
#include "service.h"
#include "session.h"

/* How long a read waits: a program that runs is looked at often. */
#define IDLE_MILLISECONDS 500
#define BUSY_MILLISECONDS 10
/* Between two tries of a port that is not there. */
#define AGAIN_MILLISECONDS 1000

static LINE Line;

static DWORD ServeOnce(PDWORD Milliseconds)
{
    static BYTE Bytes[4096];
    static FRAME Frame;
    DWORD Count;
    const DWORD Status = ReadLine(&Line, Bytes, sizeof(Bytes), *Milliseconds, &Count);

    for (DWORD i = 0; i < Count; ++i) {
        switch (TakeByte(&Line, Bytes[i], &Frame)) {
        case ARRIVAL_FRAME:
            HandleFrame(&Line, &Frame);
            break;
        case ARRIVAL_DAMAGE:
            SayDamaged(&Line);
            break;
        case ARRIVAL_NOTHING:
            break;
        }
    }
    *Milliseconds = HandleTime(&Line) ? BUSY_MILLISECONDS : IDLE_MILLISECONDS;
    return Status;
}

VOID ServePort(PCWSTR Port, DWORD Baud, volatile BOOL *Stopping)
{
    while (!*Stopping) {
        DWORD Milliseconds = IDLE_MILLISECONDS;

        if (OpenLine(&Line, Port, Baud) == ERROR_SUCCESS) {
            while (!*Stopping && ServeOnce(&Milliseconds) == ERROR_SUCCESS)
                ;
            CloseLine(&Line);
        }
        if (!*Stopping)
            Sleep(AGAIN_MILLISECONDS);
    }
    EndSession();
}

typedef enum MODE { MODE_HERE, MODE_SERVICE, MODE_INSTALL, MODE_UNINSTALL } MODE;

static BOOL TakeMode(PCWSTR Word, MODE *Mode)
{
    static const PCWSTR Words[] = {NULL, L"--service", L"--install", L"--uninstall"};

    for (int i = MODE_SERVICE; i <= MODE_UNINSTALL; ++i) {
        if (lstrcmpW(Word, Words[i]) == 0) {
            *Mode = (MODE)i;
            return TRUE;
        }
    }
    return FALSE;
}

BOOL Serve(ARGUMENTS *Arguments, RESULT *Result)
{
    static WCHAR Port[MAX_PATH];
    static volatile BOOL Never = FALSE;
    TEXT_LINE Said = {.Length = 0};
    DWORD Baud = 0;
    MODE Mode = MODE_HERE;

    while (TakeArgument(Arguments)) {
        if (TakeMode(Arguments->Current, &Mode))
            continue;
        if (Port[0] == L'\0' && lstrlenW(Arguments->Current) < MAX_PATH)
            lstrcpyW(Port, Arguments->Current);
        else if (Baud != 0 || !ReadNumber(Arguments->Current, &Baud) || Baud == 0)
            return FALSE;
    }
    if (Baud == 0)
        Baud = DEFAULT_BAUD;
    if (Port[0] == L'\0' && Mode != MODE_UNINSTALL)
        return FALSE;

    switch (Mode) {
    case MODE_INSTALL:
        Result->Status = InstallHelper(Port, Baud);
        break;
    case MODE_UNINSTALL:
        Result->Status = RemoveHelper();
        break;
    case MODE_SERVICE:
        Result->Status = RunAsService(Port, Baud);
        break;
    case MODE_HERE:
        /* A port that was never there is more likely a wrong name. */
        Result->Status = OpenLine(&Line, Port, Baud);
        if (Result->Status == ERROR_SUCCESS) {
            CloseLine(&Line);
            PutText(&Said, "serving; Ctrl-C ends it");
            WriteTo(STD_OUTPUT_HANDLE, &Said);
            ServePort(Port, Baud, &Never);
        }
        break;
    }
    return TRUE;
}
