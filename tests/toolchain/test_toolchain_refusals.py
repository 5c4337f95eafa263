"""What the toolchain says when it cannot build, and how its cache behaves."""

from __future__ import annotations

import importlib.util
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.driver import command
from harness.errors import ToolchainError
from harness.resources import driver_sources
from harness.toolchain import (
    Arch,
    CompilerRefusal,
    build_driver,
    build_program,
    builds,
    default_driver,
    ziglang,
)

ENTRY = "#include <ntddk.h>\nNTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT d, PUNICODE_STRING r)\n"


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "broken.c").write_text(text)
    return folder


def test_the_first_error_of_the_compiler_is_the_message(tmp_path: Path) -> None:
    sources = write(tmp_path / "src", ENTRY + "{ return first; return second; }\n")
    with pytest.raises(
        CompilerRefusal, match=r"^broken\.c:3:10: error: use of undeclared identifier 'first'"
    ):
        build_driver(sources, Arch.X64, tmp_path / "out.sys")
    assert not (tmp_path / "out.sys").exists()


def test_an_undefined_function_is_named(tmp_path: Path) -> None:
    sources = write(tmp_path / "src", ENTRY + "{ extern int NoSuchExport(void); return NoSuchExport(); }\n")
    with pytest.raises(CompilerRefusal, match="undefined symbol: NoSuchExport"):
        build_driver(sources, Arch.X64, tmp_path / "out.sys")


def test_a_folder_without_sources(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"no C or C\+\+ sources in"):
        build_driver(tmp_path, Arch.X64, tmp_path / "out.sys")


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sources = write(tmp_path / "src", ENTRY + "{ return 0; }\n")
    with pytest.raises(ToolchainError, match="cannot write"):
        build_driver(sources, Arch.X64, tmp_path / "file" / "out.sys")


def test_an_unknown_module_to_import_from(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("void EntryPoint(void) {}\n")
    with pytest.raises(ToolchainError, match="no export list of 'nosuch'"):
        build_program([source], Arch.X64, tmp_path / "a.exe", libs=["nosuch"])


def test_a_missing_compiler_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ziglang.package_dir.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="pip install ziglang"):
        ziglang.package_dir()
    ziglang.package_dir.cache_clear()


def test_the_shells_variables_do_not_reach_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = write(tmp_path / "src", ENTRY + "{ return 0; }\n")
    plain = build_driver(sources, Arch.X64, tmp_path / "a.sys")
    monkeypatch.setenv("CCC_OVERRIDE_OPTIONS", "+-DSTEERED")
    monkeypatch.setenv("CPATH", str(tmp_path))
    monkeypatch.setenv("LINK", "/nosuchoption")
    assert build_driver(sources, Arch.X64, tmp_path / "b.sys").sha256 == plain.sha256


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(builds, "cache_dir", lambda *parts: folder)
    return folder


def test_the_cache_builds_once_and_takes_many_at_a_time(own_cache: Path) -> None:
    with ThreadPoolExecutor(max_workers=3) as pool:
        results = list(pool.map(lambda _: default_driver(), range(3)))
    assert len(set(results)) == 1
    assert [path.name for path in own_cache.iterdir()] == [results[0].path.parent.name]
    said: list[str] = []
    assert default_driver(progress=said.append) == results[0]
    assert said == []


def test_another_source_is_another_build(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = default_driver()
    changed = tmp_path / "driver"
    shutil.copytree(driver_sources(), changed)
    with (changed / "procnotify" / "stamp.c").open("a") as file:
        file.write("ULONG Changed;\n")
    monkeypatch.setattr(builds, "driver_sources", lambda: changed)
    assert default_driver().path != ours.path


def test_the_command_builds_and_says_what(tmp_path: Path) -> None:
    out = tmp_path / "mine.sys"
    result = CliRunner().invoke(command, ["build", "--arch", "x86", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.is_file()
    assert "SHA-256 " in result.output
    assert (tmp_path / "procnotify-x86.pdb").is_file()


def test_the_commands_help_shows_an_example() -> None:
    assert "procnotify driver build" in CliRunner().invoke(command, ["build", "--help"]).output
