"""What is SSH's own: keys of both sides, what a server does not offer, and one that stands still."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest
from guest_servers import SshServer, wait_until

from harness.errors import GuestError, TargetLost, UsageError
from harness.guests.channels.ssh import ANY_HOST_KEY, SshChannel
from harness.guests.channels.ssh.channel import _sftp_path
from harness.guests.channels.ssh.program import MAX_OUTPUT, RemoteProgram

ED25519 = asyncssh.generate_private_key("ssh-ed25519")


def public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode()


@pytest.fixture
def running(sshd: SshServer) -> SshServer:
    sshd.start()
    return sshd


def test_a_host_key_that_changed_is_refused_at_once_with_both_keys(running: SshServer) -> None:
    old = asyncssh.import_public_key(running.host_key)
    pinned = running.channel()
    assert pinned.run(["echo", "on"], timeout=30).stdout == b"on\n"
    running.new_host_key()
    running.start()
    new = asyncssh.import_public_key(running.host_key)
    with pytest.raises(GuestError) as refused:
        pinned.await_up(120)
    assert f"ssh-ed25519 {new.get_fingerprint()}, not the pinned" in str(refused.value)
    assert old.get_fingerprint() in str(refused.value)
    pinned.close()
    anybody = running.channel(host_key=ANY_HOST_KEY)
    assert anybody.run(["echo", "on"], timeout=30).stdout == b"on\n"
    anybody.close()


def test_a_host_key_of_a_kind_that_the_server_lacks(running: SshServer) -> None:
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    channel = running.channel(host_key=public(key))
    with pytest.raises(GuestError, match=r"is ssh-ed25519 SHA256:\S+, not the pinned ecdsa-sha2-nistp256"):
        channel.await_up(60)
    channel.close()


def test_of_several_host_keys_the_pinned_kind_is_asked_for(sshd: SshServer) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    file = sshd.folder / "rsa_key"
    key.write_private_key(file)
    file.chmod(0o600)
    sshd.reconfigure("AuthorizedKeysFile", f"HostKey {file}\nAuthorizedKeysFile")
    sshd.start()
    for pinned in (public(key), sshd.host_key):
        channel = sshd.channel(host_key=pinned)
        channel.await_up(60)
        channel.close()


def test_a_users_key_that_is_not_the_servers_is_refused_at_once(running: SshServer, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    ED25519.write_private_key(stranger)
    channel = running.channel(key_file=stranger)
    with pytest.raises(GuestError, match=r"may not log in at 127\.0\.0\.1:\d+: .*authorized_keys"):
        channel.await_up(60)
    with pytest.raises(GuestError, match="may not log in"):
        channel.put("/nowhere", b"")
    channel.close()


@pytest.fixture
def ssh_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path of an SSH agent without keys; it is the one of the environment."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    wait_until(path.exists, "no agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    yield path
    process.terminate()
    process.wait()


def test_the_users_key_may_be_in_the_agent(running: SshServer, ssh_agent: Path) -> None:
    async def add() -> None:
        async with asyncssh.connect_agent(str(ssh_agent)) as agent:
            await agent.add_keys([str(running.folder / "user_key")])

    channel = running.channel(key_file=None)
    with pytest.raises(GuestError, match="may not log in"):
        channel.await_up(60)
    asyncio.run(add())
    channel.await_up(60)
    channel.close()


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "anybody", "ssh-ed25519 " + "A" * 5000]
)
def test_a_host_key_that_is_none_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UsageError, match="is no public key") as refused:
        SshChannel("host", user="me", host_key=text)
    assert len(str(refused.value)) < 400


def test_a_key_file_that_cannot_be_read_is_the_users_mistake(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(UsageError, match=r"cannot read the key .*key: No such file or directory"):
        SshChannel("host", user="me", host_key=ANY_HOST_KEY, key_file=file)
    file.write_bytes(b"\xff no key")
    with pytest.raises(UsageError, match="is no private key that can be read"):
        SshChannel("host", user="me", host_key=ANY_HOST_KEY, key_file=file)
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    rsa.write_private_key(file, "pkcs8-pem", passphrase="secret")
    with pytest.raises(UsageError, match="one with a passphrase must be in the SSH agent"):
        SshChannel("host", user="me", host_key=ANY_HOST_KEY, key_file=file)


def test_a_port_that_nobody_listens_at(sshd: SshServer) -> None:
    channel = sshd.channel()
    with pytest.raises(TargetLost, match=rf"{sshd.where} cannot be reached: Connection refused"):
        channel.run(["true"], timeout=30)
    channel.close()


def test_a_server_that_stands_still_is_lost(running: SshServer, tmp_path: Path) -> None:
    channel = running.channel(timeout=0.4)
    channel.await_up(60)
    running.freeze()
    with pytest.raises(TargetLost):
        channel.put(str(tmp_path / "file"), b"x")
    with pytest.raises(TargetLost, match=r"no guest answered at .* within 0\.5 s"):
        channel.await_up(0.5)
    channel.close()


def test_a_program_on_a_server_that_stands_still_may_still_run(running: SshServer) -> None:
    channel = running.channel(timeout=120)
    channel.await_up(60)
    with ThreadPoolExecutor(1) as pool:
        running_program = pool.submit(channel.run, ["sleep", "300"], timeout=3)
        running.freeze_once_it_runs("sleep")
        with pytest.raises(GuestError, match="sleep did not end in the guest within 3 s; it may still run"):
            running_program.result(60)
    channel.close()


def test_a_server_without_sftp_says_what_it_needs(sshd: SshServer, tmp_path: Path) -> None:
    sshd.reconfigure("Subsystem sftp internal-sftp", "")
    sshd.start()
    channel = sshd.channel()
    with pytest.raises(GuestError, match="it must have an SFTP subsystem"):
        channel.put(str(tmp_path / "file"), b"x")
    assert channel.run(["echo", "on"], timeout=30).stdout == b"on\n"
    channel.close()


def test_what_a_program_has_started_ends_with_it_at_its_deadline(running: SshServer, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = 'sleep 300 & echo $! > "$1.new"; mv "$1.new" "$1"; wait'
    channel = running.channel()
    with pytest.raises(GuestError, match="sh did not end in the guest within 2 s; it was ended"):
        channel.run(["sh", "-c", script, "sh", str(pids)], timeout=2)
    child = int(pids.read_text(encoding="utf-8"))
    wait_until(lambda: not _runs(child), "the program's child lives on")
    channel.close()


def _runs(pid: int) -> bool:
    """An orphan that nobody has waited for is no program that runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_prints_without_end_is_ended(running: SshServer) -> None:
    channel = running.channel()
    with pytest.raises(GuestError, match=f"cat printed more than {MAX_OUTPUT} bytes; it was ended"):
        channel.run(["cat", "/dev/zero"], timeout=120)
    channel.close()


@pytest.mark.parametrize(
    ("said", "pid", "printed"),
    [(b"12\n", 12, b""), (b"12\n13\nx", 12, b"13\nx"), (b"7\n\n", 7, b"\n")],
)
def test_the_shell_says_the_programs_pid_first(said: bytes, pid: int, printed: bytes) -> None:
    program = RemoteProgram()
    program.data_received(said, None)
    program.exit_status_received(3)
    program.take_announcement("x")
    assert program.pid == pid
    assert program.result("x").stdout == printed


@pytest.mark.parametrize("said", [b"", b"\n", b"Welcome!\n12\n", b"-12\n"])
def test_a_shell_that_prints_by_itself_is_named(said: bytes) -> None:
    program = RemoteProgram()
    program.data_received(said, None)
    program.exit_status_received(0)
    with pytest.raises(GuestError, match="the user's shell must be a POSIX one"):
        program.take_announcement("x")


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("SEGV", 139), ("nonsense@example", 128)])
def test_signals_are_exit_codes(signal: str, code: int) -> None:
    program = RemoteProgram()
    program.exit_signal_received(signal, False, "", "")
    assert program.result("x").exit_code == code


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (r"C:\procnotify\a.sys", "/C:/procnotify/a.sys"),
        (r"c:\a", "/c:/a"),
        (r"\\server\share\a", "//server/share/a"),
        ("/work/a\\b", "/work/a\\b"),
        ("a", "a"),
    ],
)
def test_paths_as_an_sftp_server_has_them(path: str, place: str) -> None:
    assert _sftp_path(path) == place
