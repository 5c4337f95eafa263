"""Fetch packages of a Debian release with apt, without being root and without touching the system's state.

The archive's address is taken from the machine's own apt sources, with another suite; apt itself checks the
signature against the machine's own Debian keyring.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from harness.wine.command import Finished, run_command
from harness.wine.errors import DownloadError
from harness.wine.pieces import Deb
from harness.wine.report import Reporter

__all__ = ["archive_address", "fetch_debs"]

TIMEOUT: Final = 600.0
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RELEASES: Final = {
    *("bullseye", "bookworm", "trixie", "forky", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
}
"""Suites of Debian's main archive, which carries every supported release beside each other."""
_TARGET: Final = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
_ORIGIN_UNKNOWN: Final = ("", "$(ORIGIN)")
"""apt leaves what it cannot fill in as it stands."""
_OWN_FILES: Final = "or put the files in a folder and name that with --from"


def archive_address(targets: str) -> str | None:
    """The address of Debian's main archive in what ``apt-get indextargets`` printed, or None.

    Makers of other software name their suites like Debian's. Where apt has fetched the repository's release
    file, that tells whose it is; otherwise the path does: Debian's mirrors have it in ``/debian``.

    :param targets: lines ``repository|suite|component|origin``.
    """
    at_its_place, somewhere = [], []
    for line in targets.splitlines():
        address, suite, component, origin = (line.strip().split("|") + [""] * 4)[:4]
        # A disc holds one release only, and a space would end the address in the private list of sources.
        if suite not in _RELEASES or component != "main" or " " in address or address.startswith("cdrom:"):
            continue
        if origin == "Debian":
            return address
        if origin in _ORIGIN_UNKNOWN:
            path = urlsplit(address).path.strip("/")
            if path == "debian":
                at_its_place.append(address)
            elif "debian" in address.lower():
                somewhere.append(address)
    return next(iter(at_its_place + somewhere), None)


def fetch_debs(debs: Sequence[Deb], folder: Path, reporter: Reporter) -> None:
    """Put the packages, all of one release, into ``folder``.

    :raises DownloadError: no apt, no Debian archive among its sources, or apt failed.
    """
    if shutil.which("apt-get") is None:
        raise DownloadError(
            "there is no apt-get on this machine", hint=f"run the setup on Debian, {_OWN_FILES}"
        )
    (release,) = {deb.release for deb in debs}
    address = _own_archive()
    if address is None:
        raise DownloadError(
            "apt's sources name no Debian archive, from which the library of "
            f"Python {release.python} could be taken",
            hint=f"add one, {_OWN_FILES}",
        )
    # Its own each time: apt of a setup that was killed may still be at work, and hold its locks.
    state = Path(tempfile.mkdtemp(prefix="apt-", dir=folder))
    options = _private_apt(state, f"{address} {release.suite}")
    reporter.step(f"reading the package list of Debian {release.number} ({release.suite})")
    _check(
        run_command(["apt-get", *options, "update"], timeout=TIMEOUT), f"the package list of {release.suite}"
    )
    for deb in debs:
        reporter.step(f"downloading {deb.purpose}: {deb.package}")
        _check(
            run_command(["apt-get", *options, "download", deb.package], timeout=TIMEOUT, cwd=folder),
            deb.package,
        )
    shutil.rmtree(state)


def _own_archive() -> str | None:
    """The Debian archive among the machine's own sources."""
    # Without the release files, which an image of a container lacks, apt lists no target unless told to.
    for option in ((), ("--no-release-info",)):
        command = ["apt-get", "indextargets", *option, "--format", _TARGET, "Created-By: Packages"]
        listed = run_command(command, timeout=TIMEOUT)
        address = archive_address(listed.output) if listed.code == 0 else None
        if address is not None:
            return address
    return None


def _private_apt(state: Path, suite: str) -> list[str]:
    """Options that give apt a source (``ADDRESS SUITE``) and a state of its own."""
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    status = state / "status"
    status.touch()
    key = f"[signed-by={_KEYRING}] " if _KEYRING.is_file() else ""
    sources = state / "sources.list"
    sources.write_text(f"deb {key}{suite} main\n", encoding="utf-8", newline="\n")
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::State::status": status,
        "Dir::Cache": state / "cache",
        "Dir::Cache::archives": state / "cache" / "archives",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "Acquire::http::Timeout": 30,
        "APT::Architecture": "amd64",
        "APT::Get::List-Cleanup": "false",
        # Otherwise a failed index is only a warning, and the download fails later for no visible reason.
        "APT::Update::Error-Mode": "any",
        **({"APT::Sandbox::User": "root"} if os.geteuid() == 0 else {}),
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _check(done: Finished, what: str) -> None:
    if done.code != 0:
        raise DownloadError(
            f"{what} was not downloaded: {done.why('E: ', 'W: ')}", hint=f"try again later, {_OWN_FILES}"
        )
