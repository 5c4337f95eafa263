"""QEMU's command line: what each key of a machine file changes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from this_system import SHELL

from harness.connection import NetConnection, PipeConnection
from harness.errors import MachineError, MachineFileError
from harness.kd.kdnet import Key
from harness.machines.file import parse_machine
from harness.machines.qemu.commandline import Places, command_line
from harness.machines.qemu.machine import QemuMachine
from harness.machines.qemu.settings import QemuSettings

pytestmark = SHELL
NET = NetConnection(50000, Key.parse("1.2.3.4"))
TEXT = """\
machine: lab
type: qemu
image: disk.qcow2
connection: net:port=50000,key=1.2.3.4
guest: {channel: qga}
"""
SSH = "guest: {channel: ssh, user: root, host_key: any}"


def settings_of(folder: Path, text: str) -> QemuSettings:
    (folder / "disk.qcow2").touch()
    (folder / "ovmf.fd").touch()
    machine = parse_machine(text, folder / "lab.yaml")
    assert isinstance(machine, QemuMachine)
    return machine.settings


def line_of(folder: Path, text: str, *, kvm: bool = False) -> str:
    settings = settings_of(folder, text)
    port = 2222 if settings.access.channel == "ssh" else None
    places = Places(Path("/vm"), settings.connection or PipeConnection("/vm/com1"), port)
    return " ".join(command_line(settings, places, kvm=kvm))


def test_a_machine_of_which_little_is_said(tmp_path: Path) -> None:
    assert line_of(tmp_path, TEXT).split(" -") == [
        "qemu-system-x86_64",
        *("name lab", "nodefaults", "no-user-config", "display none", "machine q35", "accel tcg", "cpu max"),
        *("m 4096", "smp 2", "vga std", "chardev socket,id=qmp,path=/vm/qmp,server=on,wait=off"),
        *("mon chardev=qmp,mode=control", "action shutdown=pause,panic=none"),
        "drive if=none,id=disk,file=/vm/disk.qcow2,format=qcow2,cache=unsafe,discard=unmap",
        *("device ide-hd,drive=disk", "chardev file,id=com1,path=/vm/console.log", "serial chardev:com1"),
        *("netdev user,id=kdnet", "device e1000e,netdev=kdnet", "device virtio-serial-pci"),
        "chardev socket,id=qga,path=/vm/qga,server=on,wait=off",
        "device virtserialport,chardev=qga,name=org.qemu.guest_agent.0",
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("disk: virtio\n", "-device virtio-blk-pci,drive=disk"),
        ("disk: nvme\n", "-device nvme,serial=procnotify,drive=disk"),
        ("disk: ide\n", "-device piix3-ide,id=pata -device ide-hd,drive=disk,bus=pata.0"),
        ("memory: 512\nprocessors: 8\n", "-m 512 -smp 8"),
        ("firmware: ovmf.fd\n", "/ovmf.fd"),
        ("kdnet: virtio-net-pci\n", "-netdev user,id=kdnet -device virtio-net-pci,netdev=kdnet"),
        (
            "kdnet: hv-syndbg\n",
            "-device vmbus-bridge,irq=15 -device hv-syndbg,host_ip=127.0.0.1,host_port=50000,use_hcalls=on",
        ),
        ("program: /opt/qemu\n", "/opt/qemu -name lab"),
        ("arguments: [-device, usb-tablet]\n", "name=org.qemu.guest_agent.0 -device usb-tablet"),
    ],
)
def test_each_key_changes_what_it_says(tmp_path: Path, more: str, words: str) -> None:
    assert words in line_of(tmp_path, TEXT + more)
    assert words not in line_of(tmp_path, TEXT)


def test_kvm_keeps_windows_from_the_synthetic_debug_device(tmp_path: Path) -> None:
    assert "-accel kvm -cpu host,hv-relaxed" in line_of(tmp_path, TEXT, kvm=True)
    assert "hv-vendor-id=KVMKVMKVM" in line_of(tmp_path, TEXT, kvm=True)
    syndbg = line_of(tmp_path, TEXT + "kdnet: hv-syndbg\n", kvm=True)
    assert ",hv-syndbg -m" in syndbg
    assert "hv-vendor-id" not in syndbg


def test_a_card_that_is_the_arguments_business(tmp_path: Path) -> None:
    assert "netdev" not in line_of(tmp_path, TEXT + "kdnet: none\n")


def test_ssh_has_a_network_of_its_own(tmp_path: Path) -> None:
    line = line_of(tmp_path, TEXT.replace("guest: {channel: qga}", SSH) + "command_network: e1000\n")
    assert "hostfwd=tcp:127.0.0.1:2222-:22 -device e1000,netdev=commands" in line
    assert "-device e1000e,netdev=kdnet" in line
    assert "qga" not in line


def test_a_debugger_on_the_serial_port_has_the_first(tmp_path: Path) -> None:
    kdcom = TEXT.replace("net:port=50000,key=1.2.3.4", "serial")
    assert (
        "-chardev socket,id=com1,path=/vm/com1,server=on,wait=off -serial chardev:com1"
        " -chardev file,id=com2,path=/vm/console.log -serial chardev:com2"
    ) in line_of(tmp_path, kdcom)
    over_tcp = TEXT.replace("net:port=50000,key=1.2.3.4", '"com:ipport=5554,port=127.0.0.1"')
    assert "socket,id=com1,host=127.0.0.1,port=5554,server=on,wait=off" in line_of(tmp_path, over_tcp)
    assert "netdev" not in line_of(tmp_path, kdcom)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("disk.qcow2", "no.qcow2", 3, "there is no file "),
        (
            "net:port=50000,key=1.2.3.4",
            '"com:port=COM1,baud=115200"',
            4,
            "a machine of QEMU has no serial port",
        ),
        ("net:port=50000,key=1.2.3.4", '"com:pipe,port=/a/b,server"', 4, "QEMU listens at its serial port"),
        ("{channel: qga}", "{channel: qga, address: a:1}", 5, "unknown key 'address' in guest"),
        ("{channel: qga}", "{channel: qga, user: root}", 5, "the channel qga has no key 'user'"),
        (
            "{channel: qga}",
            "{channel: ssh, user: root}",
            5,
            "guest lacks 'host_key', which the channel ssh needs",
        ),
        ("{channel: qga}", "{channel: ssh, user: a, host_key: any, shell: zsh}", 5, "shell cannot be 'zsh'"),
        ("guest:", "disk: floppy\nguest:", 5, "disk cannot be 'floppy'"),
        ("guest:", "memory: 8\nguest:", 5, "memory must be 16 to 1048576, not 8"),
        ("guest:", "firmware: no.fd\nguest:", 5, "there is no file "),
        ("guest:", "snapshot: yes\nguest:", 5, "snapshot must be true or false, not 'yes'"),
        ("guest:", "arguments: -vnc\nguest:", 5, "arguments must be a list, not '-vnc'"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    (tmp_path / "disk.qcow2").touch()
    with pytest.raises(MachineFileError) as caught:
        parse_machine(TEXT.replace(old, new, 1), tmp_path / "lab.yaml")
    assert (caught.value.line, caught.value.message[: len(message)]) == (line, message)


def test_a_debug_device_means_nothing_to_a_serial_line(tmp_path: Path) -> None:
    text = TEXT.replace("net:port=50000,key=1.2.3.4", "serial") + "kdnet: e1000\n"
    with pytest.raises(
        MachineFileError, match=r"lab\.yaml:6: kdnet has a meaning for a connection by net: alone"
    ):
        settings_of(tmp_path, text)


@pytest.mark.parametrize("more", ["accelerator: kvm\n", "kdnet: hv-syndbg\n"])
def test_what_needs_kvm_says_so_where_there_is_none(tmp_path: Path, more: str) -> None:
    (tmp_path / "disk.qcow2").touch()
    machine = parse_machine(TEXT + more + "program: /no/qemu\n", tmp_path / "lab.yaml")
    assert isinstance(machine, QemuMachine)
    with pytest.raises(MachineError, match="needs KVM"):
        machine.prepare()
    machine.close()
