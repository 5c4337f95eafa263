"""What Microsoft's compiler takes and the WDK declares builds as it is; options of the command."""

from __future__ import annotations

from pathlib import Path

import pefile
import pytest
from click.testing import CliRunner

from harness.cli.driver import command
from harness.errors import UsageError
from harness.toolchain import Arch, build_driver
from harness.toolchain.driver import find_sources

ENTRY = """
#include <{header}>
{before}
EXTERN_C_START
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    {body}
    return STATUS_SUCCESS;
}}
EXTERN_C_END
"""

STYLES = {
    "object-types-are-one": (
        "c",
        "PEPROCESS p = IoGetCurrentProcess(); PKPROCESS k = p; UNREFERENCED_PARAMETER(k);",
    ),
    "thread-types-are-one": (
        "cpp",
        "PETHREAD t = PsGetCurrentThread(); PKTHREAD k = t; UNREFERENCED_PARAMETER(k);",
    ),
    "a-number-as-a-pointer": ("c", "PVOID p = path->Length; UNREFERENCED_PARAMETER(p);"),
    "interrupts-off": ("c", "void _disable(void); void _enable(void); _disable(); _enable();"),
    "memory-barrier": ("c", "KeMemoryBarrier();"),
    "exit-status": ("c", 'DbgPrint("%x", PsGetProcessExitStatus(IoGetCurrentProcess()));'),
    "suffix": ("c", 'DbgPrint("%d", RtlSuffixUnicodeString(path, path, TRUE));'),
    "newer-registrations": (
        "c",
        "PsSetCreateProcessNotifyRoutineEx2(PsCreateProcessNotifySubsystems, NULL, TRUE);"
        " PsSetCreateThreadNotifyRoutineEx(PsCreateThreadNotifyNonSystem, NULL);"
        " PsSetLoadImageNotifyRoutineEx(NULL, PS_IMAGE_NOTIFY_CONFLICTING_ARCHITECTURE);",
    ),
    "newer-members": (
        "cpp",
        "PS_CREATE_NOTIFY_INFO p = {}; IMAGE_INFO_EX i = {}; p.IsSubsystemProcess = 1;"
        " i.ImageInfo.ImageSignatureLevel = 4; i.ImageInfo.ImagePartialMap = 1;"
        ' static_assert(sizeof p == 0x48 && sizeof i == 0x38, "");'
        ' DbgPrint("%x %x", p.Flags, i.ImageInfo.Properties);',
    ),
    "push-locks": (
        "cpp",
        "EX_PUSH_LOCK l; ExInitializePushLock(&l); ExAcquirePushLockExclusive(&l);"
        " ExReleasePushLockExclusive(&l); ExAcquirePushLockShared(&l); ExReleasePushLockShared(&l);",
    ),
    "registry-values-of-a-type": (
        "c",
        "RTL_QUERY_REGISTRY_TABLE t = {NULL, RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK};"
        " t.DefaultType = REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT; UNREFERENCED_PARAMETER(t);",
    ),
}


def build(tmp_path: Path, name: str, text: str, **options: object) -> pefile.PE:
    source = tmp_path / name
    source.write_text(text, encoding="utf-8")
    out = tmp_path / "built.sys"
    build_driver(source, Arch.X64, out, **options)  # type: ignore[arg-type]  # options of many types
    return pefile.PE(data=out.read_bytes())


@pytest.mark.parametrize("name", STYLES)
def test_a_style_of_the_wdk_builds(name: str, tmp_path: Path) -> None:
    suffix, body = STYLES[name]
    build(tmp_path, f"style.{suffix}", ENTRY.format(header="ntifs.h", before="", body=body))


def test_microsofts_preprocessor_and_the_filter_managers_header(tmp_path: Path) -> None:
    before = "#define Log(f, ...) DbgPrint(f, __VA_ARGS__)\n#define WIDE(x) L#x\n#include <suppress.h>"
    body = 'Log("x\\n"); DbgPrint("%ws", WIDE(name));'
    build(tmp_path, "style.c", ENTRY.format(header="FltKernel.h", before=before, body=body))


def test_sized_delete_is_the_one_that_is_called(tmp_path: Path) -> None:
    before = "void operator delete(void *, size_t) {} struct S { ~S() {} int a; };"
    build(tmp_path, "s.cpp", ENTRY.format(header="ntddk.h", before=before, body="delete (S *)path->Buffer;"))


@pytest.mark.parametrize("asked", ["by-option", "by-pragma", "not-at-all"])
def test_the_integrity_check_is_linked_where_it_is_asked_for(asked: str, tmp_path: Path) -> None:
    pragma = '#pragma comment(linker, "/INTEGRITYCHECK")' if asked == "by-pragma" else ""
    text = ENTRY.format(header="ntddk.h", before=pragma, body="")
    image = build(tmp_path, "check.c", text, integrity_check=asked == "by-option")
    assert bool(image.OPTIONAL_HEADER.DllCharacteristics & 0x80) == (asked != "not-at-all")


def test_several_folders_headers_and_macros_make_one_driver(tmp_path: Path) -> None:
    for folder in ("driver", "shared", "headers"):
        (tmp_path / folder).mkdir()
    call = ENTRY.format(
        header="ntddk.h", before='#include "shared.h"\nint Twice;', body="DbgPrint(TEXT_OF, Shared());"
    )
    (tmp_path / "driver" / "entry.c").write_text(call, encoding="utf-8")
    (tmp_path / "shared" / "shared.c").write_text(
        "int Twice; int Shared(void) { return NUMBER; }", encoding="utf-8"
    )
    (tmp_path / "headers" / "shared.h").write_text(
        '#define TEXT_OF "%d"\nint Shared(void);', encoding="utf-8"
    )
    out = tmp_path / "one.sys"
    arguments = ["build", "--source", str(tmp_path / "driver"), "--source", str(tmp_path / "shared")]
    arguments += ["-I", str(tmp_path / "headers"), "-D", "NUMBER=7", "--integritycheck", "--out", str(out)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert pefile.PE(data=out.read_bytes()).OPTIONAL_HEADER.DllCharacteristics & 0x80


def test_a_macro_without_a_name_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["build", "-D", "7=x"])
    assert isinstance(result.exception, UsageError | SystemExit)


def test_a_file_that_is_named_twice_is_one_source(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;", encoding="utf-8")
    assert find_sources(tmp_path, tmp_path / "a.c") == [(tmp_path / "a.c").resolve()]
