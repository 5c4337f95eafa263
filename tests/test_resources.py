"""Where what is built and downloaded is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.resources import CACHE_VARIABLE, CacheError, cache_dir


def test_the_cache_folder_can_be_named_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "kept here"))
    assert cache_dir("builds", "x") == tmp_path / "kept here" / "builds" / "x"
    assert cache_dir("builds", "x").is_dir()


@pytest.mark.parametrize("named", [None, ""])
def test_without_a_name_it_is_the_users(
    named: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, appauthor: str(tmp_path / name))
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    if named is not None:
        monkeypatch.setenv(CACHE_VARIABLE, named)
    assert cache_dir() == tmp_path / "procnotify"


def test_a_relative_name_is_of_the_folder_in_which_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, "kept")
    assert cache_dir().is_absolute() and cache_dir().samefile(tmp_path / "kept")


def test_one_that_cannot_be_made_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(CacheError, match="cannot write the cache folder") as raised:
        cache_dir("builds")
    assert CACHE_VARIABLE in raised.value.hint
