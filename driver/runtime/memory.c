/*
 * The memory functions that a C compiler may call for an assignment or an initialiser. Nothing here links a C
 * runtime, and not every version of ntoskrnl and ntdll exports all of them.
 */
typedef __SIZE_TYPE__ SIZE;

void *__cdecl memcpy(void *Target, const void *Source, SIZE Count)
{
    unsigned char *To = Target;
    const unsigned char *From = Source;

    while (Count-- > 0)
        *To++ = *From++;
    return Target;
}

void *__cdecl memmove(void *Target, const void *Source, SIZE Count)
{
    unsigned char *To = Target;
    const unsigned char *From = Source;

    if (To < From)
        return memcpy(Target, Source, Count);
    while (Count-- > 0)
        To[Count] = From[Count];
    return Target;
}

void *__cdecl memset(void *Target, int Value, SIZE Count)
{
    unsigned char *To = Target;

    while (Count-- > 0)
        *To++ = (unsigned char)Value;
    return Target;
}

int __cdecl memcmp(const void *First, const void *Second, SIZE Count)
{
    const unsigned char *Left = First;
    const unsigned char *Right = Second;

    for (; Count > 0 && *Left == *Right; --Count)
        ++Left, ++Right;
    return Count == 0 ? 0 : *Left - *Right;
}
