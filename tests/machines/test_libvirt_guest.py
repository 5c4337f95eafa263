"""A real libvirtd with the tests' Linux guest as its domain: scenarios from cold and from the snapshot, and a
domain that is destroyed in the middle of a run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from build import LinuxGuest, linux_guest
from guest_servers import wait_until
from lab import KEY, free_udp_port
from this_system import SHELL

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.progress import Progress, StepStarted
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.runs.watch import Watch
from harness.scenario.load import load

pytestmark = SHELL
SCENARIO = load(Path(__file__).parent.parent.parent / "scenarios" / "create-thread.yaml")
SILENCE = 60.0
"""A guest that is emulated in software, on a machine that does other things too, may be silent for long."""
DOMAIN = """\
<domain type='qemu'>
  <name>linux</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{guest.kernel}</kernel><initrd>{guest.initrd}</initrd>
    <cmdline>console=ttyS0 quiet kd=net:port={port},key={key}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>{qemu}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='file'><source path='{console}'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class Libvirtd(NamedTuple):
    """A daemon of the tests' own, as a user's session has one."""

    folder: Path
    uri: str
    connection: Any


@pytest.fixture(scope="module")
def libvirtd(libvirt: ModuleType, program: Callable[[str], str]) -> Iterator[Libvirtd]:
    words = [program("libvirtd")]
    if os.geteuid() == 0:
        # One of root's is the system's, with its places; as another user in a namespace it has all below the
        # folder.
        words = [program("unshare"), "--map-user=1000", *words]
    # Not below pytest's: a Unix socket's path has an end.
    with tempfile.TemporaryDirectory(prefix="lv") as place:
        folder = Path(place)
        places = {"RUNTIME_DIR": "r", "CONFIG_HOME": "c", "CACHE_HOME": "k", "DATA_HOME": "d"}
        environment = {**os.environ, "HOME": place}
        for variable, name in places.items():
            (folder / name).mkdir(mode=0o700)
            environment[f"XDG_{variable}"] = str(folder / name)
        (folder / "c" / "libvirt").mkdir()
        # Else a second daemon would hold the consoles.
        settings = folder / "c" / "libvirt" / "qemu.conf"
        settings.write_text('stdio_handler = "file"\n', encoding="utf-8", newline="\n")
        said = folder / "said"
        with said.open("wb") as output, subprocess.Popen(words, env=environment, stderr=output) as daemon:
            try:
                control = folder / "r" / "libvirt" / "libvirt-sock"
                wait_until(
                    lambda: control.exists() or daemon.poll() is not None,
                    "libvirtd does not listen",
                )
                assert daemon.poll() is None, said.read_text(encoding="utf-8")
                uri = f"qemu+unix:///session?socket={control}"
                connection = libvirt.open(uri)
                yield Libvirtd(folder, uri, connection)
                for domain in connection.listAllDomains():
                    if domain.isActive():
                        domain.destroy()
                connection.close()
            finally:
                daemon.terminate()


class Lab:
    """The domain, off, and a machine file that has snapshots of it taken."""

    def __init__(self, libvirtd: Libvirtd, guest: LinuxGuest, qemu: str) -> None:
        folder, port = libvirtd.folder, free_udp_port()
        self.folder = folder
        self.disk = folder / "disk.qcow2"
        self.base = guest.disk
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(guest.disk), str(self.disk))
        text = DOMAIN.format(
            guest=guest, port=port, key=KEY, qemu=qemu, disk=self.disk, console=folder / "console.log"
        )
        self.domain = libvirtd.connection.defineXML(text)
        self.file = folder / "lab.yaml"
        self.file.write_text(
            f"machine: lab\ntype: libvirt\nuri: {libvirtd.uri}\ndomain: linux\ntake_snapshot: true\n"
            f"connection: net:port={port},key={KEY}\n"
            "guest: {channel: qga, folder: /run/procnotify, helper: /opt/guest/helper}\n",
            encoding="utf-8",
            newline="\n",
        )
        self.in_the_middle: Callable[[], object] = list
        """Done when a run begins its first step."""

    def __call__(self, progress: Progress) -> None:
        if isinstance(progress, StepStarted):
            self.in_the_middle()
            self.in_the_middle = list

    def require_as_it_was(self) -> None:
        """It is off, without a snapshot, and its disk has nothing on it that was not there before."""
        assert not self.domain.isActive()
        assert self.domain.snapshotListNames() == []
        _run("qemu-img", "compare", "-q", str(self.disk), str(self.base))


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def lab(libvirtd: Libvirtd, program: Callable[[str], str]) -> Lab:
    for name in ("qemu-img", "mke2fs", "qemu-ga", "sshd"):
        program(name)
    return Lab(libvirtd, linux_guest(), program("qemu-system-x86_64"))


@pytest.fixture(scope="module")
def rig(lab: Lab) -> Iterator[Rig]:
    with open_rig(
        machine=str(lab.file),
        debugger="native",
        driver=None,
        trace_folder=lab.folder / "traces",
        watch=Watch(silence=SILENCE, lines=SILENCE, printing=300),
        subscribers=(lab,),
    ) as rig:
        yield rig
    lab.require_as_it_was()


def test_from_cold_then_from_the_snapshot_also_of_a_domain_that_was_destroyed(rig: Rig, lab: Lab) -> None:
    from_cold = run_scenario(rig, SCENARIO, seed=1)
    assert from_cold.outcome is Outcome.PASSED, from_cold
    lab.in_the_middle = lab.domain.destroy
    destroyed = run_scenario(rig, SCENARIO, seed=2)
    assert destroyed.outcome is Outcome.RIG, destroyed
    assert "the domain linux was destroyed" in destroyed.reason
    from_the_snapshot = run_scenario(rig, SCENARIO, seed=3)
    assert from_the_snapshot.outcome is Outcome.PASSED, from_the_snapshot
