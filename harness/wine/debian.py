"""Fetch packages of Debian 11 with apt, without being root and without touching the system's own state.

The archive's address is taken from the machine's own apt sources, with another suite; apt itself checks the
signature against the machine's own Debian keyring.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.wine.command import Finished, run_command
from harness.wine.errors import DownloadError
from harness.wine.pieces import Deb
from harness.wine.report import Reporter

__all__ = ["archive_address", "fetch_debs"]

SUITE: Final = "bullseye"
TIMEOUT: Final = 600.0
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RELEASES: Final = {
    *("bullseye", "bookworm", "trixie", "forky", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
}
"""Suites that only Debian's main archive has, which carries every supported release beside each other."""
_TARGET: Final = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
_OWN_FILES: Final = "or put the files in a folder and name that with --from"


def archive_address(targets: str) -> str | None:
    """The address of Debian's main archive in what ``apt-get indextargets`` printed, or None.

    :param targets: lines ``repository|suite|component``.
    """
    for line in targets.splitlines():
        parts = line.strip().split("|")
        if len(parts) == 3 and parts[1] in _RELEASES and parts[2] == "main":
            return parts[0]
    return None


def fetch_debs(debs: Sequence[Deb], folder: Path, reporter: Reporter) -> None:
    """Put the packages into ``folder``.

    :raises DownloadError: no apt, no Debian archive among its sources, or apt failed.
    """
    if shutil.which("apt-get") is None:
        raise DownloadError(
            "there is no apt-get on this machine", hint=f"run the setup on Debian, {_OWN_FILES}"
        )
    listed = run_command(
        [
            "apt-get",
            "indextargets",
            "--format",
            _TARGET,
            "Created-By: Packages",
        ],
        timeout=TIMEOUT,
    )
    address = archive_address(listed.output) if listed.code == 0 else None
    if address is None:
        raise DownloadError(
            "apt's sources name no Debian archive, from which Python 3.9's library could be taken",
            hint=f"add one, {_OWN_FILES}",
        )
    state = folder / "apt"
    options = _private_apt(state, address)
    reporter.step(f"reading the package list of Debian 11 ({SUITE})")
    _check(run_command(["apt-get", *options, "update"], timeout=TIMEOUT), f"the package list of {SUITE}")
    for deb in debs:
        reporter.step(f"downloading {deb.purpose}: {deb.package}")
        _check(
            run_command(["apt-get", *options, "download", deb.package], timeout=TIMEOUT, cwd=folder),
            deb.package,
        )
    shutil.rmtree(state)


def _private_apt(state: Path, address: str) -> list[str]:
    """Options that give apt a source and a state of its own."""
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    status = state / "status"
    status.touch()
    key = f"[signed-by={_KEYRING}] " if _KEYRING.is_file() else ""
    sources = state / "sources.list"
    sources.write_text(f"deb {key}{address} {SUITE} main\n", encoding="utf-8")
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
        why = "no answer in time" if done.code is None else done.last_line("E: ", "W: ")
        raise DownloadError(f"{what} was not downloaded: {why}", hint=f"try again later, {_OWN_FILES}")
