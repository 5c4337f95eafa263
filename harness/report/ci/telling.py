"""Which CI service this is, told by its environment, and the results told to it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.report.ci import azure, github
from harness.report.ci.annotations import annotations_of
from harness.report.ci.summary import SUMMARY_BYTES, summary_markdown
from harness.runs.result import RunResult

__all__ = ["tell_ci"]


def tell_ci(
    environment: Mapping[str, str],
    results: Sequence[RunResult],
    *,
    command: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
    """Tell GitHub Actions or Azure Pipelines the results, where one of them runs this; else do nothing.

    :param environment: the variables of this process.
    :param command: takes a line that the service reads.
    :param warn: takes why a summary could not be written, which changes no verdict.
    """
    if not results:
        return
    if environment.get("GITHUB_ACTIONS") == "true":
        _tell_github(environment, results, command, warn)
    if environment.get("TF_BUILD", "").lower() == "true":
        _tell_azure(environment, results, command, warn)


def _tell_github(
    environment: Mapping[str, str],
    results: Sequence[RunResult],
    command: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
    workspace = environment.get("GITHUB_WORKSPACE")
    for annotation in annotations_of(results):
        command(github.error_command(annotation, Path(workspace) if workspace else None))
    if named := environment.get("GITHUB_STEP_SUMMARY"):
        try:
            _append_summary(Path(named), results)
        except OSError as error:
            warn(f"the step summary cannot be written to {named}: {error.strerror or error}")


def _append_summary(path: Path, results: Sequence[RunResult]) -> None:
    """Add the summary below what the step wrote before, as far as there is room.

    :raises OSError: it cannot be written.
    """
    with path.open("ab") as file:
        # A table begins only on a line of its own.
        before = b"\n\n" if file.tell() else b""
        room = SUMMARY_BYTES - file.tell() - len(before)
        if text := summary_markdown(results, limit=room):
            file.write(before + text.encode())


def _tell_azure(
    environment: Mapping[str, str],
    results: Sequence[RunResult],
    command: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
    for annotation in annotations_of(results):
        command(azure.error_command(annotation))
    # The agent uploads the file later, and empties this folder after the job.
    folder = environment.get("AGENT_TEMPDIRECTORY")
    try:
        with tempfile.NamedTemporaryFile(
            "wb", prefix="procnotify-", suffix=".md", dir=folder or None, delete=False
        ) as file:
            file.write(summary_markdown(results).encode())
    except OSError as error:
        warn(f"the summary cannot be written to {folder or 'a temporary file'}: {error.strerror or error}")
    else:
        command(azure.summary_command(Path(file.name)))
