"""From a switched-off virtual machine to a checked trace: a real QEMU with a small Linux in it, where the
virtual target dials the host over KDNET through QEMU's network.

``PROCNOTIFY_MACHINE_MATRIX=1`` runs every shipped scenario through each guest channel with each debugger;
otherwise a few are run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from guest_servers import wait_until
from lab import Lab
from this_system import SHELL

pytestmark = SHELL
SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
MATRIX = bool(os.environ.get("PROCNOTIFY_MACHINE_MATRIX"))


def scenarios(*names: str) -> list[str]:
    return [str(SCENARIOS)] if MATRIX else [str(SCENARIOS / f"{name}.yaml") for name in names]


def test_from_cold_over_the_guest_agent(make_lab: Callable[[str], Lab]) -> None:
    one = make_lab("qga")
    image = one.file.read_text(encoding="utf-8").split("image: ")[1].split("\n")[0]
    before = Path(image).stat()
    wanted = scenarios("notepad-launch", "load-library-twice", "create-thread")
    code, document, said = one.run(*wanted)
    assert code == 0, said
    results = document["results"]
    assert [result["outcome"] for result in results] == ["passed"] * (11 if MATRIX else 3)
    assert all(result["events"] > 20 for result in results)
    after = Path(image).stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert not list((one.folder / "traces" / "latest").glob("*.log")), "nothing is kept of what passed"


def test_from_cold_over_ssh(make_lab: Callable[[str], Lab]) -> None:
    code, document, said = make_lab("ssh").run(*scenarios("create-thread", "notepad-launch"))
    assert code == 0, said
    assert {result["outcome"] for result in document["results"]} == {"passed"}


@pytest.mark.skipif(not MATRIX, reason="two more starts from cold: PROCNOTIFY_MACHINE_MATRIX=1")
@pytest.mark.parametrize("channel", ["qga", "ssh"])
def test_from_cold_with_microsofts_debugger(make_lab: Callable[[str], Lab], pykd: str, channel: str) -> None:
    code, document, said = make_lab(channel).run(*scenarios("create-thread"), "--debugger", pykd)
    assert code == 0, said
    assert {result["outcome"] for result in document["results"]} == {"passed"}


@pytest.mark.parametrize("link", ["socket", "tcp"] if MATRIX else ["socket"])
def test_from_cold_over_serial_ports_alone(make_lab: Callable[..., Lab], link: str) -> None:
    code, document, said = make_lab("serial", link).run(*scenarios("create-thread"))
    assert code == 0, said
    assert {result["outcome"] for result in document["results"]} == {"passed"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_ended_in_the_middle_it_leaves_nothing(make_lab: Callable[[str], Lab], how: signal.Signals) -> None:
    lab = make_lab("qga")
    with lab.start(str(SCENARIOS / "create-thread.yaml")) as under_way:
        wait_until(lambda: any(lab.temporary.glob("procnotify-*/console.log")), "QEMU does not start")
        under_way.send_signal(how)
        under_way.communicate()
    assert under_way.returncode == {"SIGINT": 130, "SIGTERM": 130, "SIGKILL": -9}[how.name]
    wait_until(lambda: not lab.processes(), "something runs on")
