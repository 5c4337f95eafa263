"""The project's driver, executed callback by callback: long and odd names, refused registrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import Driver, Event, ImageLoad
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.resources import driver_sources
from harness.toolchain import Arch, build_driver, default_driver
from harness.virtual.clock import Clock
from harness.virtual.interfaces import ImageModule, ThreadContext
from harness.virtual.kernel.kernel import Kernel

SYSTEM = ThreadContext(pid=4, tid=8, cpu=0)
USER = ThreadContext(pid=1000, tid=1004, cpu=1)
STATUS_INSUFFICIENT_RESOURCES = 0xC000009A
PATH = r"\SystemRoot\system32\drivers\procnotify.sys"
BASE = 0x7FF6_1234_0000
SIZE = 0x1F_F000


class Printer:
    """A debugger that keeps the bytes of every print."""

    def __init__(self) -> None:
        self.prints: list[bytes] = []

    def print_string(self, text: bytes, cpu: int) -> None:
        self.prints.append(text)

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """The list of modules is of no interest here."""

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        raise AssertionError(f"exception {code:#x} at {address:#x}")

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        raise AssertionError(f"bugcheck {code:#x} {parameters}")

    def poll(self) -> None:
        """Nobody breaks in."""

    def events(self) -> list[Event]:
        lines = EventAssembler(builtin_grammar())
        return [e for text in self.prints for e in lines.feed(text.decode("utf-8"))] + lines.flush()


def kernel_with(image: bytes) -> tuple[Kernel, Printer, int]:
    printer = Printer()
    kernel = Kernel(printer, Clock(), processors=2)
    return kernel, printer, kernel.load_driver(path=PATH, data=image, context=SYSTEM)


def report_image(name: str | None) -> tuple[list[bytes], ImageLoad]:
    """What the driver prints for an image of that name, and the event made from it."""
    kernel, printer, status = kernel_with(default_driver().path.read_bytes())
    assert status == 0
    printer.prints.clear()
    kernel.image_notify(name=name, pid=1000, base=BASE, size=SIZE, system_mode=False, context=USER)
    (event,) = printer.events()
    assert isinstance(event, ImageLoad)
    return printer.prints, event


@pytest.mark.parametrize(
    "name",
    [
        r"\Device\HarddiskVolume3\Windows\System32\ntdll.dll",
        "\\Device\\" + "a" * 279,  # the longest that fits one print: 288 bytes with the terminating NUL
        "\\Device\\" + "b" * 280,
        "\\Device\\" + "long\\" * 400 + "x.dll",
        "\\Device\\Grüße\\日本語\\😀.dll",
        "\\Device\\" + "😀" * 500,
        "\\" + "z" * 32765,
        None,
    ],
    ids=["usual", "just-fits", "just-not", "long", "unicode", "long-unicode", "longest", "null"],
)
def test_no_name_is_cut(name: str | None) -> None:
    prints, event = report_image(name)
    assert event.image == name
    assert (event.pid, event.base, event.size, event.seq, event.cpu) == (1000, BASE, SIZE, 4, 1)
    assert (event.context_pid, event.context_tid) == (1000, 1004)
    assert max(map(len, prints)) <= 480
    assert (len(prints) == 1) == (len((name or "").encode()) < 288)


def test_a_name_cannot_forge_a_line() -> None:
    prints, event = report_image("\\a\n[procnotify] OnProcessNotify PID(4) was terminated\0\x7f\\b.dll")
    assert len(prints) == 1
    assert prints[0].count(b"\n") == 1
    assert event.image == "\\a\ufffd[procnotify] OnProcessNotify PID(4) was terminated\ufffd\ufffd\\b.dll"


def test_a_refused_registration_is_undone_in_reverse_and_its_status_kept(tmp_path: Path) -> None:
    ours = driver_sources().resolve() / "procnotify"
    (tmp_path / "refused.c").write_text(
        "#include <ntddk.h>\n"
        "static NTSTATUS Refuse(PLOAD_IMAGE_NOTIFY_ROUTINE Routine)\n"
        "{ UNREFERENCED_PARAMETER(Routine); return STATUS_INSUFFICIENT_RESOURCES; }\n"
        "#define PsSetLoadImageNotifyRoutine Refuse\n"
        + "".join(f'#include "{path.as_posix()}"\n' for path in sorted(ours.glob("*.c"))),
        encoding="utf-8",
    )
    image = build_driver(tmp_path, Arch.X64, tmp_path / "refused.sys").path.read_bytes()
    _, printer, status = kernel_with(image)
    assert status == STATUS_INSUFFICIENT_RESOURCES
    assert [(e.function, e.routine, e.status) for e in printer.events() if isinstance(e, Driver)] == [
        ("DriverEntry", "PsSetCreateProcessNotifyRoutine", 0),
        ("DriverEntry", "PsSetCreateThreadNotifyRoutine", 0),
        ("DriverEntry", "PsSetLoadImageNotifyRoutine", STATUS_INSUFFICIENT_RESOURCES),
        ("DriverEntry", "PsRemoveCreateThreadNotifyRoutine", 0),
        ("DriverEntry", "PsSetCreateProcessNotifyRoutine", 0),
    ]
