"""The C run-time library's formatted output, characters and numbers, called by a compiled driver."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck
from harness.virtual.kernel.wideformat import compile_wide_format, render_wide

DECLARED = r"""
#include <ntddk.h>
#include <stdarg.h>
#define C(type, name, ...) __declspec(dllimport) type __cdecl name(__VA_ARGS__)
C(int, _snprintf_s, char *, SIZE_T, SIZE_T, const char *, ...);
C(int, _vsnprintf_s, char *, SIZE_T, SIZE_T, const char *, va_list);
C(int, sprintf_s, char *, SIZE_T, const char *, ...);
C(int, vsprintf_s, char *, SIZE_T, const char *, va_list);
C(int, _snwprintf, WCHAR *, SIZE_T, const WCHAR *, ...);
C(int, _vsnwprintf, WCHAR *, SIZE_T, const WCHAR *, va_list);
C(int, _snwprintf_s, WCHAR *, SIZE_T, SIZE_T, const WCHAR *, ...);
C(int, _vsnwprintf_s, WCHAR *, SIZE_T, SIZE_T, const WCHAR *, va_list);
C(int, swprintf_s, WCHAR *, SIZE_T, const WCHAR *, ...);
C(int, vswprintf_s, WCHAR *, SIZE_T, const WCHAR *, va_list);
C(int, _swprintf, WCHAR *, const WCHAR *, ...);
C(int, _vswprintf, WCHAR *, const WCHAR *, va_list);
C(char *, strncat, char *, const char *, SIZE_T);
C(int, strncat_s, char *, SIZE_T, const char *, SIZE_T);
C(int, wcsncat_s, WCHAR *, SIZE_T, const WCHAR *, SIZE_T);
C(char *, _strupr, char *);
C(char *, _strrev, char *);
C(WCHAR *, _wcsupr, WCHAR *);
C(WCHAR *, _wcsrev, WCHAR *);
C(SIZE_T, strspn, const char *, const char *);
C(SIZE_T, wcsspn, const WCHAR *, const WCHAR *);
C(SIZE_T, wcscspn, const WCHAR *, const WCHAR *);
C(int, isdigit, int);
C(int, isxdigit, int);
C(int, islower, int);
C(int, isupper, int);
C(int, isspace, int);
C(int, isprint, int);
C(int, _wtoi, const WCHAR *);
C(unsigned long, wcstoul, const WCHAR *, WCHAR **, int);
C(unsigned __int64, _strtoui64, const char *, char **, int);
C(int, _itoa_s, int, char *, SIZE_T, int);
C(int, _ui64tow_s, unsigned __int64, WCHAR *, SIZE_T, int);
C(char *, _itoa, int, char *, int);
C(WCHAR *, _itow, int, WCHAR *, int);
C(int, rand, void);
C(void, srand, unsigned);
C(SIZE_T, mbstowcs, WCHAR *, const char *, SIZE_T);
C(SIZE_T, wcstombs, char *, const WCHAR *, SIZE_T);
C(int, mbtowc, WCHAR *, const char *, SIZE_T);
C(int, wctomb, char *, WCHAR);
#define TRUNCATE ((SIZE_T)-1)

static void Body(void);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    Body();
    return STATUS_SUCCESS;
}
"""

NARROW = r"""
static int Listed(int which, char *buffer, SIZE_T size, const char *form, ...)
{
    int result;
    va_list list;
    va_start(list, form);
    result = which ? vsprintf_s(buffer, size, form, list) : _vsnprintf_s(buffer, size, TRUNCATE, form, list);
    va_end(list);
    return result;
}

static void Body(void)
{
    char b[8] = "old";
    DbgPrint("%d %s\n", sprintf_s(b, 8, "%s-%d", "abc", 7), b);
    DbgPrint("%d [%s]\n", sprintf_s(b, 8, "%s", "12345678"), b);
    DbgPrint("%d\n", sprintf_s(NULL, 8, "%s", "x"));
    DbgPrint("%d\n", sprintf_s(b, 0, "%s", "x"));
    DbgPrint("%d\n", sprintf_s(b, 8, NULL));
    DbgPrint("%d %s\n", _snprintf_s(b, 8, TRUNCATE, "%s", "123456789"), b);
    DbgPrint("%d %s\n", _snprintf_s(b, 8, 3, "%s", "123456789"), b);
    DbgPrint("%d [%s]\n", _snprintf_s(b, 8, 20, "%s", "123456789"), b);
    DbgPrint("%d %s\n", Listed(0, b, 8, "%u.%u", 10, 20), b);
    DbgPrint("%d %s\n", Listed(1, b, 8, "%x%c", 0xAB, 'z'), b);
}
"""

NARROW_PRINTS = [
    "5 abc-7",
    "-1 []",
    "-1",
    "-1",
    "-1",
    "-1 1234567",
    "-1 123",
    "-1 []",
    "5 10.20",
    "3 abz",
]

WIDE = r"""
static int Listed(int which, WCHAR *b, const WCHAR *form, ...)
{
    int result = -2;
    va_list list;
    va_start(list, form);
    switch (which) {
    case 0: result = _vsnwprintf(b, 16, form, list); break;
    case 1: result = _vsnwprintf_s(b, 16, TRUNCATE, form, list); break;
    case 2: result = vswprintf_s(b, 16, form, list); break;
    case 3: result = _vswprintf(b, form, list); break;
    }
    va_end(list);
    return result;
}

static void Body(void)
{
    WCHAR b[16] = L"old";
    int n;
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, L"\\??\\x");
    for (n = 0; n < 4; n++)
        DbgPrint("%d", Listed(n, b, L"%s|%S|%d%%", L"wide", "thin", n)), DbgPrint(" %ws\n", b);
    DbgPrint("%d", _snwprintf(b, 16, L"%wZ %-4u|%04x", &name, 7, 0xBE)), DbgPrint(" %ws\n", b);
    DbgPrint("%d", _snwprintf(b, 3, L"12345")), DbgPrint(" %.3ws\n", b);
    DbgPrint("%d", _swprintf(b, L"%hs%ls%c%C", "h", L"l", L'c', 'C')), DbgPrint(" %ws\n", b);
    DbgPrint("%d", swprintf_s(b, 4, L"12345")), DbgPrint(" [%ws]\n", b);
    DbgPrint("%d", _snwprintf_s(b, 4, TRUNCATE, L"12345")), DbgPrint(" %ws\n", b);
    DbgPrint("%d\n", swprintf_s(NULL, 4, L"1"));
    DbgPrint("%d", _snwprintf_s(b, 16, 16, L"%p", (void *)0x10)), DbgPrint(" [%ws]\n", b);
}
"""

WIDE_PRINTS = [
    "12 wide|thin|0%",
    "12 wide|thin|1%",
    "12 wide|thin|2%",
    "12 wide|thin|3%",
    "15 \\??\\x 7   |00be",
    "-1 123",
    "4 hlcC",
    "-1 []",
    "-1 123",
    "-1",
    "-1 []",
]

REST = r"""
static void Body(void)
{
    char b[16] = "abc", *end;
    WCHAR w[16] = L"abc", *wend;
    DbgPrint("%s", strncat(b, "defgh", 2)), DbgPrint(" %d", strncat_s(b, 16, "XYZ", 2));
    DbgPrint(" %s", b), DbgPrint(" %d", strncat_s(b, 8, "XYZ", 3)), DbgPrint(" [%s]\n", b);
    DbgPrint("%d", wcsncat_s(w, 16, L"def", 2)), DbgPrint(" %ws", w), DbgPrint(" %ws", _wcsupr(w));
    DbgPrint(" %ws\n", _wcsrev(w));
    RtlCopyMemory(b, "xY\xe4z", 5);
    DbgPrint("%d", RtlCompareMemory(_strupr(b), "XY\xe4Z", 5) == 5), DbgPrint(" %d\n", _strrev(b)[0] == 'Z');
    DbgPrint("%d", (int)strspn("aab1", "ba"));
    DbgPrint(" %d %d\n", (int)wcsspn(L"12x", L"0123"), (int)wcscspn(L"xy:z", L":"));
    DbgPrint("%d%d %d%d %d%d %d%d %d%d %d%d\n",
        !!isdigit('7'), !!isdigit('x'), !!isxdigit('f'), !!isxdigit('g'),
        !!islower('a'), !!islower('A'), !!isupper('A'), !!isupper(0xC4), !!isspace('\t'), !!isspace('x'),
        !!isprint('~'), !!isprint(0x7F));
    DbgPrint("%d %d\n", _wtoi(L"  -42x"), _wtoi(L"x"));
    DbgPrint("%x", wcstoul(L"0x1Fq", &wend, 0)), DbgPrint(" %c", wend[0]);
    DbgPrint(" %x\n", wcstoul(L"99999999999", NULL, 10));
    DbgPrint("%I64x", _strtoui64("ffffffffffffffff!", &end, 16)), DbgPrint(" %s\n", end);
    DbgPrint("%d", _itoa_s(-5, b, 16, 10)), DbgPrint(" %s", b), DbgPrint(" %d", _itoa_s(-1, b, 16, 16));
    DbgPrint(" %s", b), DbgPrint(" %d", _itoa_s(1234, b, 4, 10));
    DbgPrint(" [%s] %d\n", b, _itoa_s(1, NULL, 4, 10));
    DbgPrint("%d", _ui64tow_s(18446744073709551615ull, w, 16, 16)), DbgPrint(" [%ws]", w);
    DbgPrint(" %d", _ui64tow_s(255, w, 16, 36)), DbgPrint(" %ws\n", w);
    DbgPrint("%s %ws\n", _itoa(10, b, 2), _itow(-7, w, 10));
    srand(1);
    DbgPrint("%d", rand()), DbgPrint(" %d\n", rand());
    DbgPrint("%d", (int)mbstowcs(w, "h\xe9", 16)), DbgPrint(" %x", w[1]);
    DbgPrint(" %d", (int)wcstombs(b, L"h\x00e9", 16)), DbgPrint(" %d", (int)wcstombs(b, L"\x4e00", 16));
    DbgPrint(" %d\n", (int)wcstombs(NULL, L"four", 0));
    DbgPrint("%d %d %d\n", mbtowc(w, "", 1), mbtowc(w, "a", 1), wctomb(b, 0x4e00));
}
"""

REST_PRINTS = [
    "abcde 0 abcdeXY 34 []",
    "0 abcde ABCDE EDCBA",
    "1 1",
    "3 2 2",
    "10 10 10 10 10 10",
    "-42 0",
    "1f q ffffffff",
    "ffffffffffffffff !",
    "0 -5 0 ffffffff 34 [] 22",
    "34 [] 0 73",
    "1010 -7",
    "41 18467",
    "2 e9 2 -1 4",
    "0 1 -1",
]


@pytest.mark.parametrize(
    ("body", "expected"),
    [(NARROW, NARROW_PRINTS), (WIDE, WIDE_PRINTS), (REST, REST_PRINTS)],
    ids=["narrow", "wide", "rest"],
)
def test_what_a_driver_gets(body: str, expected: list[str], booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DECLARED + body, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("cp1252").splitlines() == expected


def test_narrow_text_in_wide_output_above_passive_level_is_a_bugcheck(booted: Booted, tmp_path: Path) -> None:
    body = """
    static void Body(void)
    {
        WCHAR b[8];
        KIRQL old;
        KeRaiseIrql(DISPATCH_LEVEL, &old);
        _snwprintf(b, 8, L"%s%d", L"fine", 1);
        _snwprintf(b, 8, L"%S", "not");
    }
    """
    with pytest.raises(DriverBugcheck) as caught:
        booted.load(make_driver(DECLARED + body, tmp_path), "made.sys")
    assert (caught.value.code, caught.value.module) == (0x0A, "made.sys")


@pytest.mark.parametrize(
    ("form", "arguments", "text"),
    [
        ("100%", (), "100"),
        ("%%%", (), "%"),
        ("%q-%d", (5,), "q-5"),
        ("%5d|%-5d|%05d", (1, 2, 3), "    1|2    |00003"),
        ("%*d", (4, 9), "   9"),
        ("жук %u", (3,), "жук 3"),
        ("%s", (0,), "(null)"),
        ("%.3s", (0,), "(nu"),
    ],
)
def test_the_wide_format_language(form: str, arguments: tuple[int, ...], text: str, booted: Booted) -> None:
    compiled = compile_wide_format(form.encode("utf-16-le"))
    assert render_wide(compiled, arguments, booted.kernel.memory).decode("utf-16-le") == text
