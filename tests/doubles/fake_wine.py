"""A Wine that keeps no promise but those the setup relies on: a shell script that writes a prefix."""

from __future__ import annotations

from pathlib import Path

from harness.wine.report import Silent

FACTS = '{"python": "3.9.13", "pykd": "0.3.4.99"}'

_SCRIPT = """#!/bin/sh
here="{here}"
echo "$@" >> "$here/asked"
case "$1" in
--version)
    cat "$here/version"
    ;;
wineboot)
    mkdir -p "$WINEPREFIX/dosdevices" "$WINEPREFIX/drive_c/users/me"
    [ -e "$here/hook" ] && . "$here/hook"
    ln -s ../drive_c "$WINEPREFIX/dosdevices/c:"
    ln -s / "$WINEPREFIX/dosdevices/z:"
    ln -s /dev/null "$WINEPREFIX/dosdevices/com1"
    ln -s "{home}" "$WINEPREFIX/drive_c/users/me/Documents"
    ln -s "{home}/nowhere" "$WINEPREFIX/drive_c/users/me/Music"
    echo whole > "$WINEPREFIX/system.reg"
    ;;
*python.exe)
    [ -e "$here/verify" ] && . "$here/verify"
    echo '{facts}'
    ;;
esac
"""


class FakeWine:
    """``wine`` and ``wineserver`` in one folder; ``hook`` and ``verify`` are scripts that may go wrong."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.home = folder / "home"
        self.home.mkdir()
        self.program = folder / "wine"
        self.hook = folder / "hook"
        self.verify = folder / "verify"
        self.version = folder / "version"
        self.version.write_text("wine-8.0\n", encoding="utf-8")
        self._asked = folder / "asked"
        self.program.write_text(_SCRIPT.format(here=folder, home=self.home, facts=FACTS), encoding="utf-8")
        self.program.chmod(0o755)
        server = folder / "wineserver"
        server.write_text(f'#!/bin/sh\necho "wineserver $@" >> "{self._asked}"\n', encoding="utf-8")
        server.chmod(0o755)

    def asked(self) -> list[str]:
        """What it was asked since the last time."""
        lines = self._asked.read_text(encoding="utf-8").splitlines() if self._asked.exists() else []
        self._asked.unlink(missing_ok=True)
        return lines


class Steps(Silent):
    """A reporter that may be told to fail at one step."""

    def __init__(self, at: str = "", reason: BaseException | None = None) -> None:
        self.heard: list[str] = []
        self._at = at
        self._reason = reason

    def step(self, text: str) -> None:
        self.heard.append(text)
        if self._reason is not None and text == self._at:
            raise self._reason
