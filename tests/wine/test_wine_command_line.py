"""Words quoted for cmd.exe, read by Wine's cmd.exe and then as the guest helper reads its own."""

from __future__ import annotations

import pytest

from harness.guests.channels.commandline import windows_command_line
from harness.resources import driver_sources
from harness.toolchain import Arch, build_program

STARTS = """
#include <windows.h>

/* Runs the command line that the file line.txt holds, as UTF-16: nobody else has read it before. */
VOID DECLSPEC_NORETURN EntryPoint(VOID)
{
    static WCHAR Line[4096];
    STARTUPINFOW Startup = {.cb = sizeof(Startup)};
    PROCESS_INFORMATION Child;
    DWORD Length, Code = 99;
    const HANDLE File = CreateFileW(
        L"C:\\\\procnotify\\\\line.txt", GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);

    if (ReadFile(File, Line, sizeof(Line) - sizeof(WCHAR), &Length, NULL) &&
        CreateProcessW(NULL, Line, NULL, NULL, FALSE, 0, NULL, NULL, &Startup, &Child)) {
        WaitForSingleObject(Child.hProcess, INFINITE);
        GetExitCodeProcess(Child.hProcess, &Code);
    }
    ExitProcess(Code);
}
"""
WRITES = """
#include "arguments.h"

/* Writes its words to the file words.txt, a NUL behind each. */
VOID DECLSPEC_NORETURN EntryPoint(VOID)
{
    static ARGUMENTS Arguments;
    DWORD Written;
    const HANDLE File = CreateFileW(
        L"C:\\\\procnotify\\\\words.txt", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);

    Arguments.Rest = GetCommandLineW();
    while (TakeArgument(&Arguments))
        WriteFile(File, Arguments.Current, (lstrlenW(Arguments.Current) + 1) * sizeof(WCHAR), &Written, NULL);
    CloseHandle(File);
    ExitProcess(7);
}
"""
# Not %PATH%: Wine's cmd.exe takes the carets away before it looks for variables, Windows' afterwards.
WORDS = ["plain", "a b", 'a"b', '"', "c d\\", "\\", "", "50%", "&|<>()^!", "é世", 'x" & echo "y', "--id", "-"]


@pytest.fixture(scope="module")
def programs(prefix, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("programs")
    actor = driver_sources() / "actor"
    for name, text in {"starts": STARTS, "writes": WRITES, "writes too": WRITES}.items():
        source = folder / f"{name}.c"
        source.write_text(text, encoding="utf-8")
        more = [] if name == "starts" else [actor / "arguments.c", actor / "text.c"]
        build_program(
            [source, *more],
            Arch.X64,
            prefix.work / f"{name}.exe",
            libs=("kernel32", "ntdll"),
            includes=[actor],
        )
    return prefix


@pytest.mark.parametrize(
    ("program", "around"),
    [
        (r"C:\procnotify\writes.exe", ""),
        (r"C:\procnotify\writes.exe", '"'),
        (r"C:\procnotify\writes too.exe", '"'),
    ],
)
def test_words_come_through_cmd_as_they_were(programs, program: str, around: str) -> None:
    """Servers have put quotes around the whole since 2018, older ones do not: there a quoted program's name
    would not come through."""
    line = windows_command_line([program, *WORDS])
    whole = f"cmd.exe /c {around}{line}{around}"
    (programs.work / "line.txt").write_bytes(whole.encode("utf-16-le"))
    assert programs.run(r"C:\procnotify\starts.exe").returncode == 7
    words = (programs.work / "words.txt").read_bytes().decode("utf-16-le").split("\0")
    assert words == [program, *WORDS, ""]
