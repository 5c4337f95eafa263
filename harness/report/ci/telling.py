"""Which CI service this is, told by its environment, and the results told to it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.report.ci import azure, github
from harness.report.ci.annotations import Annotation, annotations_of
from harness.report.ci.summary import SUMMARY_BYTES, summary_markdown
from harness.runs.result import RunResult

__all__ = ["annotate_ci", "commands_among", "tell_ci"]


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
    annotate_ci(environment, annotations_of(results), command=command)
    if _is_github(environment):
        _summarise_on_github(environment, results, warn)
    if _is_azure(environment):
        _summarise_on_azure(environment, results, command, warn)


def annotate_ci(
    environment: Mapping[str, str], annotations: Iterable[Annotation], *, command: Callable[[str], object]
) -> None:
    """Make the annotations, where GitHub Actions or Azure Pipelines runs this; parameters as above."""
    workspace = environment.get("GITHUB_WORKSPACE")
    for annotation in annotations:
        if _is_github(environment):
            command(github.error_command(annotation, Path(workspace) if workspace else None))
        if _is_azure(environment):
            command(azure.error_command(annotation))


def commands_among(environment: Mapping[str, str], lines: Iterable[str]) -> Iterator[str]:
    """Of what another process of ours said the lines that the service would have read, had it heard them. No
    driver can have put one there: what is shown of a target never looks like a command."""
    for line in lines:
        for_github = _is_github(environment) and line.startswith("::error ")
        if for_github or (_is_azure(environment) and line.startswith("##vso[task.")):
            yield line


def _is_github(environment: Mapping[str, str]) -> bool:
    return environment.get("GITHUB_ACTIONS") == "true"


def _is_azure(environment: Mapping[str, str]) -> bool:
    return environment.get("TF_BUILD", "").lower() == "true"


def _summarise_on_github(
    environment: Mapping[str, str], results: Sequence[RunResult], warn: Callable[[str], object]
) -> None:
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


def _summarise_on_azure(
    environment: Mapping[str, str],
    results: Sequence[RunResult],
    command: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
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
