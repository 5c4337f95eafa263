"""The images that the toolchain builds, read back by an independent PE parser."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import uuid
from pathlib import Path

import pefile
import pytest
import yaml

from harness.resources import driver_sources
from harness.toolchain import Arch, build_actor, build_driver, build_program, ziglang

TESTS = Path(__file__).resolve().parent.parent
FAULTY = TESTS / "drivers"
EXPECTED = yaml.safe_load((FAULTY / "expected.yaml").read_text(encoding="utf-8"))
HASHES = Path(__file__).resolve().parent / "golden" / "images.json"
"""Of what one version of the compiler makes, on whichever system."""
MACHINE = {Arch.X64: 0x8664, Arch.X86: 0x014C, Arch.ARM64: 0xAA64}

DRIVER_IMPORTS = {
    "DbgPrintEx",
    "KeDelayExecutionThread",
    "PsGetCurrentProcessId",
    "PsGetCurrentThreadId",
    "PsRemoveCreateThreadNotifyRoutine",
    "PsRemoveLoadImageNotifyRoutine",
    "PsSetCreateProcessNotifyRoutine",
    "PsSetCreateThreadNotifyRoutine",
    "PsSetLoadImageNotifyRoutine",
}
"""All of them exported by every x86 and x64 kernel since NT 5.2, and by ReactOS."""
ARM64_ONLY = {"KeGetCurrentProcessorNumberEx"}


@pytest.fixture(scope="module", params=list(Arch))
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    arch = request.param
    out = tmp_path_factory.mktemp("driver") / "procnotify.sys"
    return arch, build_driver(driver_sources() / "procnotify", arch, out)


@pytest.fixture(scope="module", params=list(Arch))
def actor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    return request.param, build_actor(request.param, tmp_path_factory.mktemp("actor"))


def imports_of(path: Path) -> dict[str, set[str]]:
    with pefile.PE(str(path)) as image:
        return {
            entry.dll.decode().lower(): {item.name.decode() for item in entry.imports}
            for entry in image.DIRECTORY_ENTRY_IMPORT
        }


def pdb_identity(path: Path) -> tuple[uuid.UUID, int]:
    """GUID and age from the PDB information stream (LLVM, The PDB File Format)."""
    data = path.read_bytes()
    assert data.startswith(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0")
    block, _, _, size, _, map_block = struct.unpack_from("<6I", data, 32)
    blocks = struct.unpack_from(f"<{-(-size // block)}I", data, map_block * block)
    directory = b"".join(data[number * block : (number + 1) * block] for number in blocks)
    (streams,) = struct.unpack_from("<I", directory)
    sizes = struct.unpack_from(f"<{streams}I", directory, 4)
    first = 4 + 4 * streams + 4 * -(-sizes[0] // block)
    (info,) = struct.unpack_from("<I", directory, first)
    _, _, age = struct.unpack_from("<3I", data, info * block)
    return uuid.UUID(bytes_le=data[info * block + 12 : info * block + 28]), age


def test_the_driver_imports_only_what_every_kernel_exports(driver) -> None:
    arch, built = driver
    allowed = DRIVER_IMPORTS | (ARM64_ONLY if arch is Arch.ARM64 else set())
    assert imports_of(built.path) == {"ntoskrnl.exe": allowed}


def test_the_driver_is_a_native_image_for_old_kernels(driver) -> None:
    arch, built = driver
    with pefile.PE(str(built.path)) as image:
        header = image.OPTIONAL_HEADER
        oldest = (10, 0) if arch is Arch.ARM64 else (5, 2)
        assert image.FILE_HEADER.Machine == MACHINE[arch]
        assert header.Subsystem == pefile.SUBSYSTEM_TYPE["IMAGE_SUBSYSTEM_NATIVE"]
        assert (header.MajorSubsystemVersion, header.MinorSubsystemVersion) == oldest
        assert (header.MajorOperatingSystemVersion, header.MinorOperatingSystemVersion) == oldest
        assert image.verify_checksum()
        assert not image.is_dll()
        assert not hasattr(image, "DIRECTORY_ENTRY_EXPORT")
        names = {section.Name.rstrip(b"\0").decode() for section in image.sections}
        assert names <= {".text", ".rdata", ".data", ".pdata", ".reloc"}
        assert (".pdata" in names) == (arch is not Arch.X86)


def test_the_codeview_record_names_the_pdb_beside_it(driver) -> None:
    _, built = driver
    with pefile.PE(str(built.path)) as image:
        records = [entry.entry for entry in image.DIRECTORY_ENTRY_DEBUG if entry.struct.Type == 2]
        assert len(records) == 1
        record = records[0]
        offset = next(e.struct.PointerToRawData for e in image.DIRECTORY_ENTRY_DEBUG if e.struct.Type == 2)
        raw = built.path.read_bytes()[offset : offset + 24]
    assert raw[:4] == b"RSDS"
    assert record.PdbFileName.rstrip(b"\0").decode() == built.pdb.name == "procnotify.pdb"
    assert (uuid.UUID(bytes_le=raw[4:20]), struct.unpack("<I", raw[20:24])[0]) == pdb_identity(built.pdb)


def test_same_sources_and_same_name_same_image_wherever_they_lie(driver, tmp_path: Path) -> None:
    arch, built = driver
    elsewhere = tmp_path / "another folder" / "deep"
    shutil.copytree(driver_sources() / "procnotify", elsewhere)
    again = build_driver(elsewhere, arch, tmp_path / "out" / "procnotify.sys")
    assert again.sha256 == built.sha256
    assert again.pdb.read_bytes() == built.pdb.read_bytes()
    renamed = build_driver(elsewhere, arch, tmp_path / "other.sys")
    assert renamed.pdb == tmp_path / "other.pdb"
    assert b"other.pdb\0" in renamed.path.read_bytes() and renamed.sha256 != built.sha256


def test_driver_and_helper_are_the_same_bytes_on_every_system(actor, tmp_path: Path, update: bool) -> None:
    arch, built_actor = actor
    recorded = json.loads(HASHES.read_text(encoding="utf-8"))
    if recorded["ziglang"] != ziglang.version() and not update:
        pytest.skip(f"{HASHES.name} is of ziglang {recorded['ziglang']}, and this is {ziglang.version()}")
    driver = build_driver(driver_sources() / "procnotify", arch, tmp_path / "procnotify.sys")
    built = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for result in (driver, built_actor.exe, built_actor.probe)
        for path in (result.path, result.pdb)
    }
    if update:
        recorded["ziglang"] = ziglang.version()
        recorded["sha256"][str(arch)] = built
        HASHES.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8", newline="\n")
    assert built == recorded["sha256"][str(arch)]


def test_no_path_of_this_machine_is_in_the_files(driver, tmp_path: Path) -> None:
    _, built = driver
    for path in (built.path, built.pdb):
        content = path.read_bytes()
        for part in (str(driver_sources()), str(Path.home()), str(Path(pefile.__file__).parent)):
            assert part.encode() not in content


@pytest.mark.parametrize("arch", list(Arch))
def test_sources_in_microsofts_dialect_build_as_they_are(arch: Arch, tmp_path: Path) -> None:
    built = build_driver(TESTS / "toolchain" / "wdk_sample", arch, tmp_path / "sample.sys")
    imports = imports_of(built.path)["ntoskrnl.exe"]
    assert {"ExAllocatePool2", "KeQuerySystemTimePrecise", "PsSetCreateProcessNotifyRoutineEx"} <= imports
    # The division of two 64-bit numbers is a call on x86 alone.
    assert ("_aulldiv" in imports) == (arch is Arch.X86)
    text = built.path.read_bytes()
    assert b"[sample] SampleOnProcess PID(%u) was terminated\n" in text


def test_every_faulty_driver_has_an_expected_outcome() -> None:
    folders = {path.name for path in FAULTY.iterdir() if (path / f"{path.name}.c").is_file()}
    assert folders == set(EXPECTED)
    for row in EXPECTED.values():
        assert ("bugcheck" in row) == (row["exit_code"] == 4)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_faulty_drivers_build_and_differ_from_ours(name: str, driver, tmp_path: Path) -> None:
    arch, ours = driver
    if arch is not Arch.X64:
        return
    built = build_driver(FAULTY / name, arch, tmp_path / f"{name}.sys")
    assert built.sha256 != ours.sha256
    assert imports_of(built.path)["ntoskrnl.exe"] >= DRIVER_IMPORTS - {"PsRemoveCreateThreadNotifyRoutine"}


def test_the_guest_helper_needs_what_every_process_has(actor) -> None:
    _, built = actor
    assert set(imports_of(built.exe.path)) == {"kernel32.dll", "ntdll.dll"}
    assert set(imports_of(built.probe.path)) == {"kernel32.dll", "ntdll.dll"}
    with pefile.PE(str(built.exe.path)) as image:
        assert image.OPTIONAL_HEADER.Subsystem == pefile.SUBSYSTEM_TYPE["IMAGE_SUBSYSTEM_WINDOWS_CUI"]
    with pefile.PE(str(built.probe.path)) as image:
        assert image.is_dll()


def test_a_dll_exports_what_it_is_told_to(tmp_path: Path) -> None:
    source = tmp_path / "answer.c"
    source.write_text(
        "#include <windows.h>\nint Answer(void) { return 42; }\n"
        "BOOL WINAPI DllMain(HINSTANCE i, DWORD r, PVOID p) { (void)i; (void)r; (void)p; return TRUE; }\n",
        encoding="utf-8",
    )
    built = build_program([source], Arch.X64, tmp_path / "answer.dll", kind="dll", exports=["Answer"])
    with pefile.PE(str(built.path)) as image:
        assert [symbol.name for symbol in image.DIRECTORY_ENTRY_EXPORT.symbols] == [b"Answer"]
