"""What the toolchain says when it cannot build, and how its cache behaves."""

from __future__ import annotations

import importlib.util
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import ToolchainError, UsageError
from harness.resources import CacheError, driver_sources
from harness.toolchain import (
    Arch,
    SourceError,
    build_driver,
    build_program,
    builds,
    default_driver,
    ziglang,
)
from harness.toolchain.diagnostics import users_sources

ENTRY = "#include <ntddk.h>\nNTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT d, PUNICODE_STRING r)\n"


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "broken.c").write_text(text, encoding="utf-8")
    return folder


def test_the_first_error_of_the_compiler_is_the_message(tmp_path: Path) -> None:
    sources = write(tmp_path / "src", ENTRY + "{ return first; return second; }\n")
    with pytest.raises(
        SourceError, match=r"broken\.c:3:10: error: use of undeclared identifier 'first'; 2 errors in all$"
    ) as raised:
        build_driver(sources, Arch.X64, tmp_path / "out.sys")
    assert raised.value.exit_code == 2
    assert raised.value.message.startswith(str(sources / "broken.c"))
    assert not (tmp_path / "out.sys").exists()


def test_an_undefined_function_is_named(tmp_path: Path) -> None:
    sources = write(tmp_path / "src", ENTRY + "{ extern int NoSuchExport(void); return NoSuchExport(); }\n")
    with pytest.raises(SourceError, match="undefined symbol: NoSuchExport"):
        build_driver(sources, Arch.X64, tmp_path / "out.sys")


def test_a_folder_without_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no C or C\+\+ sources in"):
        build_driver(tmp_path, Arch.X64, tmp_path / "out.sys")


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    sources = write(tmp_path / "src", ENTRY + "{ return 0; }\n")
    with pytest.raises(UsageError, match="cannot write"):
        build_driver(sources, Arch.X64, tmp_path / "file" / "out.sys")


def test_an_unknown_module_to_import_from(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("void EntryPoint(void) {}\n", encoding="utf-8")
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
    plain = build_driver(sources, Arch.X64, tmp_path / "a" / "x.sys")
    monkeypatch.setenv("CCC_OVERRIDE_OPTIONS", "+-DSTEERED")
    monkeypatch.setenv("CPATH", str(tmp_path))
    monkeypatch.setenv("LINK", "/nosuchoption")
    assert build_driver(sources, Arch.X64, tmp_path / "b" / "x.sys").sha256 == plain.sha256


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
    with (changed / "procnotify" / "stamp.c").open("a", encoding="utf-8") as file:
        file.write("ULONG Changed;\n")
    monkeypatch.setattr(builds, "driver_sources", lambda: changed)
    assert default_driver().path != ours.path


def test_the_command_builds_and_says_what(tmp_path: Path) -> None:
    out = tmp_path / "mine.sys"
    result = CliRunner().invoke(cli, ["driver", "build", "--arch", "x86", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.is_file()
    assert "SHA-256 " in result.output
    assert (tmp_path / "mine.pdb").is_file()


def test_the_commands_help_shows_an_example() -> None:
    assert "procnotify driver build" in CliRunner().invoke(cli, ["driver", "build", "--help"]).output


def built(*words: str) -> Result:
    return CliRunner().invoke(cli, ["driver", "build", *words])


def test_every_error_of_every_file_is_shown_with_its_line_and_a_caret(tmp_path: Path) -> None:
    sources = write(tmp_path / "src", ENTRY + "{ return first; return second; }\n")
    (sources / "other.c").write_text("#include <ntddk.h>\nint f(void) { return third; }\n", encoding="utf-8")
    result = built("--source", str(sources), "--out", str(tmp_path / "x.sys"))
    assert isinstance(result.exception, SourceError) and result.exception.exit_code == 2
    for name in ("first", "second", "third"):
        assert f"undeclared identifier '{name}'" in result.stderr
    assert f"{sources / 'other.c'}:2:22: error:" in result.stderr
    assert "return third;" in result.stderr and "^" in result.stderr
    assert str(result.exception).endswith("; 3 errors in all")


def test_arguments_that_do_not_fit_a_print_are_warned_of_and_no_others(tmp_path: Path) -> None:
    body = (
        "{ ULONG u = 1; NTSTATUS s = 0; SIZE_T size = 2; HANDLE pid = PsGetCurrentProcessId();\n"
        'DbgPrint("%wZ %u %x %08lX %Ix %I64u %ws\\n", r, u, s, u, size, (ULONGLONG)u, r->Buffer);\n'
        'DbgPrint("PID(%u)\\n", pid);\n'
        'DbgPrintEx(0, 0, "%s\\n", size);\n'
        'KdPrint(("%u %u\\n", u)); return s; }\n'
    )
    sources = write(tmp_path / "src", ENTRY + body)
    for arch in ("x64", "x86", "arm64"):
        result = built("--source", str(sources), "--arch", arch, "--out", str(tmp_path / "x.sys"))
        assert result.exit_code == 0, result.output
        lines = [line for line in result.stderr.splitlines() if ": warning: " in line]
        numbers = [line.partition("broken.c:")[2].split(":")[0] for line in lines]
        assert numbers == ["5", "6", "7"], result.stderr
        assert 'DbgPrint("PID(%u)\\n", pid);' in result.stderr and "^~~" in result.stderr


def test_our_own_driver_is_built_without_a_warning(tmp_path: Path) -> None:
    for arch in ("x64", "x86", "arm64"):
        result = built("--arch", arch, "--out", str(tmp_path / "x.sys"))
        assert (result.exit_code, result.stderr) == (0, "")


def test_json_says_what_was_built(tmp_path: Path) -> None:
    result = built("--out", str(tmp_path / "mine.sys"), "--json")
    found = json.loads(result.stdout)
    assert found["image"] == str(tmp_path / "mine.sys") and found["pdb"] == str(tmp_path / "mine.pdb")
    assert found["bytes"] == (tmp_path / "mine.sys").stat().st_size
    assert (found["format"], found["arch"], found["warnings"]) == (1, "x64", [])


def test_an_image_cannot_have_the_name_of_its_pdb(tmp_path: Path) -> None:
    result = built("--out", str(tmp_path / "x.pdb"))
    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("a.c:1:1: error: no\n", SourceError),
        ("lld-link: error: undefined symbol: f\n", SourceError),
        ("error: unable to open output file 'a.obj': 'No space left on device'\n", ToolchainError),
        ("Segmentation fault\n", ToolchainError),
    ],
)
def test_what_the_machine_cannot_do_is_not_the_sources_fault(output: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), users_sources():
        raise ziglang.CompilerRefusal(output, output=output)


def test_our_own_sources_refused_are_the_rigs_fault(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "driver"
    shutil.copytree(driver_sources(), changed)
    (changed / "procnotify" / "broken.c").write_text("int f(void) { return nothing; }\n", encoding="utf-8")
    monkeypatch.setattr(builds, "driver_sources", lambda: changed)
    with pytest.raises(ToolchainError, match="undeclared identifier 'nothing'"):
        default_driver()


def test_a_cache_where_nothing_can_be_made_is_the_rigs_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "cache_dir", lambda *parts: tmp_path / "no")
    # Why is said in the system's words.
    with pytest.raises(CacheError, match=r"cannot write the cache folder .*no: .+; name another one with"):
        default_driver()
