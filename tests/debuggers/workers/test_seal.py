"""What DbgEng may not do for a target: the decisions, which need no DbgEng."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from harness.debuggers.workers.link import WORKER

SUSPECT = """
CreateFile2 CreateFileW CreateFileTransactedW CopyFileExW MoveFileWithProgressW ReplaceFileW NtCreateFile
DeleteFileA _wfopen_s _wsopen _wopen _wspawnlp _o__wfopen _o__wsopen_s _wsystem _wexecvp _o__wstat64 fopen
ShellExecuteExW CreateProcessAsUserW RtlCreateUserProcess WinExec CreateNamedPipeA CallNamedPipeW
RegCreateKeyExW RegDeleteTreeW NtSetValueKey SetEnvironmentVariableW LoadLibraryW LdrLoadDll
CreateDirectoryExW SHCreateStreamOnFileEx WS2_32#13 listen URLDownloadToFileW GetProcAddressForCaller
"""
HARMLESS = """
CreateFileMappingW OpenFileMappingW ReadFile WriteFile GetFileSize OpenProcessToken RegOpenKeyExW _o_fclose
_o__execute_onexit_table WSASocketW WS2_32#2 WS2_32#4 RtlCreateProcessParameters CreateEventW remove_if
systeminfo GetFullPathNameW SymFromAddrW openhandles
"""


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(WORKER))
    yield importlib.import_module("refusals")
    del sys.modules["refusals"]


@pytest.fixture
def seal(refusals: ModuleType) -> Iterator[ModuleType]:
    yield importlib.import_module("seal")
    del sys.modules["seal"], sys.modules["imports"]


@pytest.mark.parametrize("name", SUSPECT.split())
def test_a_function_that_could_reach_the_host_is_suspect(refusals: ModuleType, name: str) -> None:
    assert refusals.is_suspect(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_other_functions_are_not(refusals: ModuleType, name: str) -> None:
    assert not refusals.is_suspect(name)


def test_an_engine_with_an_unknown_way_out_is_not_used(
    seal: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "REFUSALS", dict.fromkeys(seal.NEEDED))
    seal.check([*seal.NEEDED, "ReadFile"], ["ReadFile"])
    with pytest.raises(seal.Unsealable, match="it imports CopyFile2, _wopen, of which no refusal is known"):
        seal.check([*seal.NEEDED, "_wopen"], ["CopyFile2"])
    with pytest.raises(seal.Unsealable, match="it does not import CreateProcessW"):
        seal.check(list(seal.NEEDED)[1:], [])


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("C:\\symbols\\nt.pdb", False),
        ("nt.pdb", False),
        ("\\\\evil\\share\\nt.pdb", True),
        ("//evil/share/nt.pdb", True),
        ("/\\evil\\share", True),
        ("\\??\\UNC\\evil\\share", True),
        ("\\\\?\\UNC\\evil\\share", True),
        ("\\\\.\\pipe\\x", True),
        ("C:\\symbols;\\\\evil\\share", True),
        ('C:\\symbols; "\\\\evil\\share"', True),
        ("srv*\\\\evil\\share", True),
        ("http://evil/", True),
    ],
)
def test_a_path_on_another_machine_is_known_by_its_letters(
    refusals: ModuleType, path: str, network: bool
) -> None:
    assert refusals.is_network(path) == network


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("kdexts.dll", True),
        ("c:/dbg/winext/ext.dll", True),
        ("C:\\Windows\\System32\\version.dll", True),
        ("C:\\dbg\\..\\evil.dll", False),
        ("C:\\dbgevil\\x.dll", False),
        ("C:evil.dll", False),
        ("..\\evil.dll", False),
        ("\\\\evil\\x.dll", False),
        ("C:\\dbg\\srcsrv.dll", False),
        ("srcsrv", False),
        ("pykd.PYD", False),
        ("C:\\dbg\\pykd.pyd.", False),
    ],
)
def test_libraries_come_from_the_debugger_and_from_windows(
    refusals: ModuleType, name: str, own: bool
) -> None:
    assert refusals.is_own_library(name, ["C:\\dbg", "C:\\windows\\system32"]) == own


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("", True),
        ("C:\\symbols;D:\\more", True),
        ("SRV*c:\\mine*https://ours/", True),
        ("C:\\symbols;srv*", True),
        ("cache*;SRV*https://msdl.microsoft.com/download/symbols", True),
        ("srv*C:\\anywhere*https://ours/", False),
        ("symsrv*evil.dll*x", False),
        ("C:\\symbols;\\\\evil\\share", False),
        ("http://evil/", False),
    ],
)
def test_only_the_user_names_symbol_servers(
    seal: ModuleType, refusals: ModuleType, path: str, own: bool
) -> None:
    known = seal.known_searches(
        {"_NT_SYMBOL_PATH": "srv*C:\\mine*https://ours/;C:\\x", "PATH": "http://evil/"}
    )
    assert refusals.is_own_search(path, known) == own
