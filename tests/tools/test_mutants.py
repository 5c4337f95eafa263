"""The tool that tries changes: it finds them, makes them one at a time, and knows a survivor."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tools.mutants.__main__ import ROOT, main
from tools.mutants.edits import edits_of
from tools.mutants.mutation import Mutation, MutationError, mapped_tests, sample
from tools.mutants.named import NAMED, NamedChange
from tools.mutants.trial import Fate, Trial, copy_tree

EDITS = [
    ("a < b", ["a <= b"]),
    ("a <= b < c", ["a < b < c", "a <= b <= c"]),
    ("(a) == (b)  # != here", ["(a) != (b)  # != here"]),
    ("a is not None", ["a is None"]),
    ("a not in b", ["a in b"]),
    ("a and b and c", ["a or b and c", "a and b or c"]),
    ("not a", ["a"]),
    ("x = 'ä' + b", ["x = 'ä' - b"]),
    ("a << 2", ["a >> 2", "a << 3"]),
    ("x: int | None = None", []),
    ("def f(x: a | b) -> c | d: ...", []),
    ("X: TypeAlias = a | b", []),
    ("x: int = a | b", ["x: int = a & b"]),
    ("x = True", ["x = False"]),
    ("while a:\n    break", ["while a:\n    continue"]),
    ("f(x)", ["pass"]),
    ("x += y", ["pass"]),
    ("raise E", ["pass"]),
    ("'a < b'", []),
]


@pytest.mark.parametrize(("source", "changed"), EDITS, ids=[source for source, _ in EDITS])
def test_a_source_is_changed_in_these_ways(source: str, changed: list[str]) -> None:
    assert [edit.apply(source) for edit in edits_of(source)] == changed


@pytest.mark.parametrize("path", ["harness/order/terms.py", "harness/kd/session.py", "harness/channel.py"])
def test_every_change_to_our_own_sources_is_python_and_another_program(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.dump(ast.parse(source))
    edits = edits_of(source)
    assert len(edits) > 20
    assert [edit for edit in edits if ast.dump(ast.parse(edit.apply(source))) == tree] == []


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """A repository with one room: one function, of which the test notices one of two comparisons."""
    files = {
        "harness/__init__.py": "",
        "harness/pytest_plugin.py": "",  # pytest is told to load it where procnotify is installed
        "harness/scale/__init__.py": "",
        "harness/scale/weigh.py": "def heavy(kilos):\n    return kilos > 10\n\n\ndef light(kilos):\n"
        "    return kilos < 2\n",
        "tests/scale/test_weigh.py": "from harness.scale.weigh import heavy, light\n\n\n"
        "def test_heavy():\n    assert not heavy(10) and heavy(11)\n\n\n"
        "def test_light():\n    assert light(1) and not light(9)\n",
        "tests/scale/test_wrong.py": "def test_wrong():\n    assert False\n",
        "tests/scale/test_endless.py": "from harness.scale.weigh import heavy\n\n\ndef test_endless():\n"
        "    while heavy(10):\n        pass\n",
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


WEIGH = "harness/scale/weigh.py"
GOOD = ("tests/scale/test_weigh.py",)


def change_of(root: Path, old: str, new: str, tests: tuple[str, ...] = GOOD) -> Mutation:
    return NamedChange("says", WEIGH, old, new, tests).mutation(root, "name")


def test_a_change_that_a_test_notices_and_one_that_none_does(small_tree: Path) -> None:
    trial = Trial(small_tree, seconds=120)
    trial.require_passing(GOOD)
    assert trial.fate_of(change_of(small_tree, "> 10", ">= 10")) is Fate.NOTICED
    survivor = change_of(small_tree, "< 2", "<= 2")
    assert trial.fate_of(survivor) is Fate.SURVIVED
    assert "-    return kilos < 2\n+    return kilos <= 2" in survivor.diff()
    assert (small_tree / WEIGH).read_text(encoding="utf-8") == survivor.before, "the change was undone"


def test_a_change_that_makes_a_test_endless_is_noticed(small_tree: Path) -> None:
    endless = change_of(small_tree, "> 10", ">= 10", ("tests/scale/test_endless.py",))
    # As short as it may be: the test cannot end, however fast the machine is.
    assert Trial(small_tree, seconds=0.5).fate_of(endless) is Fate.TIMED_OUT


def test_tests_that_do_not_pass_as_they_are_say_nothing(small_tree: Path) -> None:
    trial = Trial(small_tree, seconds=120)
    with pytest.raises(MutationError, match=r"test_wrong\.py: does not pass as it is"):
        trial.require_passing(("tests/scale/test_wrong.py",))
    with pytest.raises(MutationError, match="found no test to run in tests/nowhere"):
        trial.require_passing(("tests/nowhere",))


@pytest.mark.parametrize(("old", "times"), [("kilos > 11", 0), ("kilos", 4)])
def test_a_text_that_is_not_there_once_is_no_change(small_tree: Path, old: str, times: int) -> None:
    with pytest.raises(MutationError, match=f"has its text {times} times"):
        change_of(small_tree, old, "")


def test_a_sample_is_the_seeds(small_tree: Path) -> None:
    def names(seed: int) -> list[tuple[str, str]]:
        return [(m.name, m.after) for m in sample(small_tree, ["scale"], count=3, seed=seed)]

    assert names(1) == names(1)
    assert len({tuple(names(seed)) for seed in range(8)}) > 1
    assert {name for name, _ in names(1)} <= {f"{WEIGH}:2", f"{WEIGH}:6"}
    assert len(sample(small_tree, ["scale"], count=1000, seed=1)) == 4
    with pytest.raises(MutationError, match="no room 'cellar'"):
        sample(small_tree, ["cellar"], count=1, seed=1)


def test_every_file_of_the_package_has_tests_mapped_to_it() -> None:
    untested = []
    for path in sorted((ROOT / "harness").rglob("*.py")):
        relative = path.relative_to(ROOT).as_posix()
        if path.parent.name == "worker" or path.name in ("__init__.py", "__main__.py"):
            continue
        try:
            assert all((ROOT / test).exists() for test in mapped_tests(ROOT, relative))
        except MutationError:
            untested.append(relative)
    assert untested == []


def test_the_command_shows_the_survivors(small_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("test_wrong.py", "test_endless.py"):
        (small_tree / "tests" / "scale" / name).unlink()
    subprocess.run(["git", "init", "-q", str(small_tree)], check=True)
    assert main(["--room", "scale", "--count", "9"], root=small_tree) == 1
    said = capsys.readouterr().out
    assert "+    return kilos <= 2" in said
    assert "2 of 4 changes were noticed" in said
    assert said.splitlines()[-2:] == [f"  survived: {WEIGH}:6", f"  survived: {WEIGH}:6"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what to try"),
        (["--named", "--room", "kd"], "two different things"),
        (["--room", "kd", "--count", "0"], "--count must be at least 1"),
    ],
)
def test_a_wrong_command_line_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_a_name_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--named", "nonsense"]) == 2
    assert "no change is named nonsense; --list shows them" in capsys.readouterr().err


def test_a_copy_has_what_git_would_track(tmp_path: Path) -> None:
    root, folder = tmp_path / "root", tmp_path / "copy"
    (root / "a").mkdir(parents=True)
    for name in ("a/x.py", "ignored.txt", ".gitignore"):
        (root / name).write_text("ignored.txt\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    copy_tree(root, folder)
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        ".gitignore",
        "a/x.py",
    ]


@pytest.mark.parametrize("name", NAMED)
def test_a_named_change_can_be_made_to_the_code_as_it_is(name: str) -> None:
    mutation = NAMED[name].mutation(ROOT, name)
    assert ast.dump(ast.parse(mutation.after)) != ast.dump(ast.parse(mutation.before))
    assert all((ROOT / test).exists() for test in mutation.tests)
