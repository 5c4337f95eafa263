"""The drivers of NotifyBench, broken and mended, built in one go.

Each stands in a folder of its own and can be built by itself. Here all are compiled as one file of C++, each
in a namespace and a second time with ``MENDED``, and the name of the service says which of them runs: one
build where there would be two for each bug.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from harness.toolchain import Arch, build_driver

__all__ = ["HERE", "MENDED", "Drivers"]

HERE: Final = Path(__file__).resolve().parent
MENDED: Final = "-mended"
"""Behind the name of a bug: its mended twin."""
_BEGIN: Final = '#include "notifybench.h"\n'
_NAMESPACE: Final = 'namespace {name} {{\n#include "{bug}/driver.c"\n}}\n'
_CHOICE: Final = """
struct DRIVER_CHOICE {{
    PCWSTR Name;
    NTSTATUS(NTAPI *Entry)(PDRIVER_OBJECT, PUNICODE_STRING);
}};

static const DRIVER_CHOICE Choices[] = {{
{rows}
}};

extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{{
    UNICODE_STRING Service = *RegistryPath, Name;
    USHORT Index = Service.Length / sizeof(WCHAR);

    while (Index != 0 && Service.Buffer[Index - 1] != L'\\\\')
        Index--;
    Service.Buffer += Index;
    Service.Length -= Index * sizeof(WCHAR);
    for (const DRIVER_CHOICE &Choice : Choices) {{
        RtlInitUnicodeString(&Name, Choice.Name);
        if (RtlEqualUnicodeString(&Service, &Name, TRUE))
            return Choice.Entry(DriverObject, RegistryPath);
    }}
    return STATUS_OBJECT_NAME_NOT_FOUND;
}}
"""
_ROW: Final = '    {{L"{service}", {name}::DriverEntry}},'


class Drivers:
    """The built drivers.

    :param folder: where their files come to lie.
    :param bugs: the folders of the bugs, by name.
    """

    def __init__(self, folder: Path, bugs: Sequence[str]) -> None:
        self._folder = folder
        self._built = folder / "notifybench.sys"
        with TemporaryDirectory(prefix="procnotify-") as sources:
            source = Path(sources) / "notifybench.cpp"
            source.write_text(_source(bugs), encoding="utf-8", newline="\n")
            build_driver(source, Arch.X64, self._built, includes=[HERE], integrity_check=True)

    def file(self, bug: str, *, mended: bool) -> Path:
        """The .sys of one of them, with its symbols beside it."""
        driver = self._folder / f"{bug}{MENDED if mended else ''}.sys"
        for suffix in (".sys", ".pdb"):
            if not driver.with_suffix(suffix).exists():
                shutil.copyfile(self._built.with_suffix(suffix), driver.with_suffix(suffix))
        return driver


def _source(bugs: Sequence[str]) -> str:
    names = {bug: bug.replace("-", "_") for bug in bugs}
    broken = [_NAMESPACE.format(name=name, bug=bug) for bug, name in names.items()]
    mended = [_NAMESPACE.format(name=f"{name}_mended", bug=bug) for bug, name in names.items()]
    rows = [_ROW.format(service=bug, name=name) for bug, name in names.items()]
    rows += [_ROW.format(service=f"{bug}{MENDED}", name=f"{name}_mended") for bug, name in names.items()]
    return "".join([_BEGIN, *broken, "#define MENDED 1\n", *mended, _CHOICE.format(rows="\n".join(rows))])
