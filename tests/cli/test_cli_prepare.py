"""``procnotify prepare``: what it writes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from windows_guest import WindowsGuest

from harness.cli.prepare import command
from harness.errors import UsageError
from harness.machines.access import GuestAccess
from harness.signing import made_certificate

CI = r"HKLM\SYSTEM\CurrentControlSet\Control\CI"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCNOTIFY_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def prepare(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)


def test_a_folder_for_the_guest_with_a_new_key(tmp_path: Path) -> None:
    out = tmp_path / "install"
    said = [prepare("--print", out, "--host-ip", "10.0.2.2").stdout for _ in range(2)]
    keys = [re.search(r'listens on "net:port=50000,key=([\w.]+)"', text) for text in said]
    assert keys[0] is not None
    assert keys[1] is not None
    assert keys[0][1] != keys[1][1]
    batch = (out / "install.bat").read_bytes().decode("ascii")
    assert f"bcdedit /dbgsettings net hostip:10.0.2.2 port:50000 key:{keys[1][1]}\r\n" in batch
    assert "bcdedit /set testsigning on\r\n" in batch
    assert (out / "procnotify.cer").read_bytes() == made_certificate()[0].der
    assert {path.name for path in out.iterdir()} == {"install.bat", "procnotify.cer"}


def test_a_serial_debugger_and_a_helper_that_serves_the_other_port(tmp_path: Path) -> None:
    out = tmp_path / "install"
    words = (
        "--connection",
        "com:pipe,port=/run/vm.serial",
        "--com",
        2,
        "--serve",
        "COM1",
        "--certificate",
        "none",
    )
    done = prepare("--print", out, *words, "--json")
    document = json.loads(done.stdout)
    assert document["connection"] == "com:pipe,port=/run/vm.serial"
    assert document["written"] == [str(out / "actor.exe"), str(out / "install.bat")]
    batch = (out / "install.bat").read_bytes().decode("ascii")
    assert "bcdedit /dbgsettings serial debugport:2 baudrate:115200\r\n" in batch
    assert r"C:\procnotify\actor.exe serve COM1 --install" in batch


@pytest.mark.parametrize(("words", "flags"), [([], 0), (["--honest-signing"], 16)])
def test_an_attached_debugger_hides_a_missing_signature_or_not(
    tmp_path: Path, words: list[str], flags: int
) -> None:
    prepare("--print", tmp_path, "--host-ip", "10.0.2.2", *words)
    batch = (tmp_path / "install.bat").read_bytes().decode("ascii")
    assert rf"reg add {CI} /v DebugFlags /t REG_DWORD /d {flags} /f" in batch


LAB = """\
machine: lab
type: {type}
connection: {connection}
guest: {{channel: qga, address: 127.0.0.1:4444, folder: 'D:\\work'}}
"""


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> WindowsGuest:
    """What the channel of every machine leads to."""
    windows = WindowsGuest()
    monkeypatch.setattr(GuestAccess, "open_channel", lambda self, address: windows)
    return windows


def lab(folder: Path, connection: str = "net:port=50001,key=1a.2b.3c.4d", *, kind: str = "existing") -> Path:
    path = folder / "lab.yaml"
    path.write_text(LAB.format(type=kind, connection=connection), encoding="utf-8", newline="\n")
    return path


@pytest.mark.parametrize("kind", ["existing", "command"])
def test_the_guest_of_a_machine_file(tmp_path: Path, guest: WindowsGuest, kind: str) -> None:
    done = prepare(lab(tmp_path, kind=kind), "--host-ip", "192.168.1.10", "--serve", "COM2", "--json")
    assert done.return_value == 0
    document = json.loads(done.stdout)
    assert document["connection"] == "net:port=50001,key=1a.2b.3c.4d"
    assert document["written"] == []
    assert guest.debugger["hostip"] == "192.168.1.10" and guest.debugger["key"] == "1a.2b.3c.4d"
    assert guest.boot_options["testsigning"] == "on"
    assert len(guest.certificates) == 2
    assert guest.files[r"D:\work\actor.exe"][:2] == b"MZ"
    assert (r"D:\work\actor.exe", "serve", "COM2", "--install") in guest.programs


def test_the_files_for_a_machine_file_touch_no_guest(tmp_path: Path, guest: WindowsGuest) -> None:
    out = tmp_path / "install"
    prepare(lab(tmp_path, "com:pipe,port=/run/vm/com1"), "--print", out)
    assert "bcdedit /dbgsettings serial debugport:1" in (out / "install.bat").read_text(encoding="ascii")
    assert guest.programs == []


@pytest.mark.skipif(sys.platform == "win32", reason="machines of type qemu are a POSIX system's")
def test_the_disk_of_a_qemu_machine_is_thrown_away(tmp_path: Path, guest: WindowsGuest) -> None:
    (tmp_path / "disk.qcow2").touch()
    path = tmp_path / "vm.yaml"
    path.write_text(
        "machine: vm\ntype: qemu\nimage: disk.qcow2\nconnection: serial\nguest: {channel: qga}\n",
        encoding="utf-8",
        newline="\n",
    )
    done = prepare(path)
    assert isinstance(done.exception, UsageError)
    assert "reached in a run alone, and what is set there may be undone" in str(done.exception)
    assert prepare(path, "--print", tmp_path / "install").return_value == 0
    assert guest.programs == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing says which guest"),
        (["virtual"], "no guest to prepare"),
        (["--print", "out"], "with --host-ip"),
        (["--print", "out", "--host-ip", "host"], "'host' is no IPv4 address"),
        (["--print", "out", "--host-ip", "1.2.3.4", "--certificate", "none.pem"], r"cannot read none\.pem"),
        (
            ["--print", "out", "--connection", "com:pipe,port=x", "--serve", "COM1"],
            "belongs to the kernel debugger",
        ),
    ],
)
def test_what_does_not_go_together(words: list[str], said: str) -> None:
    done = prepare(*words)
    assert isinstance(done.exception, UsageError)
    assert re.search(said, str(done.exception))
