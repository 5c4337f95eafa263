"""What Microsoft's compiler puts into a driver and its loader has to serve, made with clang here.

These equivalents follow the documented layouts; files of Microsoft's compilers themselves are executed in
tests/drivers/test_microsoft_built_drivers.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck
from harness.virtual.kernel.loadconfig import DEFAULT_COOKIE

LOAD_CONFIG = r"""
#include <ntddk.h>
volatile ULONG64 __security_cookie = 0x2B992DDFA232;
volatile ULONG64 check_function, dispatch_function;
const struct {
    ULONG Size;
    UCHAR Before[0x54];
    volatile ULONG64 *Cookie;
    ULONG64 HandlerTable, HandlerCount;
    volatile ULONG64 *Check, *Dispatch;
    UCHAR After[0x40];
} __attribute__((aligned(8))) _load_config_used = {
    sizeof _load_config_used, {0}, &__security_cookie, 0, 0, &check_function, &dispatch_function, {0}};

static LONG Answer(LONG number) { return number + 1; }

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    LONG answer = 41;
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    __asm__ volatile("movl $41, %%ecx; callq *%1"
                     : "=a"(answer)
                     : "r"(dispatch_function), "a"(Answer)
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
    DbgPrint("%I64x %d\n", __security_cookie, answer);
    return STATUS_SUCCESS;
}
"""

OWN_HANDLER = r"""
#include <ntddk.h>

int OwnHandler(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
               struct _DISPATCHER_CONTEXT *dispatcher)
{
    DbgPrint("handler %d\n", (int)record->ExceptionFlags);
    return __C_specific_handler(record, frame, context, dispatcher);
}

LONG Guarded(void *address);
__asm__(".text\n.globl Guarded\n.seh_proc Guarded\n"
        "Guarded: pushq %rbx\n.seh_pushreg %rbx\nsubq $32, %rsp\n.seh_stackalloc 32\n.seh_endprologue\n"
        ".seh_handler OwnHandler, @unwind, @except\n"
        "movl $7, %ebx\n"
        ".Lbegin: movl (%rcx), %eax\n.Lend: nop\njmp .Lout\n"
        ".Lcaught: movl $70, %eax\naddl %ebx, %eax\n"
        ".Lout: addq $32, %rsp\npopq %rbx\nretq\n"
        ".seh_handlerdata\n.long 1\n.rva .Lbegin\n.rva .Lend\n.long 1\n.rva .Lcaught\n.text\n.seh_endproc\n");

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    DbgPrint("%d\n", Guarded((void *)0x10));
    return STATUS_SUCCESS;
}
"""

GUARDED_STACK = r"""
#include <ntddk.h>
volatile ULONG64 __security_cookie = 0x2B992DDFA232;
const struct {
    ULONG Size;
    UCHAR Before[0x54];
    volatile ULONG64 *Cookie;
    UCHAR After[0x40];
} __attribute__((aligned(8))) _load_config_used = {
    sizeof _load_config_used, {0}, &__security_cookie, {0}};

/* What lies in Microsoft's run-time library: the check at the end of a function, and that of its handler. */
void __security_check_cookie(ULONG64 cookie)
{
    if (cookie != __security_cookie || cookie >> 48)
        __fastfail(2);
}
int __GSHandlerCheck(EXCEPTION_RECORD *record, UCHAR *frame, CONTEXT *context, UCHAR *dispatcher)
{
    const ULONG offset = **(ULONG **)(dispatcher + 0x38) & ~7u;
    (void)context;
    __security_check_cookie(*(ULONG64 *)(frame + offset) ^ (ULONG64)frame);
    DbgPrint("stack is whole, flags %x\n", record->ExceptionFlags);
    return 1;
}
LONG Guarded(ULONG what, const void *address);
__asm__(".text\n.globl Guarded\n.seh_proc Guarded\n"
        "Guarded: subq $56, %rsp\n.seh_stackalloc 56\n.seh_endprologue\n"
        ".seh_handler __GSHandlerCheck, @unwind, @except\n"
        "movq __security_cookie(%rip), %rax\nxorq %rsp, %rax\nmovq %rax, 40(%rsp)\n"
        "testl $1, %ecx\njz .Lwhole\nmovq $0x41414141, 40(%rsp)\n"
        ".Lwhole: testl $2, %ecx\njz .Lquiet\nmovl (%rdx), %eax\n"
        ".Lquiet: movq 40(%rsp), %rcx\nxorq %rsp, %rcx\ncallq __security_check_cookie\n"
        "movl $5, %eax\naddq $56, %rsp\nretq\n"
        ".seh_handlerdata\n.long 40\n.text\n.seh_endproc\n");

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)driver, (void)path;
    __try {
        DbgPrint("%d\n", Guarded(WHAT, (void *)0x10));
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        DbgPrint("caught %x\n", GetExceptionCode());
    }
    return STATUS_SUCCESS;
}
"""


def prints(source: str, tmp_path: Path) -> list[str]:
    booted = Booted()
    assert booted.load(make_driver(source, tmp_path), "made.sys") == 0
    return b"".join(booted.debugger.prints).decode().splitlines()


def test_the_cookie_is_set_and_empty_guard_pointers_lead_to_the_kernel(tmp_path: Path) -> None:
    cookie, answer = prints(LOAD_CONFIG, tmp_path)[0].split()
    assert int(cookie, 16) not in (0, DEFAULT_COOKIE)
    assert int(cookie, 16) >> 48 == 0
    assert answer == "42"


def test_a_language_handler_in_the_driver_is_asked_before_and_while_it_unwinds(tmp_path: Path) -> None:
    assert prints(OWN_HANDLER, tmp_path) == ["handler 0", "handler 34", "77"]


@pytest.mark.parametrize(
    ("what", "said"),
    [(0, ["5"]), (2, ["stack is whole, flags 0", "stack is whole, flags 2", "caught c0000005"])],
    ids=["returns", "faults"],
)
def test_a_whole_stack_passes_the_checks_of_its_cookie(what: int, said: list[str], tmp_path: Path) -> None:
    assert prints(f"#define WHAT {what}\n{GUARDED_STACK}", tmp_path) == said


@pytest.mark.parametrize("what", [1, 3], ids=["at the return", "in the handler of a fault"])
def test_a_stack_that_was_written_over_fails_fast(what: int, tmp_path: Path) -> None:
    with pytest.raises(DriverBugcheck) as caught:
        prints(f"#define WHAT {what}\n{GUARDED_STACK}", tmp_path)
    assert (caught.value.code, caught.value.parameters[0]) == (0x139, 2)
