"""Includes in another letter case: which headers are read for them, and which are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.toolchain import Arch, build_driver
from harness.toolchain.headers import write_forwarders

SYSTEM = ("ntddk", "ntdef", "ntstatus", "nothing")
pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="its file system finds any letter case"
)


def written(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")


def forwarded(folder: Path) -> list[str]:
    """The forwarders for ``own/main.c``, which ``system`` follows."""
    out = folder / "out"
    out.mkdir()
    write_forwarders([folder / "own" / "main.c"], [folder / "own"], [folder / "system"], out)
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_headers_are_read_that_an_include_reaches(tmp_path: Path) -> None:
    written(
        tmp_path,
        {
            "own/main.c": '#include "first.h"\n#include "Parts\\\\THIRD.h"\n',
            "own/first.h": '#include "second.h"\n#include <NtDdk.h>\n',
            "own/second.h": '#include "first.h"\n#include <NtDef.h>\n',
            "own/parts/third.h": '#include "../../beside/fourth.h"\n',
            "beside/fourth.h": "#include <NtStatus.h>\n",
            **{
                f"system/{name}.h": "#include <Nothing.h>\n"
                for name in ("ntddk", "ntdef", "ntstatus", "nothing")
            },
        },
    )
    assert forwarded(tmp_path) == ["NtDdk.h", "NtDef.h", "NtStatus.h", "Parts/THIRD.h"]


def test_headers_beside_the_sources_that_nothing_includes_are_not_read(tmp_path: Path) -> None:
    """A source may lie in a home folder."""
    written(
        tmp_path,
        {
            "own/main.c": "int a;\n",
            "own/other.h": "#include <NtDdk.h>\n",
            "own/deep/er/more.h": "#include <NtDdk.h>\n",
            "system/ntddk.h": "",
        },
    )
    assert forwarded(tmp_path) == []


@pytest.mark.parametrize("header", ["Own.h", "own.h"])
def test_a_driver_is_built_whose_header_includes_in_another_case(tmp_path: Path, header: str) -> None:
    written(
        tmp_path,
        {
            "it.c": f'#include "{header}"\nNTSTATUS DriverEntry(PDRIVER_OBJECT d, PUNICODE_STRING p)\n'
            "{ (void)d; (void)p; return STATUS_SUCCESS; }\n",
            "own.h": "#include <NtDdk.h>\n",
        },
    )
    assert build_driver(tmp_path / "it.c", Arch.X64, tmp_path / "it.sys").path.stat().st_size > 1000
