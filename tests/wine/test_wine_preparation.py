"""The preparation in somebody else's Windows: its real registry and cmd, and the lines that programs get."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import GuestError
from harness.guests.channels import ProgramResult
from harness.kd.kdnet import Key
from harness.preparation import GuestSettings, NetworkDebugging, PreparationStep, preparation_steps
from harness.preparation.batch import batch_file
from harness.preparation.guest import check_step, prepare_guest
from harness.toolchain.arch import Arch
from harness.toolchain.program import build_program
from tests.wine.conftest import Prefix

SETTINGS = GuestSettings(
    NetworkDebugging("10.0.2.2", 50000, Key.parse("1a.2b.3c.4d")),
    folder=r"C:\procnotify\a folder",
    certificate=b"certificate",
    serve_port="COM2",
)
SAYS_ITS_COMMAND_LINE = textwrap.dedent("""\
    #include <windows.h>

    VOID EntryPoint(VOID)
    {
        PSTR Line = GetCommandLineA();
        HANDLE Log = CreateFileA("C:\\\\said.txt", FILE_APPEND_DATA, 0, NULL, OPEN_ALWAYS, 0, NULL);
        DWORD Done;
        int Fails = 0;

        WriteFile(Log, Line, lstrlenA(Line), &Done, NULL);
        WriteFile(Log, "\\n", 1, &Done, NULL);
        CloseHandle(Log);
        for (; *Line != 0; ++Line)
            if (Line[0] == 'g' && Line[1] == ' ' && Line[2] == 'o' && Line[3] == 'f')
                Fails = 1;
        ExitProcess(Fails ? 5 : 0);
    }
""")
"""For programs that Wine does not have; one that is told ``testsigning off`` fails."""


class WineChannel:
    """Programs run in the prefix."""

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix

    def await_up(self, timeout: float) -> None:
        """It is."""

    def put(self, path: str, data: bytes) -> None:
        raise AssertionError(path)

    def get(self, path: str, *, limit: int) -> bytes:
        raise AssertionError(path)

    def close(self) -> None:
        """Nothing is held."""

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        done = self._prefix.run(*argv, seconds=timeout)
        return ProgramResult(done.returncode, done.stdout, b"")


@pytest.fixture(scope="module")
def says_its_command_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    source = folder / "program.c"
    source.write_text(SAYS_ITS_COMMAND_LINE, encoding="utf-8", newline="\n")
    return build_program([source], Arch.X64, folder / "program.exe").path


def in_the_registry() -> list[PreparationStep]:
    """The steps that need nothing but reg."""
    steps = preparation_steps(GuestSettings(SETTINGS.debugging))
    return [step for step in steps if all(argv[0] == "reg" for argv in step.commands)]


CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control"


@pytest.mark.parametrize(
    ("key", "name", "wanted"),
    [
        (rf"{CONTROL}\CI", "DebugFlags", "DebugFlags is 0x0"),
        (rf"{CONTROL}\Session Manager\Debug Print Filter", "DEFAULT", "DEFAULT is 0xf"),
    ],
)
def test_what_is_in_the_registry_is_set_and_found(prefix: Prefix, key: str, name: str, wanted: str) -> None:
    channel = WineChannel(prefix)
    (step,) = (step for step in in_the_registry() if key in step.commands[0])
    with pytest.raises(GuestError, match="reg query"):
        check_step(channel, step)
    for _ in range(2):
        prepare_guest(channel, [step], {}, folder=SETTINGS.folder, say=lambda _: None)
    channel.run(["reg", "add", key, "/v", name, "/t", "REG_DWORD", "/d", "3", "/f"], timeout=60)
    with pytest.raises(GuestError, match=wanted):
        check_step(channel, step)


@pytest.mark.parametrize(("test_signing", "failed"), [(True, None), (False, "2 of 7, test signing off")])
def test_the_batch_file_says_to_windows_what_the_steps_say(
    prefix: Prefix, says_its_command_line: Path, test_signing: bool, failed: str | None
) -> None:
    settings = GuestSettings(
        SETTINGS.debugging,
        folder=SETTINGS.folder,
        test_signing=test_signing,
        certificate=SETTINGS.certificate,
        serve_port=SETTINGS.serve_port,
    )
    steps = preparation_steps(settings)
    shutil.rmtree(prefix.work / "a folder", ignore_errors=True)
    source = prefix.work / "from here"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    for name in ("bcdedit", "certutil", "reg", "actor"):
        shutil.copy(says_its_command_line, source / f"{name}.exe")
    (source / "procnotify.cer").write_bytes(b"certificate")
    (source / "install.bat").write_text(
        batch_file(steps, folder=settings.folder), encoding="ascii", newline=""
    )
    said = prefix.work.parent / "said.txt"
    said.unlink(missing_ok=True)

    done = prefix.run("cmd", "/d", "/c", r"cd /d C:\procnotify\from here && install.bat")

    words = [re.sub(r'["\s]+', " ", line).strip() for line in said.read_text(encoding="ascii").splitlines()]
    wanted = [" ".join(argv) for step in steps for argv in step.commands]
    output = done.stdout.decode("ascii")
    if failed is None:
        assert done.returncode == 0, output
        assert words == wanted
        assert (prefix.work / "a folder" / "procnotify.cer").read_bytes() == b"certificate"
        assert (prefix.work / "a folder" / "actor.exe").exists()
        assert "restart Windows" in output
    else:
        assert done.returncode == 1
        assert words == wanted[: len(words)] and words[-1] == "bcdedit /set testsigning off"
        assert failed in output
        assert "restart Windows" not in output
