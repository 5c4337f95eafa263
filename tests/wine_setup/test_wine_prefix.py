"""Where the prefix lies, what a program in it is given, and what it cannot reach."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.resources import CacheError
from harness.wine import prefix as prefix_module
from harness.wine.errors import PrefixError, WineMissing
from harness.wine.prefix import WinePrefix, find_wine, find_wineserver

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no Wine")

DROPPED = [
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "PYTHONINSPECT",
    "WINEPREFIX",
    "WINEDEBUG",
    "WINEDLLPATH",
    "WINEARCH",
    "WINESERVER",
    "WINEDLLOVERRIDES",
    "DISPLAY",
    "WAYLAND_DISPLAY",
]
KEPT = {"PATH": "/bin", "HOME": "/home/me", "LANG": "C.UTF-8", "_NT_SYMBOL_PATH": "srv*", "MYPYTHON": "1"}


@pytest.fixture
def prefix(tmp_path: Path) -> WinePrefix:
    return WinePrefix(tmp_path / "wine")


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", DROPPED)
def test_the_hosts_own_settings_do_not_reach_the_prefix(prefix: WinePrefix, name: str) -> None:
    assert "of the host" not in prefix.environment({name: "of the host"}).values()


def test_everything_else_does_and_the_base_is_left_as_it_is(prefix: WinePrefix) -> None:
    base = dict(KEPT, DISPLAY=":0")
    made = prefix.environment(base)
    assert made.items() >= KEPT.items()
    assert base == dict(KEPT, DISPLAY=":0")
    assert "DISPLAY" not in made


def test_what_wine_and_python_are_told(prefix: WinePrefix) -> None:
    made = prefix.environment({})
    assert made["WINEPREFIX"] == str(prefix.root / "prefix")
    assert made["WINEARCH"] == "win64"
    assert made["PYTHONHOME"] == "C:\\procnotify"
    assert made["PYTHONPATH"].split(";") == [
        "C:\\procnotify\\DLLs",
        "C:\\procnotify\\Lib",
        "C:\\procnotify\\site-packages",
    ]
    assert made["PYTHONNOUSERSITE"] == made["PYTHONUTF8"] == made["PYTHONDONTWRITEBYTECODE"] == "1"
    overrides = dict(part.split("=") for part in made["WINEDLLOVERRIDES"].split(";"))
    native = next(names for names, order in overrides.items() if order == "n").split(",")
    assert {"dbgeng", "dbghelp", "mscoree"} <= set(native)
    assert overrides["winemenubuilder.exe"] == "d"


def test_the_command_line_of_python(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine = program(tmp_path / "my wine")
    monkeypatch.setenv("PROCNOTIFY_WINE", str(wine))
    assert prefix.python_command("-c", "a b") == [str(wine), "C:\\procnotify\\python.exe", "-c", "a b"]


def test_a_relative_wine_is_found_from_another_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prefix's Python is started in its own folder."""
    program(tmp_path / "bin" / "wine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROCNOTIFY_WINE", "bin/wine")
    assert find_wine() == tmp_path / "bin" / "wine"
    monkeypatch.delenv("PROCNOTIFY_WINE")
    monkeypatch.setenv("PATH", "bin")
    assert find_wine() == tmp_path / "bin" / "wine"


def test_wine64_is_taken_before_wine_and_the_configured_one_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROCNOTIFY_WINE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    wine = program(tmp_path / "wine")
    assert find_wine() == wine
    wine64 = program(tmp_path / "wine64")
    assert find_wine() == wine64
    own = program(tmp_path / "own")
    monkeypatch.setenv("PROCNOTIFY_WINE", "own")
    assert find_wine() == own


def test_a_configured_wine_that_is_nothing_is_not_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "wine")
    monkeypatch.setenv("PATH", str(tmp_path))
    not_executable = tmp_path / "plain"
    not_executable.write_text("", encoding="utf-8")
    for name in ("/nowhere/wine", str(not_executable), str(tmp_path)):
        monkeypatch.setenv("PROCNOTIFY_WINE", name)
        with pytest.raises(WineMissing) as error:
            find_wine()
        assert str(error.value) == (
            f"PROCNOTIFY_WINE names {name}, which is no program; "
            "it takes the path of a Wine loader; unset it to have one looked for"
        )


def test_no_wine_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROCNOTIFY_WINE", raising=False)
    monkeypatch.setattr(prefix_module, "_LOADERS", ("no-such-wine",))
    with pytest.raises(WineMissing, match=r"^Wine is not installed; .*apt-get install") as error:
        find_wine()
    assert str(error.value).isprintable()


@pytest.fixture
def nothing_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


@pytest.mark.parametrize("name", ["wineserver", "wineserver64"])
def test_the_server_is_the_one_beside_the_loader(tmp_path: Path, nothing_in_path: None, name: str) -> None:
    program(tmp_path / "path" / "wineserver")
    server = program(tmp_path / "own" / name)
    assert find_wineserver(program(tmp_path / "own" / "wine")) == server


def test_the_server_is_looked_for_where_the_loader_s_link_leads(
    tmp_path: Path, nothing_in_path: None
) -> None:
    """Debian's wine64 alone puts no server into PATH."""
    loader, server = program(tmp_path / "lib" / "wine64"), program(tmp_path / "lib" / "wineserver64")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "wine").symlink_to(loader)
    assert find_wineserver(tmp_path / "bin" / "wine") == server


def test_the_server_is_looked_for_where_debian_s_script_has_the_loader(
    tmp_path: Path, nothing_in_path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix_module, "_DEBIAN", tmp_path / "lib")
    server = program(tmp_path / "lib" / "wineserver64")
    in_path = program(tmp_path / "path" / "wineserver")
    script = program(tmp_path / "bin" / "wine")
    assert find_wineserver(script) == in_path
    script.write_text(f"#!/bin/sh -e\nwine64={tmp_path}/lib/wine64\n", encoding="utf-8")
    assert find_wineserver(script) == server


def test_a_wine_without_a_server_ends_nothing_and_says_so(
    prefix: WinePrefix, tmp_path: Path, nothing_in_path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine = program(tmp_path / "own" / "wine")
    monkeypatch.setenv("PROCNOTIFY_WINE", str(wine))
    prefix.end_programs()  # there is no prefix
    prefix.prefix.mkdir(parents=True)
    with pytest.raises(PrefixError, match=f"{wine} has no wineserver beside it.*; install the whole"):
        prefix.end_programs()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", None),
        ("exit 1", None),  # nothing ran
        ("echo no right >&2; exit 1", "no right"),
        ("exit 7", "exit code 7"),
        ("exec sleep 60", "no answer in time"),
    ],
)
def test_a_server_that_does_not_end_the_programs(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str | None
) -> None:
    monkeypatch.setattr(prefix_module, "END_SECONDS", 0.5 if "sleep" in script else 30.0)
    monkeypatch.setenv("PROCNOTIFY_WINE", str(program(tmp_path / "own" / "wine")))
    server = program(tmp_path / "own" / "wineserver")
    server.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    prefix.prefix.mkdir(parents=True)
    if said is None:
        prefix.end_programs()
        return
    with pytest.raises(PrefixError) as error:
        prefix.end_programs()
    assert str(error.value).startswith(
        f"what runs in {prefix.prefix} could not be ended: {server} -k: {said}; end"
    )


HOLD = """
import subprocess, sys
from pathlib import Path
from harness.wine.prefix import WinePrefix
lock = WinePrefix(Path(sys.argv[1])).use()
child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_the_use_of_a_prefix_ends_with_its_process_and_not_with_the_children(prefix: WinePrefix) -> None:
    argv = [sys.executable, "-c", HOLD, str(prefix.root)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(PrefixError, match="a debugger is at work"), prefix.alone():
                pass
            with prefix.use():
                pass  # there may be many
            holder.kill()
            holder.wait()
            with prefix.alone():
                pass
        finally:
            holder.kill()
            os.kill(child, signal.SIGKILL)


def test_a_debugger_waits_for_whoever_ends_the_programs(
    prefix: WinePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix_module, "END_SECONDS", 0.1)
    with prefix.alone(), pytest.raises(PrefixError, match="another process ends or replaces") as error:
        prefix.use()
    assert str(error.value).isprintable()
    prefix.use().close()


def test_the_default_lies_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert WinePrefix().root == tmp_path / "procnotify" / "wine"


def test_a_relative_folder_is_made_absolute_as_wine_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert WinePrefix(Path("some")).environment({})["WINEPREFIX"] == str(tmp_path / "some" / "prefix")


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="Not a directory") as error:
        WinePrefix()
    assert str(error.value).isprintable()
    assert "PROCNOTIFY_CACHE" in str(error.value)


def test_complete_needs_the_proof_and_the_launcher(prefix: WinePrefix) -> None:
    assert not prefix.complete
    prefix.stamps.mkdir(parents=True)
    (prefix.stamps / "verified").touch()
    assert not prefix.complete
    prefix.python.mkdir()
    (prefix.python / "python.exe").touch()
    assert prefix.complete
    (prefix.stamps / "verified").unlink()
    assert not prefix.complete


@pytest.fixture
def real_prefix(wine: str, pykd: str) -> WinePrefix:
    """The one in the user's cache; it is looked at and never changed."""
    return WinePrefix()


def test_no_link_of_the_real_prefix_leads_to_the_users_files(real_prefix: WinePrefix) -> None:
    allowed = {real_prefix.prefix / "drive_c", real_prefix.python}
    drives = []
    for path in real_prefix.prefix.rglob("*"):
        if not path.is_symlink():
            continue
        if path.parent.name == "dosdevices" and not path.name.endswith(":"):
            assert path.readlink().is_relative_to("/dev"), path  # a serial line
            continue
        assert path.resolve() in {folder.resolve() for folder in allowed}, path
        if path.parent.name == "dosdevices":
            drives.append(path.name)
    assert drives == ["c:"]


LOOK = """
import os, sys
home = sys.argv[1]
print([drive for drive in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if os.path.exists(drive + ":\\\\")])
print([name for name in os.environ if name in ("DISPLAY", "PYTHONSTARTUP")])
print(os.path.exists("Z:" + home), os.path.exists("Z:\\\\etc\\\\passwd"))
"""


def test_a_program_in_the_real_prefix_sees_drive_c_alone(
    real_prefix: WinePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PYTHONSTARTUP", "/dev/null")
    done = subprocess.run(
        real_prefix.python_command("-S", "-c", LOOK, str(Path.home())),
        env=real_prefix.environment(os.environ),
        cwd=real_prefix.python,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == ["['C']", "[]", "False", "False"]
