"""Machine files: what they may say, and every mistake with its place and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from this_system import SHELL

from harness.connection import NetConnection, PipeConnection
from harness.errors import MachineFileError, UsageError
from harness.kd.kdnet import Key
from harness.machines import open_machine
from harness.machines.existing import ExistingMachine
from harness.machines.file import load_machine, parse_machine

EXISTING = """\
machine: lab
type: existing
connection: net:port=50000,key=1.2.3.4
guest: {channel: qga, address: 127.0.0.1:4444}
"""


def error_of(text: str, path: Path = Path("lab.yaml")) -> MachineFileError:
    with pytest.raises(MachineFileError) as caught:
        parse_machine(text, path)
    return caught.value


MISTAKES = [
    ("nothing in it", "", 1, "the file is empty; docs/machines.md shows whole machine files"),
    ("a list", "- a\n", 1, "machine file must be a mapping, not a list"),
    (
        "no type",
        "machine: lab\n",
        1,
        "machine file lacks 'type'; docs/machines.md shows whole machine files",
    ),
    (
        "no such type",
        "machine: lab\ntype: exsting\n",
        2,
        "no type of machine 'exsting'; did you mean 'existing'?",
    ),
    (
        "a name with a space",
        "machine: my lab\ntype: existing\n",
        1,
        "'my lab' is not a name for a machine; letters, digits, '.', '_', '-'",
    ),
    (
        "a key that is not known",
        EXISTING + "conection: x\n",
        5,
        "unknown key 'conection' in a machine of type existing; did you mean 'connection'?",
    ),
    (
        "a key of another type",
        EXISTING + "image: a.qcow2\n",
        5,
        "unknown key 'image' in a machine of type existing; known are machine, type, connection, guest,"
        " boot_timeout",
    ),
    (
        "no connection",
        EXISTING.replace("connection: net:port=50000,key=1.2.3.4\n", ""),
        1,
        "a machine of type existing lacks 'connection'",
    ),
    (
        "a connection that is none",
        EXISTING.replace("net:port=50000,key=1.2.3.4", "net:port=50000"),
        3,
        "the connection is not understood: net: lacks the option 'key'",
    ),
    ("no guest", EXISTING.replace("guest:", "gust:"), 4, "unknown key 'gust' in a machine of type existing"),
    (
        "a guest that is a word",
        EXISTING[: EXISTING.index("guest")] + "guest: qga\n",
        4,
        "guest must be a mapping",
    ),
    ("no channel", EXISTING.replace("channel: qga, ", ""), 4, "guest lacks 'channel'"),
    ("no such channel", EXISTING.replace(": qga", ": telnet"), 4, "no guest channel 'telnet'"),
    ("no address", EXISTING.replace(", address: 127.0.0.1:4444", ""), 4, "guest lacks 'address'"),
    (
        "an address that is none",
        EXISTING.replace("127.0.0.1:4444", "127.0.0.1"),
        4,
        "'127.0.0.1' is no address; write HOST:PORT, or the path of a Unix socket with a / in it",
    ),
    ("a port that is none", EXISTING.replace("4444", "70000"), 4, "'127.0.0.1:70000' is no address"),
    ("a time that is none", EXISTING + "boot_timeout: 5\n", 5, "boot_timeout must be a duration"),
]


@pytest.mark.parametrize(
    ("text", "line", "message"), [pytest.param(*row, id=name) for name, *row in MISTAKES]
)
def test_a_mistake_is_told_with_its_place_and_the_way_out(text: str, line: int, message: str) -> None:
    error = error_of(text)
    assert str(error).startswith(f"lab.yaml:{line}: {message}")
    assert str(error).isprintable()
    assert error.exit_code == 2


def test_a_connection_that_is_wrong_does_not_show_the_key() -> None:
    error = error_of(EXISTING.replace("key=1.2.3.4", "key=geheim!.2.3.4"))
    assert "geheim" not in str(error)


def test_several_mistakes_are_told_at_once() -> None:
    error = error_of(EXISTING.replace("127.0.0.1:4444", "nowhere") + "boot_timeout: soon\nsnapshot: true\n")
    assert [mistake.line for mistake in error.mistakes] == [4, 5, 6]


def test_a_machine_that_is_there_already() -> None:
    machine = parse_machine(EXISTING, Path("lab.yaml"))
    assert isinstance(machine, ExistingMachine)
    assert machine.name == "lab"
    assert not machine.deterministic
    assert machine.connection() == NetConnection(50000, Key.parse("1.2.3.4"))
    assert machine.describe() == {"type": "existing", "name": "lab"}


def test_a_serial_connection_is_written_as_for_windbg() -> None:
    text = EXISTING.replace("net:port=50000,key=1.2.3.4", '"com:pipe,port=/run/vm/com1,reconnect"')
    assert parse_machine(text, Path("lab.yaml")).connection() == PipeConnection(
        "/run/vm/com1", reconnect=True
    )


def test_a_file_is_told_from_a_name_by_its_form(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(EXISTING, encoding="utf-8", newline="\n")
    assert open_machine(str(file)).name == "lab"
    assert open_machine("virtual").name == "virtual"
    with pytest.raises(
        UsageError, match=r"no machine named 'lab'; known: virtual, or the path of a machine file"
    ):
        open_machine("lab")
    with pytest.raises(MachineFileError, match=r"nothing\.yaml:1: cannot be read"):
        open_machine("nothing.yaml")
    with pytest.raises(MachineFileError, match="cannot be read"):
        load_machine(tmp_path)


@SHELL
def test_paths_begin_at_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(EXISTING.replace("127.0.0.1:4444", "./run/qga"), encoding="utf-8", newline="\n")
    machine = load_machine(file)
    assert isinstance(machine, ExistingMachine)
    with pytest.raises(Exception, match=str(tmp_path / "run" / "qga")):
        ExistingMachine(machine.name, machine.connection(), machine.access, up_seconds=0.1).prepare()
