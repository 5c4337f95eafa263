#include "arguments.h"
#include "text.h"

static VOID Put(ARGUMENTS *Arguments, PDWORD Length, WCHAR Character)
{
    if (*Length < ARGUMENT_CAPACITY - 1)
        Arguments->Current[(*Length)++] = Character;
}

static BOOL IsBlank(WCHAR Character)
{
    return Character == L' ' || Character == L'\t';
}

BOOL TakeArgument(ARGUMENTS *Arguments)
{
    PCWSTR At = Arguments->Rest;
    DWORD Length = 0;
    BOOL Quoted = FALSE;

    while (IsBlank(*At))
        ++At;
    if (*At == L'\0') {
        Arguments->Rest = At;
        return FALSE;
    }
    for (; *At != L'\0' && (Quoted || !IsBlank(*At)); ++At) {
        DWORD Backslashes = 0;

        while (At[Backslashes] == L'\\')
            ++Backslashes;
        /* Backslashes are only special before a quotation mark: a pair is one, an odd one quotes the mark. */
        const BOOL BeforeMark = At[Backslashes] == L'"';
        for (DWORD i = 0; i < (BeforeMark ? Backslashes / 2 : Backslashes); ++i)
            Put(Arguments, &Length, L'\\');
        At += Backslashes;
        if (BeforeMark && Backslashes % 2 == 0)
            Quoted = !Quoted;
        else if (BeforeMark || (*At != L'\0' && (Quoted || !IsBlank(*At))))
            Put(Arguments, &Length, *At);
        else
            break;
    }
    Arguments->Current[Length] = L'\0';
    while (IsBlank(*At))
        ++At;
    Arguments->Rest = At;
    return TRUE;
}

BOOL TakeNumber(ARGUMENTS *Arguments, PDWORD Number)
{
    return TakeArgument(Arguments) && ReadNumber(Arguments->Current, Number);
}

BOOL TakePath(ARGUMENTS *Arguments, PWSTR Path, PDWORD Status)
{
    if (!TakeArgument(Arguments))
        return FALSE;

    const DWORD Length = GetFullPathNameW(Arguments->Current, ARGUMENT_CAPACITY, Path, NULL);
    if (Length == 0)
        *Status = GetLastError();
    else if (Length >= ARGUMENT_CAPACITY)
        *Status = ERROR_FILENAME_EXCED_RANGE;
    return TRUE;
}
