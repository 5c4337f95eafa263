"""GitHub Actions: workflow commands.

Their form and the characters that are escaped: GitHub's documentation, "Workflow commands for GitHub
Actions"; the runner reads a command at the start of a line, or of what follows white space there.
"""

from __future__ import annotations

from pathlib import Path

from harness.report.ci.annotations import Annotation
from harness.report.text import one_line

__all__ = ["error_command", "escaped_data", "escaped_property"]


def error_command(annotation: Annotation, workspace: Path | None) -> str:
    """The workflow command ``error`` that makes the annotation, one line.

    :param workspace: the folder of the repository; a file in it is named from there, as annotations want it.
    """
    file = escaped_property(one_line(_from_workspace(annotation.place.path, workspace)))
    title = escaped_property(annotation.title)
    where = f"file={file},line={annotation.place.line},title={title}"
    return f"::error {where}::{escaped_data(annotation.message)}"


def escaped_data(text: str) -> str:
    """``text`` as a command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """``text`` as the value of a property, which a colon or a comma would end."""
    return escaped_data(text).replace(":", "%3A").replace(",", "%2C")


def _from_workspace(path: Path, workspace: Path | None) -> str:
    absolute = path.absolute()
    if workspace is not None:
        # Either of the two may be named through a link.
        for file, folder in ((absolute, workspace), (absolute.resolve(), workspace.resolve())):
            if file.is_relative_to(folder):
                return file.relative_to(folder).as_posix()
    return absolute.as_posix()
