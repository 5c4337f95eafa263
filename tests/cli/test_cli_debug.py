"""``procnotify debug``: commands of real debuggers, and what is said when they cannot be had."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from harness.cli.debug import command
from harness.connection import NetConnection, free_connection, parse_connection
from harness.debuggers import DEBUGGERS, DebuggerKind
from harness.debuggers.base import Release, TargetInfo
from harness.debuggers.native import commands
from harness.debuggers.native.commands import execute
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import DebuggerDied, DriverBugcheck, ProcnotifyError, TargetLost, UsageError
from harness.kd.contexts import Amd64Context
from harness.toolchain import default_driver

CREATE_THREAD = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"


def debug(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", "debug", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def test_dbgeng_shows_the_driver_the_registers_and_the_stack(pykd: str) -> None:
    done = debug("--debugger", "pykd", "-c", "lm", "-c", "vertarget", "-c", "r rip", "-c", "k")
    assert done.returncode == 0, done.stderr
    assert "procnotify   (deferred)" in done.stdout
    assert "Windows 10 Kernel Version 18362 MP (2 procs) Free x64" in done.stdout
    assert "nt!DbgBreakPointWithStatus" in done.stdout
    commands = [line for line in done.stdout.splitlines() if line.startswith("kd> ")]
    assert commands == ["kd> lm", "kd> vertarget", "kd> r rip", "kd> k"]
    assert "procnotify: the target was left running: it broke in and continued" in done.stderr


def test_ntoseye_shows_registers_and_memory(ntoseye: object) -> None:
    done = debug("--debugger", "ntoseye", "-c", "r", "-c", "db fffff78000000000 L10")
    assert done.returncode == 0, done.stderr
    assert "rip fffff80210001010" in done.stdout
    assert "fffff78000000000" in done.stdout
    assert "the target was left running" in done.stderr


def debug_at_work(*commands: str) -> subprocess.CompletedProcess[str]:
    """DbgEng's commands on a target that runs a scenario meanwhile."""
    connection = str(free_connection())
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    dialling = ["--hostip", "127.0.0.1", "--port", str(where.port), "--key", where.key.format()]
    serve = [sys.executable, "-m", "harness", "serve", *dialling, "--run", str(CREATE_THREAD)]
    target = subprocess.Popen(serve, stderr=subprocess.DEVNULL)
    try:
        return debug(
            connection, "--debugger", "pykd", *(word for command in commands for word in ("-c", command))
        )
    finally:
        target.kill()
        target.wait()


def test_hardware_breakpoints_are_hit_and_both_processors_have_a_stack(pykd: str) -> None:
    done = debug_at_work(
        "ba e1 nt!DbgPrintEx",
        "g",
        "? @rip - nt!DbgPrintEx",
        "bc *",
        "ba w8 @rsp-8",
        "g",
        "r dr6",
        "bc *",
        "~1s",
        "k",
        "rdmsr 10",
        "rdmsr 1b",
        "~0s",
        "rdmsr 1b ",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Breakpoint 0 hit") == 2
    said = dict(output.split("\n", 1) for output in done.stdout.split("kd> ")[1:])
    assert said["? @rip - nt!DbgPrintEx"].strip() == "Evaluate expression: 0 = 00000000`00000000"
    assert "dr6=00000000ffff0ff1" in said["r dr6"]
    assert "nt!DbgBreakPointWithStatus" in said["k"]
    assert int(re.sub(r"msr\[10\] = |`", "", said["rdmsr 10"]), 16) > 0
    assert [said[f"rdmsr 1b{space}"].strip() for space in ("", " ")] == [
        "msr[1b] = 00000000`fee00800",
        "msr[1b] = 00000000`fee00900",
    ]
    assert "Unable" not in done.stdout


def test_a_breakpoint_in_a_target_that_is_there_is_hit(pykd: str) -> None:
    done = debug_at_work("bp nt!DbgPrintEx", "g", "k", "bc *")
    assert done.returncode == 0, done.stderr
    assert "Breakpoint 0 hit" in done.stdout
    stack = done.stdout.partition("kd> k")[2]
    assert re.search(r"nt!DbgPrintEx\n.* procnotify\+0x[0-9a-f]+\n", stack), stack
    assert "its clock moved by" in done.stderr


def test_a_refused_command_is_the_last(other_debugger: str) -> None:
    done = debug("--debugger", other_debugger, "-c", "r rip", "-c", "nonsense", "-c", "r rip")
    assert done.returncode == 2
    assert f"procnotify: {other_debugger} refuses the command 'nonsense': " in done.stderr
    assert done.stdout.count("kd> r rip") == 1
    assert "the target was left running" in done.stderr
    assert "Traceback" not in done.stderr


REFUSED = [
    (
        ["-c", "k", "--debugger", "native"],
        "the native debugger refuses the command 'k': it knows lm, r, db, dd, dq; --debugger pykd has",
    ),
    (["-c", "lm", "--debugger", "windbg"], "there is no debugger named 'windbg'; known: native, pykd"),
    (["--debugger", "native"], "Missing option '-c'"),
    (["-c", "lm", "--debugger", "native", "--pdb", "x.pdb"], "there is no file x.pdb; --pdb takes"),
    (["-c", "lm", "--debugger", "native", "--pdb", __file__], "native reads no symbols of drivers"),
    (["net:port=x,key=1.2.3.4", "-c", "r", "--debugger", "native"], "'x' is no port number"),
    (["-c", "r", "--timeout", "soon"], "'soon' is no duration"),
    (["-c", "r", "--at", "3"], "--at and --back go with --replay"),
    (["-c", "r", "net:port=50000,key=1.2.3.4", "--replay", "x.json"], "not with a CONNECTION"),
    (["-c", "r", "--driver", "a.sys", "--driver", "b.sys"], "one driver is loaded, and here are several"),
    (
        ["-c", "r", "net:port=50000,key=1.2.3.4", "--debugger", "native", "--driver", "x.sys"],
        "--driver and --replay go with the virtual target",
    ),
    (["-c", "r", "--replay", "nowhere.json"], "cannot read the replay file nowhere.json"),
    (["-c", "r", "--replay", __file__], "is no replay file"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_is_no_command_is_refused_in_a_line(words: list[str], said: str) -> None:
    result = CliRunner().invoke(command, words)
    error = result.exception
    assert said in (str(error) if isinstance(error, UsageError) else result.output)
    assert isinstance(error, UsageError) or result.exit_code == 2


def test_a_crash_asked_for_is_a_bugcheck(pykd: str) -> None:
    done = debug("--debugger", "pykd", "-c", ".crash")
    assert done.returncode == 4, done.stderr
    assert "Bugcheck code DEADDEAD" in done.stdout
    # Which of the two depends on how soon it has written its dump.
    left = r"it said that it reboots|it was let go to write its dump and reboot"
    assert re.search(f"procnotify: the target crashed: ({left})", done.stderr)


def test_an_idle_target_is_broken_into_and_the_commands_go_on(pykd: str) -> None:
    # Twice: a break-in that DbgEng repeated while it attached may come late, and is what ends the first.
    done = debug("--debugger", "pykd", "-c", "g", "-c", "g", "-c", "r rip", "--timeout", "2s")
    assert done.returncode == 0, done.stderr
    assert "broken off after 2 s: nothing had stopped the target" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("rip=")
    assert "the target was left running" in done.stderr


def test_the_symbols_of_the_driver_are_found_beside_it(pykd: str, tmp_path: Path) -> None:
    built = default_driver()
    driver = tmp_path / "mine" / "procnotify.sys"
    driver.parent.mkdir()
    shutil.copyfile(built.path, driver)
    shutil.copyfile(built.pdb, driver.with_suffix(".pdb"))
    done = debug("--debugger", pykd, "--driver", str(driver), "-c", "x procnotify!OnImageNotify", "-c", "lm")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\S+ procnotify!OnImageNotify \(struct _UNICODE_STRING \*,", done.stdout, re.MULTILINE)
    assert re.search(r"procnotify +\(private pdb symbols\)", done.stdout)


def test_symbols_that_are_named_are_used(pykd: str, tmp_path: Path) -> None:
    built = default_driver()
    (tmp_path / "kept apart").mkdir()
    driver, pdb = tmp_path / "procnotify.sys", tmp_path / "kept apart" / "procnotify.pdb"
    shutil.copyfile(built.path, driver)
    shutil.copyfile(built.pdb, pdb)
    words = ["--debugger", pykd, "--driver", str(driver)]
    assert debug(*words, "-c", "x procnotify!OnImageNotify").stdout.count("procnotify!OnImageNotify (") == 0
    done = debug(*words, "--pdb", str(pdb), "-c", "x procnotify!OnImageNotify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("procnotify!OnImageNotify (") == 1


def test_the_host_s_shell_is_out_of_reach(pykd: str) -> None:
    done = debug("--debugger", "pykd", "-c", ".shell echo x")
    assert done.returncode == 2
    assert ".shell has been disabled" in done.stderr


def test_what_is_missing_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # On Windows a Python with pykd is looked for, elsewhere Wine with one.
    variable, code = ("PROCNOTIFY_PYKD_PYTHON", 2) if sys.platform == "win32" else ("PROCNOTIFY_WINE", 3)
    monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    done = debug("--debugger", "pykd", "-c", "r")
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"procnotify: {variable} names {tmp_path / 'nowhere'}, ")


def test_the_first_example_works_where_no_other_debugger_is_set_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    help_text = CliRunner().invoke(command, ["--help"]).output
    example = next(line.split() for line in help_text.splitlines() if "procnotify debug" in line)
    default_driver()
    code = (
        "import sys\n"
        "from harness.debuggers import DEBUGGERS\n"
        "from harness.errors import RigError\n"
        "def missing(): raise RigError('it is not set up')\n"
        "for name in ('pykd', 'ntoseye'): DEBUGGERS[name] = DEBUGGERS[name]._replace(check=missing)\n"
        "from harness.cli import main\n"
        "main()\n"
    )
    words = shlex.split(" ".join(example[1:]))
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "procnotify: pykd: it is not set up\n" in done.stderr
    assert "procnotify: the debugger is native\n" in done.stderr
    assert "fffff803`30000000 fffff803`30006000   procnotify.sys" in done.stdout
    assert "rip=fffff80210001010" in done.stdout


def test_the_native_debugger_shows_registers_and_memory_as_windbg_does() -> None:
    done = debug(
        "--debugger", "native", "-c", "r", "-c", "db fffff780`00000000 L20", "-c", "dd fffff78000000264 L1"
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^.*\brip=[0-9a-f]{16}$", done.stdout, re.MULTILINE)
    assert re.search(r"\bcs=0010\b", done.stdout)
    assert re.search(r"^fffff780`00000010 (?: [0-9a-f]{2}){16}  \S{16}$", done.stdout, re.MULTILINE)
    assert re.search(r"^fffff780`00000264  0{7}[0-9]$", done.stdout, re.MULTILINE), "NtProductType"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("nonsense", 2, "the native debugger refuses the command 'nonsense'"),
        ("r nonsense", 2, "there is no register 'nonsense'"),
        ("db 10 L10", 3, "0x0000000000000010"),
    ],
)
def test_a_native_command_that_fails_is_the_last(command: str, code: int, said: str) -> None:
    done = debug("--debugger", "native", "-c", "r rip", "-c", command, "-c", "lm")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("kd> ")] == [
        "kd> r rip",
        f"kd> {command}",
    ]
    assert "the target was left running" in done.stderr


class Failing(NativeDebugger):
    """A debugger with commands, one of which ends in an error."""

    def __init__(self, error: ProcnotifyError) -> None:
        super().__init__(str(free_connection()))
        self.error, self.executed, self.let_go = error, list[str](), 0

    def listen(self) -> None:
        pass

    def attach(self, *, timeout: float) -> TargetInfo:
        return TargetInfo(18362, 0x8664, 1, 0xFFFFF80000000000, "a double")

    def detach(self, *, timeout: float) -> Release:
        self.let_go += 1
        return Release(True, "it runs")


@pytest.mark.parametrize(
    "error",
    [
        UsageError("pykd refuses the command 'second'"),
        TargetLost("the command 'second' ended pykd's session"),
        DebuggerDied("pykd did not answer to 'second' within 30 s and was killed"),
        DriverBugcheck(0xD1, (1, 2, 3, 4)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_ends_a_command_ends_those_behind_it(
    monkeypatch: pytest.MonkeyPatch, error: ProcnotifyError
) -> None:
    double = Failing(error)

    def run(debugger: NativeDebugger, words: str) -> str:
        double.executed.append(words)
        if words == "second":
            raise error
        return "done"

    monkeypatch.setattr(commands, "execute", run)
    monkeypatch.setitem(DEBUGGERS, "native", DebuggerKind(lambda connection: double))
    words = [str(free_connection()), "--debugger", "native", "-c", "first", "-c", "second", "-c", "third"]
    result = CliRunner().invoke(command, words)
    assert result.exception is error
    assert double.executed == ["first", "second"]
    assert double.let_go == 1
    assert "kd> third" not in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lm v", "lm takes nothing here"),
        ("r xyz", "there is no register 'xyz'; known: mxcsr"),
        ("db", "db takes an address"),
        ("db here", "'here' is no hexadecimal number"),
        ("db 0 10", "'10' is no length"),
        ("dq 0 L0", "0 bytes are not shown at once"),
        ("dq 0 L2001", "65544 bytes are not shown at once; at most 65536"),
    ],
)
def test_words_that_do_not_fit_a_native_command(words: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        execute(cast(NativeDebugger, Halted()), words)
    assert said in str(raised.value)


class Halted:
    """A debugger whose target has registers and no memory that could be read."""

    def get_context(self) -> Amd64Context:
        return Amd64Context(rip=0x1234)
