"""pykd (under Wine where this is not Windows) and ntoseye, for real, on the virtual target."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from this_system import KILL, KILLED

from harness.connection import NetConnection, free_connection, parse_connection
from harness.debuggers import debugger_factory
from harness.debuggers.base import (
    CommandDebugger,
    Debugger,
    FileServingDebugger,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Stopped,
    TargetRebooted,
)
from harness.debuggers.pykd import mappedcopies
from harness.debuggers.workers import debugger as workerdebugger
from harness.debuggers.workers.debugger import WorkerDebugger
from harness.debuggers.workers.link import WorkerLink
from harness.errors import ConnectionFailed, UsageError
from harness.events import Event, Reboot
from harness.outcome import Outcome
from harness.recorder import Recorder
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import default_driver
from harness.wine.prefix import WinePrefix

ROOT = Path(__file__).resolve().parents[2]
LINES = int(os.environ.get("PROCNOTIFY_PRINTS", "20000"))
"""How many lines in one go; 100,000 take more than a minute with pykd."""
KILLS = int(os.environ.get("PROCNOTIFY_KILLS", "6"))
"""How many runs lose their worker; 50 take some minutes."""
IMAGE = bytes(range(256)) * 20 + b"end"
"""Some file of the host."""
MESSAGES = 70
"""A worker says about this much in a run of the scenario that is used here."""


@contextmanager
def talking(connection: str, *actions: str) -> Iterator[None]:
    """A target in a process of its own; see :mod:`tests.doubles.talking_target`."""
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    argv = [sys.executable, "-m", "tests.doubles.talking_target", connection]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    process = subprocess.Popen([*argv, *actions], cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def attached(name: str, *actions: str) -> Iterator[Debugger]:
    """The debugger, attached to a talking target that is halted; at the end the target is proved to run."""
    connection = str(free_connection())
    debugger = debugger_factory(name)(connection)
    debugger.listen()
    with talking(connection, *actions):
        try:
            debugger.attach(timeout=60)
            yield debugger
        finally:
            release = debugger.detach(timeout=10)
    assert release.running, str(release)
    assert "its clock moved by" in release.proof


def texts_until_done(debugger: Debugger) -> list[str]:
    texts: list[str] = []
    while not texts or texts[-1] != "done\n":
        event = debugger.receive(timeout=60)
        assert event is not None, f"silence after {len(texts)} prints"
        if isinstance(event, PrintReceived):
            texts.append(event.text)
    return texts


def test_no_line_of_many_is_lost_doubled_or_misplaced(other_debugger: str) -> None:
    with attached(other_debugger, f"print={LINES}") as debugger:
        debugger.go()
        texts = texts_until_done(debugger)
    assert texts == [f"line {number}\n" for number in range(LINES)] + ["done\n"]


def test_text_beyond_ascii_arrives_as_it_was_sent(other_debugger: str) -> None:
    text = "caf\xe9 \u4e2d\u6587 \U0001f600 \x81\x8d\x9d"  # with bytes that no ANSI code page defines
    with attached(other_debugger, f"text={text}") as debugger:
        debugger.go()
        assert texts_until_done(debugger) == [f"{text}\n", "done\n"]


def test_an_exception_that_is_not_the_debugger_s_is_passed_on(any_debugger: str) -> None:
    actions = ["exception=c0000005,1", "exception=c0000094,2"]
    with attached(any_debugger, *actions) as debugger:
        stops, continued = [], []
        debugger.go()
        while not continued or continued[-1] != "done\n":
            event = debugger.receive(timeout=60)
            assert event is not None, (stops, continued)
            if isinstance(event, Stopped):
                stops.append((event.code, event.first_chance, event.break_in))
                debugger.go()
            elif isinstance(event, PrintReceived):
                continued.append(event.text)
    assert stops == [(0xC0000005, True, False), (0xC0000094, False, False)]
    assert continued == ["continued: 80010001\n", "continued: 80010001\n", "done\n"]


def test_a_prompt_is_answered(other_debugger: str) -> None:
    with attached(other_debugger, "prompt=Break, Ignore (bi)? ", "prompt=Name? ") as debugger:
        debugger.go()
        texts = texts_until_done(debugger)
    typed = [text for text in texts if text.startswith("typed: ")]
    # ntoseye answers by itself, with nothing.
    assert typed == (["typed: i\n", "typed: \n"] if other_debugger == "pykd" else ["typed: \n"] * 2)


NO_SERVER = "Unable to start server, Win32 error 0n5"
REFUSED = "refused to the target: "
HOSTILE = {
    ".shell echo x > C:\\hostile.txt": ".shell has been disabled",
    ".logopen C:\\hostile.txt; .echo x; .logclose": REFUSED + "CreateFileW C:\\hostile.txt",
    ".logappend C:\\hostile.txt; .echo x; .logclose": REFUSED + "CreateFileW C:\\hostile.txt",
    ".logopen C:\\hostile.txt; .echo x; g": REFUSED + "CreateFileW C:\\hostile.txt",
    ".writemem C:\\hostile.txt fffff78000000000 L10": "SECURE: Operation disallowed",
    ".dump C:\\hostile.txt": "SECURE: Dump writing disallowed",
    ".opendump C:\\windows\\win.ini": "SECURE: Operation disallowed",
    ".settings save C:\\hostile.xml": "NoShell Option is set",
    "!homedir C:\\hostile": REFUSED + "GetProcAddress homedir",
    ".create C:\\windows\\notepad.exe": "SECURE: Operation disallowed",
    ".attach 8": "SECURE: Operation disallowed",
    "$$>< C:\\windows\\win.ini": REFUSED + "_o__wfopen C:\\windows\\win.ini",
    "as /f x C:\\windows\\win.ini": REFUSED + "_o__wfopen C:\\windows\\win.ini",
    ".kdfiles C:\\windows\\win.ini": REFUSED + "_o__wfopen C:\\windows\\win.ini",
    ".dml_start C:\\windows\\win.ini": REFUSED + "_o__wfopen C:\\windows\\win.ini",
    ".nvload C:\\windows\\win.ini": REFUSED + "SHCreateStreamOnFileW C:\\windows\\win.ini",
    ".load C:\\hostile.dll": REFUSED + "LoadLibraryExW C:\\hostile.dll",
    ".load C:\\windows\\system32\\..\\..\\hostile.dll": REFUSED + "LoadLibraryExW",
    ".load \\\\127.0.0.1\\share\\hostile.dll": REFUSED + "CopyFileW \\\\127.0.0.1\\share\\hostile.dll",
    ".load pykd.pyd": REFUSED + "LoadLibraryExW",
    "!msvcrt.system notepad.exe": "SECURE: Cannot determine extension DLL type - msvcrt",
    ".netuse \\\\127.0.0.1\\share": "SECURE: Operation disallowed",
    "lsf \\\\127.0.0.1\\share\\x.c": REFUSED + "GetFileAttributesW \\\\127.0.0.1\\share\\x.c",
    ".srcpath \\\\127.0.0.1\\share": REFUSED + "GetFileAttributesW \\\\127.0.0.1\\share",
    ".sympath+ \\\\127.0.0.1\\share": REFUSED + "GetFileAttributesW \\\\127.0.0.1\\share",
    ".sympath srv*C:\\hostile*http://127.0.0.1:{web}/": REFUSED + "SymSetSearchPathW srv*c:\\hostile*http:",
    ".reload /f": "ModLoad: ",
    ".exepath srv*C:\\hostile*http://127.0.0.1:{web}/": "",
    ".reload /f nt": "",
    ".server tcp:port={free}": NO_SERVER,
    ".server tcp:clicon=127.0.0.1,port={web}": NO_SERVER,
    ".server npipe:pipe=hostile": NO_SERVER,
}
"""What a target has DbgEng execute → what DbgEng says of it."""


def hear_out(debugger: Debugger) -> tuple[list[str], list[str]]:
    """What the target prints until it is done, and why it stopped on the way."""
    texts: list[str] = []
    reasons = []
    while not texts or texts[-1] != "done\n":
        event = debugger.receive(timeout=60)
        assert event is not None, (texts, reasons)
        if isinstance(event, PrintReceived):
            texts.append(event.text)
        if isinstance(event, Stopped):
            reasons.append(event.reason)
            debugger.go()
    return texts, reasons


def test_a_target_cannot_reach_the_host_through_dbgeng(pykd: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as free:
        ports = {"{web}": str(web.getsockname()[1]), "{free}": str(free.getsockname()[1])}
        free.close()
        web.setblocking(False)
        commands = list(HOSTILE)
        for place, port in ports.items():
            commands = [command.replace(place, port) for command in commands]
        with attached(pykd, *(f"command={command}" for command in commands)) as debugger:
            debugger.go()
            texts, reasons = hear_out(debugger)
            with socket.socket() as caller:
                assert caller.connect_ex(("127.0.0.1", int(ports["{free}"]))) != 0, "a server was started"
        with pytest.raises(BlockingIOError):
            web.accept()
    assert texts == ["done\n"]
    assert len(reasons) == len(HOSTILE)
    for reason, (command, said) in zip(reasons, HOSTILE.items(), strict=True):
        assert reason.startswith("the target wants the host to execute a command; pykd said: "), command
        assert said in reason, command
    if sys.platform != "win32":
        assert not list((WinePrefix().prefix / "drive_c").glob("hostile*"))
        assert not list(WinePrefix().python.glob("hostile*"))


def test_dbgeng_hands_out_no_file_of_the_host(pykd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is one that it may hand out, of which it has a copy for as long as it lives."""
    made: list[Path] = []
    fresh = mappedcopies._fresh_folder

    def noted() -> Path:
        made.append(fresh())
        return made[-1]

    monkeypatch.setattr(mappedcopies, "_fresh_folder", noted)
    mapping = "command=.kdfiles -m \\x\\y.sys C:\\windows\\win.ini"
    with attached(pykd, mapping, "file=\\x\\y.sys", "fetch=\\x\\z.sys") as debugger:
        assert isinstance(debugger, FileServingDebugger)
        debugger.files.add("z.sys", IMAGE)
        assert [file.read_bytes() for file in made[0].iterdir()] == [IMAGE]
        for wrong in ('a" "b.sys', "a\nb.sys"):
            with pytest.raises(
                UsageError, match=r"DbgEng cannot map .*: it has quotes or control characters"
            ):
                debugger.files.add(wrong, IMAGE)
        debugger.go()
        texts, reasons = hear_out(debugger)
    assert "pykd said: Added mapping for" in reasons[0]
    fetched = f"fetched: {hashlib.sha256(IMAGE).hexdigest()}\n"
    assert texts == ["file: c0000022 0\n", fetched, "done\n"], "it is no STATUS_ACCESS_DENIED"
    assert not made[0].exists()


@pytest.mark.parametrize("name", ["native", "pykd"])
def test_a_target_gets_the_file_that_is_mapped_and_no_other(
    name: str, request: pytest.FixtureRequest
) -> None:
    if name != "native":
        request.getfixturevalue(name)
    path = "\\??\\C:\\procnotify\\MY; Driver.SYS"
    size = len(IMAGE)
    actions = [f"fetch={path}", "fetch=C:\\x\\other.sys", "fetch=C:\\x\\in my; driver.sys"]
    reads = [f"{size - 123},1000", f"{size},16", "0xffffffffffffffff,16", "0x8000000000000000,1344"]
    reads += ["0,0xffffffff", "0,1345", "0,0"]
    actions += [f"file={path}", *(f"read={read}" for read in reads), "write=", "handle=999", "read=0,16"]
    actions += [f"file={path}"] * 20 + [f"fetch={path}"]  # without ever closing one
    image = default_driver().path.read_bytes()
    actions += ["load=procnotify"]
    with attached(name, *actions) as debugger:
        assert isinstance(debugger, FileServingDebugger)
        debugger.files.add("my; driver.sys", b"what was there before")
        debugger.files.add("my; driver.sys", IMAGE)
        debugger.files.add("procnotify.sys", image)
        debugger.files.add("never.sys", b"MZ")
        assert not debugger.files.was_opened("no.sys")
        debugger.go()
        texts = texts_until_done(debugger)
        fetched, other, similar, *rest = [line for line in texts if not line.startswith("[procnotify]")]
        assert debugger.files.was_opened("My; driver.sys")
        if name == "native":  # DbgEng's worker is given time to say so
            assert not debugger.files.was_opened("never.sys")
    assert len(rest) < len(texts) - 3, "the driver said nothing"
    assert rest[-2] == f"loaded: 00000000 {hashlib.sha256(image).hexdigest()}\n"
    assert fetched == rest[-3] == f"fetched: {hashlib.sha256(IMAGE).hexdigest()}\n"
    assert other == similar == "fetched: none\n"
    opened, tail, *nothing = rest[:8]
    assert opened == f"file: 00000000 {size}\n"
    assert tail == f"read: 00000000 123 {zlib.crc32(IMAGE[-123:]):08x}\n"
    assert [line.split()[2] for line in nothing] == ["0"] * 6, "bytes that the file does not have"
    assert [line.split()[1] for line in nothing[1:]] == [
        "c0000011", "c0000011", "c000000d", "c000000d", "00000000",
    ]  # fmt: skip
    write, stray = rest[8:10]
    assert write == "write: c0000001\n"
    assert stray.split()[2] == "0"
    assert rest[10:-3] == [opened] * 20


def test_symbols_are_not_looked_for_on_other_machines(pykd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", "C:\\windows;\\\\127.0.0.1\\share")
    with attached(pykd) as debugger:
        assert isinstance(debugger, WorkerDebugger)
        debugger.execute("!sym noisy", timeout=60)
        said = debugger.execute(".reload /f", timeout=60)
    assert REFUSED + "CreateFileW \\\\127.0.0.1\\share\\ntoskrnl.dbg" in said
    assert "c:\\windows\\ntoskrnl.dbg - file not found" in said, "local disks are to be searched"


def test_a_command_that_lets_an_idle_target_run_says_that_nothing_hit(pykd: str) -> None:
    with attached(pykd) as debugger:
        assert isinstance(debugger, CommandDebugger)
        assert "broken off after 2 s: nothing had stopped the target" in debugger.execute("g", timeout=2.0)
        assert "rip=" in debugger.execute("r", timeout=30.0), "it is halted again"


def test_what_is_refused_to_the_user_stands_in_the_answer(pykd: str) -> None:
    with attached(pykd) as debugger:
        assert isinstance(debugger, WorkerDebugger)
        assert REFUSED + "CreateFileW C:\\x.txt\n" in debugger.execute(".logopen C:\\x.txt", timeout=60)


def test_ntoseye_executes_nothing_for_a_target(ntoseye: object, tmp_path: Path) -> None:
    made = tmp_path / "hostile.txt"
    with attached("ntoseye", f"command=.shell touch {made}", f"command=.logopen {made}") as debugger:
        debugger.go()
        texts_until_done(debugger)
    assert not made.exists()


def module_events(name: str) -> list[ModuleLoaded | ModuleUnloaded]:
    """What the debugger says of images while a served target does a scenario."""
    connection = str(free_connection())
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    debugger = debugger_factory(name)(connection)
    debugger.listen()
    dialling = ["--hostip", "127.0.0.1", "--port", str(where.port), "--key", where.key.format()]
    scenario = str(ROOT / "scenarios" / "create-thread.yaml")
    argv = [sys.executable, "-m", "harness", "serve", *dialling, "--run", scenario]
    target = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL)
    found: list[ModuleLoaded | ModuleUnloaded] = []
    try:
        debugger.attach(timeout=60)
        debugger.go()
        while not isinstance(event := debugger.receive(timeout=60), TargetRebooted):
            assert event is not None
            if isinstance(event, ModuleLoaded | ModuleUnloaded):
                found.append(event)
    finally:
        target.kill()
        target.wait()
        debugger.detach(timeout=0.2)
    return found


def test_dbgeng_sees_the_driver_come_and_go(pykd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workerdebugger, "RESCUE_SECONDS", 0.2)  # the target has ended and wants no rescue
    ours = module_events("native")
    theirs = module_events(pykd)
    assert [type(event) for event in ours] == [ModuleLoaded, ModuleUnloaded]
    assert isinstance(ours[0], ModuleLoaded)
    assert ours[0].module.name == "procnotify.sys"
    # DbgEng reports the kernel too, which was there before.
    assert [event for event in theirs if "ntoskrnl.exe" not in str(event)] == ours


def test_it_says_what_it_sees_in_a_halted_target(other_debugger: str) -> None:
    with attached(other_debugger) as debugger:
        assert isinstance(debugger, WorkerDebugger)
        assert [module.name for module in debugger.modules()] == ["ntoskrnl.exe"]
        assert "rip" in debugger.execute("r", timeout=60)
        before = debugger.interrupt_time()
        debugger.go()
        stop = debugger.break_in(timeout=60)
        assert (stop.reason, stop.code) == ("break-in", 0x80000003)
        after = debugger.interrupt_time()
    assert before is not None
    assert after is not None
    assert after > before


def test_a_recording_goes_on_over_a_reboot(other_debugger: str) -> None:
    connection = str(free_connection())
    lines: list[str] = []

    def record(event: Event) -> None:
        lines.append("reboot" if isinstance(event, Reboot) else event.line)
        if event.line == "done":
            raise KeyboardInterrupt  # as a user would end it

    recorder = Recorder(debugger_factory(other_debugger)(connection), lambda info: None, record)
    with talking(connection, "print=3", "reboot=", "print=2"):
        recording = recorder.run(attach_timeout=60, duration=120)
    # DbgEng resets a new connection after its first packets and may take one twice then.
    once = [line for line, before in zip(lines, ["", *lines], strict=False) if line != before]
    if other_debugger == "ntoseye":
        once.insert(3, "reboot")  # it does not tell of one without the kernel's symbols
    assert once == ["line 0", "line 1", "line 2", "reboot", "line 0", "line 1", "done"]
    # Without the kernel's PDB ntoseye takes the notice for that of an image.
    assert recording.reboots == (1 if other_debugger == "pykd" else 0)
    assert recording.error is None
    assert recording.release.running, str(recording.release)


def test_the_harness_s_own_python_settings_do_not_reach_the_worker(
    other_debugger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with attached(other_debugger) as debugger:
        assert "ntoskrnl.exe" in [module.name for module in debugger.modules()]


def test_nobody_dials_in(other_debugger: str) -> None:
    debugger = debugger_factory(other_debugger)(str(free_connection()))
    debugger.listen()
    with pytest.raises(
        ConnectionFailed, match=f"{other_debugger} did not attach within 1 s: no target dialled"
    ):
        debugger.attach(timeout=1)
    assert debugger.detach(timeout=1).running is None


def test_a_wrong_key_is_said_to_be_wrong(other_debugger: str) -> None:
    found = free_connection()
    connection = str(found)
    debugger = debugger_factory(other_debugger)(connection.partition("key=")[0] + "key=1.2.3.4")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, ExitStack() as stack:
        probe.bind(("127.0.0.1", found.port))
        probe.settimeout(60)
        stack.enter_context(talking(connection))
        probe.recv(2048)  # it dials, however long it took to start
        probe.close()
        debugger.listen()
        with pytest.raises(
            ConnectionFailed, match=f"{other_debugger} did not attach .*: the KDNET key is wrong"
        ):
            debugger.attach(timeout=1)
    debugger.detach(timeout=1)


def test_a_worker_killed_at_any_moment_costs_its_run_and_nothing_else(
    other_debugger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment is a number of messages from the worker, so that a failure can be repeated."""
    victims: list[int] = []
    on_event = WorkerLink.on_event

    def counted(self: WorkerLink, event: dict[str, object]) -> None:
        victims[-1] -= 1
        if victims[-1] == 0:
            os.kill(self.pid, KILL)
        on_event(self, event)

    monkeypatch.setattr(WorkerLink, "on_event", counted)
    scenario = load(ROOT / "scenarios" / "create-thread.yaml")
    moments = random.Random(20).sample(range(1, MESSAGES), KILLS)
    killed = 0
    with open_rig(machine="virtual", debugger=other_debugger, driver=None, trace_folder=tmp_path) as rig:
        for moment in [*moments, MESSAGES * 1000]:
            victims.append(moment)
            result = run_scenario(rig, scenario, seed=1)
            if victims[-1] > 0:
                assert result.outcome is Outcome.PASSED, (moment, result.reason)
            elif result.outcome is not Outcome.PASSED:
                # A worker that dies at the very end may have done all its work.
                killed += 1
                assert result.outcome is Outcome.RIG, (moment, result.reason)
                assert f"worker ended with exit code {KILLED}" in result.reason, moment
            if result.trace is not None:
                assert result.release is not None, moment
                assert result.release.running, (moment, result.left)
    assert killed, "no run lost its worker"
    assert result.outcome is Outcome.PASSED, "the last run was left alone"
