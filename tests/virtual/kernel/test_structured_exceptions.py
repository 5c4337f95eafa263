"""``__try``, ``__except`` and ``__finally`` in compiled drivers, as on Windows."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck, DriverHang

ACCESS_VIOLATION = 0xC0000005
USER_ADDRESS = 0x10
KERNEL_ADDRESS = 0xFFFFA00000000000

SOURCE = r"""
#include <ntddk.h>

static volatile LONG zero;
static volatile ULONG_PTR target;
static volatile LONG ignored;

__declspec(noinline) static ULONG Read(void) { return *(volatile ULONG *)target; }
__declspec(noinline) static LONG Note(PCSTR text, LONG answer) { DbgPrint("%s\n", text); return answer; }

static LONG Describe(EXCEPTION_POINTERS *raised, ULONG code)
{
    const EXCEPTION_RECORD *record = raised->ExceptionRecord;
    DbgPrint("code %x %x, %u: %Ix at %d\n", code, record->ExceptionCode, record->NumberParameters,
             record->NumberParameters > 1 ? record->ExceptionInformation[1] : 0,
             (ULONG64)record->ExceptionAddress == raised->ContextRecord->Rip);
    return EXCEPTION_EXECUTE_HANDLER;
}

__declspec(noinline) static void InTheMiddle(void)
{
    __try {
        __try {
            ignored += Read();
        } __except (Note("inner filter", EXCEPTION_CONTINUE_SEARCH)) {
            DbgPrint("wrong\n");
        }
    } __finally {
        DbgPrint("finally %d\n", AbnormalTermination());
    }
}

static LONG Skip(CONTEXT *context)
{
    DbgPrint("mends\n");
    context->Rip += 2; /* the idiv */
    context->Rax = 42;
    return EXCEPTION_CONTINUE_EXECUTION;
}

__declspec(noinline) static LONG Divide(void)
{
    LONG result;
    __asm__ volatile("movl $7, %%eax; cltd; idivl %1" : "=&a"(result) : "r"(zero) : "edx");
    return result;
}

static LONG FaultsItself(void)
{
    __try {
        ignored += *(volatile UCHAR *)(target + 1);
    } __except (Note("inside the filter", 1)) {
        DbgPrint("the filter mended itself\n");
    }
    return 1;
}

static void NotifyOf(int number)
{
    switch (number) {
    case 100: /* a plain access, no call in the block */
        __try {
            ignored = *(volatile LONG *)target;
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 101: /* a fault in a function that the block calls; filter with everything */
        __try {
            ignored = Read();
        } __except (Describe(GetExceptionInformation(), GetExceptionCode())) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 102: /* a probe raises */
        __try {
            ProbeForRead((PVOID)KERNEL, 4, 1);
            DbgPrint("wrong\n");
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 103:
        __try {
            ExRaiseStatus(STATUS_INSUFFICIENT_RESOURCES);
        } __except (GetExceptionCode() == STATUS_INSUFFICIENT_RESOURCES) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 104:
        __try {
            ExRaiseAccessViolation();
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 105: /* an export faults on the driver's pointer */
        __try {
            UNICODE_STRING text;
            RtlInitUnicodeString(&text, (PCWSTR)target);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 106: /* leaves normally */
        __try {
            DbgPrint("body\n");
        } __finally {
            DbgPrint("finally %d\n", AbnormalTermination());
        }
        break;
    case 107: /* filters from the inside to the outside, then the finally block, then the handler */
        __try {
            InTheMiddle();
        } __except (Note("outer filter", EXCEPTION_EXECUTE_HANDLER)) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 108: /* a filter mends the context */
        __try {
            DbgPrint("divided %d\n", Divide());
        } __except (Skip(((EXCEPTION_POINTERS *)GetExceptionInformation())->ContextRecord)) {
            DbgPrint("wrong\n");
        }
        break;
    case 109: /* a fault in a filter, handled there */
        __try {
            ignored = Read();
        } __except (FaultsItself()) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 110: /* raised anew in the handler, for a block around it */
        __try {
            __try {
                ignored = Read();
            } __except (EXCEPTION_EXECUTE_HANDLER) {
                DbgPrint("first\n");
                ExRaiseStatus(STATUS_UNSUCCESSFUL);
            }
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 111: /* a fault in a finally block while it unwinds, for a block further out */
        __try {
            __try {
                __try {
                    ignored = Read();
                } __finally {
                    DbgPrint("finally\n");
                    if (target) /* clang loses the blocks around one that it knows never to end */
                        ExRaiseStatus(STATUS_UNSUCCESSFUL);
                }
            } __except (GetExceptionCode() == (NTSTATUS)0xC0000005) {
                DbgPrint("wrong\n");
            }
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("caught %x\n", GetExceptionCode());
        }
        break;
    case 112: /* nobody wants it */
        __try {
            InTheMiddle();
        } __except (Note("outer filter", EXCEPTION_CONTINUE_SEARCH)) {
            DbgPrint("wrong\n");
        }
        break;
    case 113: /* a filter that mends nothing */
        __try {
            ignored = Read();
        } __except (EXCEPTION_CONTINUE_EXECUTION) {
            DbgPrint("wrong\n");
        }
        break;
    case 114: /* what cannot be continued is */
        __try {
            ExRaiseStatus(STATUS_UNSUCCESSFUL);
        } __except (EXCEPTION_CONTINUE_EXECUTION) {
            DbgPrint("wrong\n");
        }
        break;
    case 115: /* many */
        for (int i = 0; i < 20; i++) {
            __try {
                ignored = Read();
            } __except (EXCEPTION_EXECUTE_HANDLER) {
                zero++;
            }
        }
        DbgPrint("%d\n", zero);
        zero = 0;
        break;
    case 116: { /* a filter that waits */
        LARGE_INTEGER time = {.QuadPart = -10000};
        __try {
            ignored = Read();
        } __except (KeDelayExecutionThread(KernelMode, FALSE, &time) == STATUS_SUCCESS) {
            DbgPrint("caught after the wait\n");
        }
        break;
    }
    default:
        DbgPrint("still here\n");
    }
}

static VOID NTAPI Notify(HANDLE parent, HANDLE pid, BOOLEAN create)
{
    target = (ULONG_PTR)parent;
    UNREFERENCED_PARAMETER(create);
    NotifyOf((int)(ULONG_PTR)pid);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    return PsSetCreateProcessNotifyRoutine(Notify, FALSE);
}
""".replace("KERNEL", hex(KERNEL_ADDRESS), 1)

CASES = {
    "plain-access": (100, ["caught c0000005"]),
    "called-function": (101, ["code c0000005 c0000005, 2: 10 at 1", "caught c0000005"]),
    "probe": (102, ["caught c0000005"]),
    "raised-status": (103, ["caught c000009a"]),
    "raised-access-violation": (104, ["caught c0000005"]),
    "faulting-export": (105, ["caught c0000005"]),
    "left-normally": (106, ["body", "finally 0"]),
    "nested": (107, ["inner filter", "outer filter", "finally 1", "caught c0000005"]),
    "mended": (108, ["mends", "divided 42"]),
    "fault-in-a-filter": (109, ["inside the filter", "the filter mended itself", "caught c0000005"]),
    "raised-in-a-handler": (110, ["first", "caught c0000001"]),
    "raised-in-a-finally": (111, ["finally", "caught c0000001"]),
    "many": (115, ["20"]),
    "filter-that-waits": (116, ["caught after the wait"]),
}


@pytest.fixture(scope="module", params=["c", "cpp"])
def tries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = SOURCE
    if request.param == "cpp":
        source = source.replace("NTSTATUS NTAPI DriverEntry", 'extern "C" NTSTATUS NTAPI DriverEntry')
        source = source.replace("{.QuadPart = -10000}", "{}; time.QuadPart = -10000")
    folder = Path(tmp_path_factory.mktemp("seh"))
    return make_driver(source, folder, "tries", suffix=request.param)


def loaded(image: bytes) -> Booted:
    booted = Booted()
    assert booted.load(image, "tries.sys") == 0
    return booted


def said(booted: Booted) -> list[str]:
    return b"".join(booted.debugger.prints).decode().splitlines()


def test_every_kind_is_handled_and_the_driver_lives_on(tries: bytes) -> None:
    booted = loaded(tries)
    for name, (number, lines) in CASES.items():
        booted.debugger.prints.clear()
        booted.create(number, USER_ADDRESS)
        booted.create(1)
        assert said(booted) == [*lines, "still here"], name
    assert booted.debugger.bugchecks == []
    assert all(offered.first_chance for offered in booted.debugger.offered)


def test_what_nobody_handles_is_the_bugcheck_that_it_was(tries: bytes) -> None:
    booted = loaded(tries)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(112, USER_ADDRESS)
    assert said(booted) == ["inner filter", "outer filter"], "nothing is unwound for it"
    assert (caught.value.code, caught.value.parameters[0]) == (0x3B, ACCESS_VIOLATION)
    assert [offered.first_chance for offered in booted.debugger.offered] == [True, False]


def test_a_bad_kernel_address_is_no_exception(tries: bytes) -> None:
    booted = loaded(tries)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(100, KERNEL_ADDRESS)
    assert (caught.value.code, said(booted)) == (0x50, [])


def test_going_on_from_what_cannot_be_continued_is_an_exception_of_its_own(tries: bytes) -> None:
    with pytest.raises(DriverBugcheck) as caught:
        loaded(tries).create(114)
    assert caught.value.parameters[0] == 0xC0000025


def test_a_filter_that_mends_nothing_hangs(tries: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.virtual.kernel.executor.MAX_EXCEPTIONS", 20)
    booted = loaded(tries)
    booted.debugger.handle = lambda _: booted.debugger.offered.clear() or False
    with pytest.raises(DriverHang, match=r"tries\.sys\+0x[0-9a-f]+: it raised 20 exceptions without end"):
        booted.create(113, USER_ADDRESS)


def test_the_debugger_has_the_first_word(tries: bytes) -> None:
    booted = loaded(tries)

    def mend(_: object) -> bool:
        booted.kernel.memory.map(0, 0x1000)
        return True

    booted.debugger.handle = mend
    booted.create(100, USER_ADDRESS)
    assert said(booted) == []
