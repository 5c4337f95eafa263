"""A machine of type ``libvirt`` against libvirt's own test driver, a hypervisor without guests in this
process; its guest is a sshd of this host. ``test_libvirt_guest.py`` has a real guest."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from guest_servers import SshServer
from this_system import SHELL

from harness.connection import NetConnection
from harness.errors import MachineError, MachineFileError, TargetLost, UsageError
from harness.kd.kdnet import Key
from harness.machines.base import BootOptions, MachineStatus
from harness.machines.file import parse_machine
from harness.machines.libvirt import hypervisor
from harness.machines.libvirt.hypervisor import Hypervisor
from harness.machines.libvirt.machine import LibvirtMachine
from harness.machines.libvirt.settings import BEFORE, CLEAN

pytestmark = SHELL
URI = "test:///default"
TEXT = f"""\
machine: lab
type: libvirt
uri: {URI}
domain: test
connection: net:port=50000,key=1.2.3.4
guest: {{channel: qga}}
"""
BOOT = BootOptions(seed=1, connection=NetConnection(50000, Key.parse("1.2.3.4")))
WORDS = {1: "running", 3: "paused", 5: "off"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCNOTIFY_CACHE", str(tmp_path / "cache"))


def machine_of(text: str) -> LibvirtMachine:
    machine = parse_machine(text, Path("lab.yaml"))
    assert isinstance(machine, LibvirtMachine)
    return machine


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (1, "domain: test\n", "", "a machine of type libvirt lacks 'domain'"),
        (6, "qga}", "qga, address: /run/qga}", "where the channel qga is, the machine knows itself"),
        (6, "qga}", "serial}", "guest lacks 'address', which the channel serial needs"),
        (
            4,
            "domain: test\n",
            "take_snapshot: true\ndomain: test\nsnapshot: mine\n",
            "one of snapshot and take_snapshot says where a run begins",
        ),
        (
            4,
            "domain:",
            "snapshot: procnotify-clean\ndomain:",
            "procnotify-clean is deleted where it is found",
        ),
    ],
)
def test_a_mistake_in_the_file(line: int, old: str, new: str, message: str) -> None:
    with pytest.raises(MachineFileError) as caught:
        parse_machine(TEXT.replace(old, new), Path("lab.yaml"))
    assert str(caught.value).startswith(f"lab.yaml:{line}: {message}")


def test_without_the_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(MachineError, match=r"binding cannot be used: .*pip install 'libvirt-python"):
        machine_of(TEXT).prepare()


def test_before_it_is_prepared() -> None:
    machine = machine_of(TEXT)
    assert machine.status() == MachineStatus("off")
    assert machine.describe() == {"type": "libvirt", "name": "lab", "domain": "test"}
    with pytest.raises(TargetLost, match="lab is not started"):
        machine.guest()
    machine.stop()
    machine.close()


def test_a_daemon_that_is_not_there(libvirt: ModuleType, tmp_path: Path) -> None:
    uri = f"qemu+unix:///session?socket={tmp_path}/nothing"
    with pytest.raises(MachineError) as caught:
        machine_of(TEXT.replace(URI, uri)).prepare()
    assert caught.value.message.startswith(f"finding the domain test at {uri} failed: ")
    assert "No such file or directory" in caught.value.message


def test_a_daemon_that_does_not_answer(libvirt: ModuleType, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        hung = Hypervisor(f"qemu+unix:///session?socket={tmp_path}/s")
        with pytest.raises(MachineError, match=r"did not end looking within 0\.1 s"):
            hung.call("looking", lambda connection: connection.getVersion(), timeout=0.1)
        with pytest.raises(MachineError, match=r"has not ended an earlier call, so not going on either"):
            hung.call("going on", lambda connection: connection.getVersion())
        hung.close()


@pytest.fixture
def domain(libvirt: ModuleType) -> Iterator[Any]:
    """The test driver's one; its state lasts as long as a connection."""
    connection = libvirt.open(URI)
    domain = connection.lookupByName("test")
    yield domain
    for snapshot in domain.listAllSnapshots():
        snapshot.delete()
    if not domain.isActive():
        domain.create()
    if WORDS[domain.state()[0]] == "paused":
        domain.resume()


def take(domain: Any, name: str, description: str = "") -> None:
    domain.snapshotCreateXML(
        f"<domainsnapshot><name>{name}</name><description>{description}</description></domainsnapshot>"
    )


def bring_to(domain: Any, state: str) -> None:
    if state == "off":
        domain.destroy()
    elif state == "paused":
        domain.suspend()


def test_a_domain_that_is_not_there(domain: Any) -> None:
    with pytest.raises(UsageError, match=r"test:///default has no domain 'tets'; known are test$"):
        machine_of(TEXT.replace("domain: test", "domain: tets")).prepare()


def test_a_snapshot_that_is_not_there(domain: Any) -> None:
    take(domain, "mine")
    machine = machine_of(f"{TEXT}snapshot: mien\n")
    with pytest.raises(UsageError, match=r"domain test has no snapshot 'mien'; known are mine$"):
        machine.prepare()


def test_a_domain_that_would_be_gone_when_it_is_off(domain: Any) -> None:
    transient = domain.connect().createXML(
        "<domain type='test'><name>brief</name><memory>1024</memory><os><type>hvm</type></os></domain>"
    )
    try:
        with pytest.raises(MachineError, match="brief is gone once it is switched off; define it"):
            machine_of(TEXT.replace("domain: test", "domain: brief")).prepare()
    finally:
        transient.destroy()


@pytest.fixture(scope="module")
def ssh_guest(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The section of a guest that answers."""
    server = SshServer(program("sshd"), tmp_path_factory.mktemp("sshd"))
    server.start()
    host_key = " ".join(server.host_key.split()[:2])
    yield (
        f"guest: {{channel: ssh, address: {server.where}, user: {getpass.getuser()}, host_key: {host_key},"
        f" key_file: {server.folder}/user_key}}"
    )
    server.kill()


@pytest.fixture
def text(ssh_guest: str) -> str:
    return TEXT.replace("guest: {channel: qga}", ssh_guest)


@pytest.mark.parametrize("found", ["off", "running", "paused"])
@pytest.mark.parametrize("begin", ["take_snapshot: true\n", "snapshot: mine\n", ""])
def test_a_domain_is_left_as_it_was_found(domain: Any, text: str, found: str, begin: str) -> None:
    take(domain, "mine")
    bring_to(domain, found)
    machine = machine_of(text + begin)
    for _ in range(2):
        machine.prepare()
        assert WORDS[domain.state()[0]] == "paused"
        machine.start(BOOT)
        assert WORDS[domain.state()[0]] == "running"
        assert machine.describe()["version"] == "0.0.2"
        machine.stop()
        assert WORDS[domain.state()[0]] == "paused"
    machine.close()
    assert WORDS[domain.state()[0]] == found
    assert domain.snapshotListNames() == ["mine"]


@pytest.mark.parametrize("found", ["off", "running"])
def test_wherever_it_is_broken_off_the_domain_is_left_as_it_was_found(
    domain: Any, text: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the first wait for libvirt, in the second, and so on until there is none left."""
    bring_to(domain, found)
    whole = hypervisor.is_done_within
    for last in count():
        waits = count()

        def wait(futures: Any, timeout: float, waits: Iterator[int] = waits, last: int = last) -> bool:
            if next(waits) == last:
                raise KeyboardInterrupt
            return whole(futures, timeout)

        monkeypatch.setattr(hypervisor, "is_done_within", wait)
        machine = machine_of(f"{text}take_snapshot: true\n")
        try:
            machine.prepare()
            machine.start(BOOT)
            machine.stop()
            machine.prepare()
            broken_off = False
        except KeyboardInterrupt:
            broken_off = True
        monkeypatch.setattr(hypervisor, "is_done_within", whole)
        machine.close()
        assert WORDS[domain.state()[0]] == found
        assert domain.snapshotListNames() == []
        if not broken_off:
            break
    assert last > 20


@pytest.mark.parametrize("found", ["off", "running", "paused"])
def test_what_a_killed_call_has_left_is_undone(domain: Any, text: str, found: str) -> None:
    if found == "off":
        domain.destroy()
        take(domain, BEFORE, "found off")
        domain.create()
    domain.suspend()
    take(domain, CLEAN, f"found {found}")
    domain.resume()
    machine = machine_of(text)
    machine.prepare()
    machine.close()
    assert WORDS[domain.state()[0]] == found
    assert domain.snapshotListNames() == []


def test_one_call_at_a_time_whatever_the_file(domain: Any, text: str) -> None:
    first, second = machine_of(text), machine_of(text.replace("machine: lab", "machine: other"))
    first.prepare()
    with pytest.raises(MachineError, match="another call is at work on the domain test of test:///default"):
        second.prepare()
    second.close()
    assert WORDS[domain.state()[0]] == "paused"
    first.close()
    second.prepare()
    second.close()


def test_a_domain_that_is_off_in_the_middle(domain: Any, text: str) -> None:
    machine = machine_of(f"{text}take_snapshot: true\n")
    machine.prepare()
    machine.start(BOOT)
    domain.destroy()
    assert machine.status() == MachineStatus("off", detail="the domain test was destroyed")
    machine.stop()
    machine.prepare()
    assert machine.status() == MachineStatus("paused")
    machine.close()
    assert WORDS[domain.state()[0]] == "running"


def test_a_guest_that_does_not_come_up(domain: Any) -> None:
    machine = machine_of(f"{TEXT}boot_timeout: 200ms\n")
    with pytest.raises(
        MachineError, match="the guest of lab is not up: no guest agent answered at the domain"
    ):
        machine.prepare()
    machine.close()
    assert WORDS[domain.state()[0]] == "running"


def test_what_a_guest_said_that_did_not_come_up_is_kept(domain: Any, tmp_path: Path) -> None:
    console = tmp_path / "console"
    console.write_bytes(b"no boot device\n")
    defined = domain.connect().defineXML(
        "<domain type='test'><name>mute</name><memory>1024</memory><os><type>hvm</type></os><devices>"
        f"<serial type='pty'><log file='{console}'/></serial></devices></domain>"
    )
    machine = machine_of(TEXT.replace("domain: test", "domain: mute") + "boot_timeout: 200ms\n")
    with pytest.raises(MachineError, match="the guest of lab is not up"):
        machine.prepare()
    machine.stop()
    assert machine.artifacts() == {"console.log": b"no boot device\n"}
    machine.close()
    assert not defined.isActive()
    defined.undefine()
