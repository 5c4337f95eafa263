"""The Linux guest of the tests: Debian's kernel, this Python, the virtual target, a guest agent and a sshd.

What it is made of lies on this machine or is a Debian package that ``apt-get download`` gets. It is kept in
the user's cache folder under a hash of all that goes into it. ``python build.py`` builds it and prints its
folder.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

import harness

__all__ = ["LinuxGuest", "build_helper", "linux_guest"]

HERE = Path(__file__).parent
KERNEL_PACKAGE = "linux-image-cloud-amd64"
"""Depends on the newest one."""
BUSYBOX_PACKAGE = "busybox-static"
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console")
SCRIPTS = (HERE / "target.py", HERE / "serialhelper.py", HERE.parents[1] / "doubles" / "serial_guest.py")
SITE_PACKAGES = (
    *("cffi", "cryptography", "msgspec", "ordlookup", "platformdirs", "serial", "unicorn", "yaml", "_yaml"),
)
SITE_MODULES = ("_cffi_backend*", "pefile.py", "typing_extensions.py")
PROGRAMS = ("/usr/sbin/qemu-ga", "/usr/sbin/sshd", "/usr/lib/openssh/sftp-server")
NOT_NEEDED = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages")
DISK_MEGABYTES = 320
IMPORTS = "harness.virtual.process"


@dataclass(frozen=True)
class LinuxGuest:
    """The built guest."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def ssh_key(self) -> Path:
        """The private key that the guest's root lets in."""
        return self.folder / "id_ed25519"

    @property
    def ssh_host_key(self) -> Path:
        """The public key that the guest's sshd shows."""
        return self.folder / "ssh_host_ed25519_key.pub"


@functools.cache
def linux_guest() -> LinuxGuest:
    """The guest, built where the cache does not have it."""
    root = Path(os.environ.get("PROCNOTIFY_CACHE") or user_cache_path("procnotify")) / "test-guests"
    folder = root / _hash_of_inputs()
    if folder.is_dir():
        return LinuxGuest(folder)
    root.mkdir(parents=True, exist_ok=True)
    with (root / "building.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers of one test run the first builds it
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=root) as work:
                made = Path(work) / "made"
                made.mkdir()
                _build(Path(work), made)
                made.rename(folder)
    return LinuxGuest(folder)


def build_helper(made: Path) -> None:
    """Compile and link the guest's helper, which needs no library."""
    zig = (sys.executable, "-m", "ziglang")
    flags = (
        "--target=x86_64-linux",
        "-ffreestanding",
        "-fno-builtin",
        "-fno-stack-protector",
        "-Os",
        "-Wall",
    )
    with tempfile.TemporaryDirectory() as folder:
        compiled = f"{folder}/helper.o"
        _run(*zig, "clang", *flags, "-Werror", "-c", str(HERE / "helper.c"), "-o", compiled)
        _run(*zig, "ld.lld", "-static", "--strip-all", compiled, "-o", str(made))


def _hash_of_inputs() -> str:
    digest = hashlib.sha256(sys.version.encode())
    package = Path(harness.__file__).parent
    for path in sorted([*package.rglob("*"), *HERE.iterdir(), *SCRIPTS]):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.name} {path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    packages = (KERNEL_PACKAGE, BUSYBOX_PACKAGE, "qemu-guest-agent", "openssh-server")
    digest.update(_run("apt-cache", "show", "--no-all-versions", *packages))
    for name in SITE_PACKAGES:
        digest.update(" ".join(sorted(p.name for p in _site().glob(f"{name}*.dist-info"))).encode())
    return digest.hexdigest()[:24]


def _build(work: Path, made: Path) -> None:
    packages = work / "packages"
    for name in (_kernel_package(), BUSYBOX_PACKAGE):
        _unpack(name, packages)
    shutil.copy(next((packages / "boot").glob("vmlinuz-*")), made / "vmlinuz")
    busybox = packages / "bin" / "busybox"
    _initrd(work / "initrd", busybox, packages, made / "initrd")
    root = work / "root"
    _root(root, busybox, made)
    raw = work / "disk.raw"
    _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(raw), f"{DISK_MEGABYTES}M")
    _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made / "disk.qcow2"))


def _kernel_package() -> str:
    found = re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", KERNEL_PACKAGE).decode())
    assert found is not None
    return found[1]


def _unpack(package: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as downloads:
        _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package, folder=Path(downloads))
        (archive,) = Path(downloads).glob("*.deb")
        _run("dpkg", "-x", str(archive), str(folder))


def _initrd(folder: Path, busybox: Path, packages: Path, made: Path) -> None:
    modules = folder / "modules"
    for name in ("bin", "dev", "proc", "sys", "root", "modules"):
        (folder / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "bin" / "busybox")
    shutil.copy(HERE / "init.sh", folder / "init")
    (folder / "init").chmod(0o755)
    files = {path.stem.replace("-", "_"): path for path in packages.glob("lib/modules/**/*.ko")}
    order: list[str] = []

    def add(name: str) -> None:
        if name in order:
            return
        # The kernel's modules name what they need in their section .modinfo.
        found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for needed in found[1].decode().split(",") if found and found[1] else ():
            add(needed.replace("-", "_"))
        order.append(name)
        shutil.copy(files[name], modules / f"{name}.ko")

    for name in MODULES:
        add(name)
    (modules / "order").write_text(" ".join(f"{name}.ko" for name in order), encoding="utf-8", newline="\n")
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    archive = _run(str(busybox), "cpio", "-o", "-H", "newc", folder=folder, given=names.encode())
    made.write_bytes(archive)


def _root(root: Path, busybox: Path, made: Path) -> None:
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in (
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "root/.ssh",
        "etc/ssh",
        "opt/guest",
        "var/empty",
        "var/run",
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in (
        "sh",
        "mkdir",
        "cat",
        "mv",
        "rm",
        "sleep",
        "true",
        "false",
        "sync",
        "ls",
        "dd",
        "df",
        "killall",
    ):
        (root / "bin" / name).symlink_to("busybox")
    shutil.copy(HERE / "init.sh", root / "sbin" / "init")
    (root / "sbin" / "init").chmod(0o755)
    for script in SCRIPTS:
        shutil.copy(script, root / "opt" / "guest")
    build_helper(root / "opt" / "guest" / "helper")
    _python(root)
    for program in PROGRAMS:
        _with_libraries(root, [Path(program)])
    _with_libraries(root, Path("/lib/x86_64-linux-gnu").glob("libnss_files.so.2"))
    _accounts(root)
    _ssh(root, made)


def _site() -> Path:
    return Path(sysconfig.get_path("platlib"))


def _python(root: Path) -> None:
    """This interpreter, its standard library, and what the virtual target imports."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = root / "opt" / "python"
    (home / "bin").mkdir(parents=True)
    interpreter = home / "bin" / "python3"
    shutil.copy(Path(sys.base_prefix, "bin", version).resolve(), interpreter)
    library = home / "lib" / version
    ignored = shutil.ignore_patterns(*NOT_NEEDED, "*.opt-?.pyc", "config-*", "*.a")
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=ignored)
    site = library / "site-packages"
    site.mkdir(exist_ok=True)
    unneeded = shutil.ignore_patterns("__pycache__", "*.a", "tests", "include")
    for name in SITE_PACKAGES:
        shutil.copytree(_site() / name, site / name, ignore=unneeded)
    for pattern in SITE_MODULES:
        for path in _site().glob(pattern):
            shutil.copy(path, site)
    package = Path(harness.__file__).parent
    shutil.copytree(package, site / "harness", ignore=unneeded)
    driver = package / "_driver"
    if not driver.exists():  # an editable installation
        shutil.copytree(package.parent / "driver", site / "harness" / "_driver")
    _run(
        *(sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(root), "-p", "/", str(site)),
    )
    _with_libraries(root, [Path(sys.base_prefix, "bin", version).resolve()], copy_programs=False)
    _with_libraries(root, library.rglob("*.so*"), copy_programs=False)


def _with_libraries(root: Path, programs: Iterable[Path], *, copy_programs: bool = True) -> None:
    """Put programs into ``root`` where they lie here, with the libraries that they load."""
    for program in programs:
        needed = re.findall(r"(?:=> )?(/\S+) \(0x", _run("ldd", str(program), check=False).decode())
        for path in [*map(Path, needed), *([program] if copy_programs else [])]:
            if root in path.parents:
                continue
            target = root / path.relative_to("/")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path.resolve(), target)


def _accounts(root: Path) -> None:
    etc = root / "etc"
    (etc / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n",
        encoding="utf-8",
        newline="\n",
    )
    (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n", encoding="utf-8", newline="\n")
    (etc / "shadow").write_text(
        "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n", encoding="utf-8", newline="\n"
    )
    (etc / "nsswitch.conf").write_text(
        "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", encoding="utf-8", newline="\n"
    )


def _ssh(root: Path, made: Path) -> None:
    keys = ("id_ed25519", "ssh_host_ed25519_key")
    for name in keys:
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(made / name))
    authorized = root / "root" / ".ssh" / "authorized_keys"
    shutil.copy(made / "id_ed25519.pub", authorized)
    shutil.copy(made / "ssh_host_ed25519_key", root / "etc" / "ssh")
    (root / "etc" / "ssh" / "sshd_config").write_text(
        "HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\nUsePAM no\n"
        "StrictModes no\nUseDNS no\nPasswordAuthentication no\nMaxStartups 50\n"
        "Subsystem sftp /usr/lib/openssh/sftp-server\n",
        encoding="utf-8",
        newline="\n",
    )


def _run(*argv: str, folder: Path | None = None, given: bytes | None = None, check: bool = True) -> bytes:
    done = subprocess.run(argv, cwd=folder, input=given, capture_output=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(
            f"{argv}: exit code {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    print(linux_guest().folder)
