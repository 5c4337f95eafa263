/*
 * 64-bit division on x86. clang for this target calls the functions of GCC's runtime; the kernel exports the
 * same arithmetic under the names that Microsoft's compiler calls.
 */
typedef unsigned long long U64;
typedef long long S64;

__declspec(dllimport) U64 __stdcall _aulldiv(U64 Dividend, U64 Divisor);
__declspec(dllimport) U64 __stdcall _aullrem(U64 Dividend, U64 Divisor);
__declspec(dllimport) S64 __stdcall _alldiv(S64 Dividend, S64 Divisor);
__declspec(dllimport) S64 __stdcall _allrem(S64 Dividend, S64 Divisor);

U64 __cdecl __udivdi3(U64 Dividend, U64 Divisor)
{
    return _aulldiv(Dividend, Divisor);
}

U64 __cdecl __umoddi3(U64 Dividend, U64 Divisor)
{
    return _aullrem(Dividend, Divisor);
}

S64 __cdecl __divdi3(S64 Dividend, S64 Divisor)
{
    return _alldiv(Dividend, Divisor);
}

S64 __cdecl __moddi3(S64 Dividend, S64 Divisor)
{
    return _allrem(Dividend, Divisor);
}
