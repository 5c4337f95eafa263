"""A Windows named pipe as a socket, on Windows or on the Windows Python of the Wine prefix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness.ports
from harness.errors import ConnectionFailed
from harness.ports.opening import PortRefused, _no_port
from harness.ports.windowspipe import check_pipe_name
from harness.wine.prefix import WinePrefix

FOLDER = Path(harness.ports.__file__).parent
LOAD = """
import sys, types
for name, source in {sources!r}.items():
    module = sys.modules["harness.ports." + name] = types.ModuleType(name)
    exec(source, module.__dict__)
"""
"""The two modules without the package around them, which the Windows Python of the prefix is too old for."""
PLAY = r"""
import _winapi, os, threading
from harness.ports.byteport import socket_over
from harness.ports.windowspipe import connect_pipe

def wait(overlapped):
    count, _ = overlapped.GetOverlappedResult(True)
    return bytes(overlapped.getbuffer() or b"")[:count]

path = r"\\.\pipe\procnotify-test-%d" % os.getpid()
try:
    connect_pipe(path)
except OSError as error:
    print("nobody there:", type(error).__name__)
server = _winapi.CreateNamedPipe(
    path, _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED, 0, 1, 4096, 4096, 0, 0)
connecting = _winapi.ConnectNamedPipe(server, overlapped=True)
end = socket_over(connect_pipe(path), "pipe")
end.settimeout(30)
copiers = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
data = bytes(range(256)) * 40

def echo():
    got = b""
    while len(got) < len(data):
        got += wait(_winapi.ReadFile(server, 4096, overlapped=True)[0])
    _winapi.WriteFile(server, got, overlapped=True)[0].GetOverlappedResult(True)

echoing = threading.Thread(target=echo)
echoing.start()
end.sendall(data)
back = b""
while len(back) < len(data):
    back += end.recv(65536)
echoing.join()
print("both ways:", back == data)
if CLOSE_OURS:
    end.close()
else:
    _winapi.CloseHandle(server)
    print("the end:", end.recv(1))
    end.close()
for thread in copiers:
    thread.join(30)
print("copiers left:", sum(thread.is_alive() for thread in copiers))
"""


PIPE_NAMES = [r"\\.\pipe\kd1", r"\\VMHOST\pipe\kd 1", r"\\.\PIPE\com_1"]
NO_PIPE_NAMES = [
    "kd1",
    r"C:\pipe\kd1",
    r"\\.\kd1",
    r"\\.\pipe\ ".rstrip(),
    r"\\.\C:\pipe\kd1",
    "/run/vm/com1",
]


@pytest.mark.parametrize("name", PIPE_NAMES)
def test_names_of_pipes(name: str) -> None:
    check_pipe_name(name)


@pytest.mark.parametrize("name", NO_PIPE_NAMES)
def test_what_is_no_name_of_a_pipe_is_not_opened_as_a_file(name: str) -> None:
    with pytest.raises(OSError, match="no name of a pipe") as raised:
        check_pipe_name(name)
    assert isinstance(_no_port(name, raised.value, ""), ConnectionFailed)
    assert not isinstance(_no_port(name, raised.value, ""), PortRefused), "it is not worth another try"


def play(*, close_ours: bool) -> list[str]:
    sources = {
        name: (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in ("byteport", "windowspipe")
    }
    code = LOAD.format(sources=sources) + f"CLOSE_OURS = {close_ours}\n" + PLAY
    if sys.platform == "win32":
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    else:
        prefix = WinePrefix()
        with prefix.use():
            done = subprocess.run(
                prefix.python_command("-"),
                input=code,
                env=prefix.environment(os.environ),
                capture_output=True,
                text=True,
                timeout=300,
            )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bytes_pass_both_ways_until_the_server_closes(pykd: str) -> None:
    assert play(close_ours=False) == [
        "nobody there: FileNotFoundError",
        "both ways: True",
        "the end: b''",
        "copiers left: 0",
    ]


def test_closing_the_socket_closes_the_pipe(pykd: str) -> None:
    assert play(close_ours=True) == ["nobody there: FileNotFoundError", "both ways: True", "copiers left: 0"]
