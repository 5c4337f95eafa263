"""Where DbgEng reads a driver's symbols on Windows: in their folder, unless no symbol path can name that."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.debuggers.pykd import debugger


@pytest.mark.parametrize(
    ("folder", "element"),
    [
        (r"C:\symbols", True),
        (r"C:\pr\u00fcf ung", True),
        (r"C:\a;b", False),
        (r"\\server\share\symbols", False),
        (r"\\?\C:\symbols", False),
    ],
)
def test_which_folders_may_stand_in_a_symbol_path(folder: str, element: bool) -> None:
    assert debugger._is_element(folder) is element


def test_symbols_that_a_symbol_path_cannot_name_are_read_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugger, "cache_dir", lambda *parts: made(tmp_path / "cache", *parts))
    folder = made(tmp_path, "a;b")
    (folder / "mydriver.pdb").write_bytes(b"first build")
    first = debugger._symbol_folder(folder / "mydriver.pdb")
    assert ";" not in first and (Path(first) / "mydriver.pdb").read_bytes() == b"first build"
    assert debugger._symbol_folder(folder / "mydriver.pdb") == first
    (folder / "mydriver.pdb").write_bytes(b"second build")
    second = debugger._symbol_folder(folder / "mydriver.pdb")
    assert second != first and (Path(second) / "mydriver.pdb").read_bytes() == b"second build"
    plain = made(tmp_path, "plain") / "mydriver.pdb"
    assert debugger._symbol_folder(plain) == str(plain.parent)
    assert [path.name for path in (tmp_path / "cache").rglob("*.pdb")] == ["mydriver.pdb"] * 2


def made(root: Path, *parts: str) -> Path:
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
