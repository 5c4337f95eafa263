"""Azure Pipelines: logging commands.

Their form and the characters that are escaped: Microsoft, "Logging commands". Files are named by absolute
paths there. The agent finds a command anywhere in a line.
"""

from __future__ import annotations

from pathlib import Path

from harness.report.ci.annotations import Annotation
from harness.report.text import one_line

__all__ = ["error_command", "escaped", "summary_command"]


def error_command(annotation: Annotation) -> str:
    """The logging command ``task.logissue`` that makes the annotation, one line."""
    file = escaped(one_line(str(annotation.place.path.absolute())))
    where = f"type=error;sourcepath={file};linenumber={annotation.place.line}"
    message = escaped(f"{annotation.title}\n{annotation.message}")
    return f"##vso[task.logissue {where}]{message}"


def summary_command(path: Path) -> str:
    """The logging command ``task.uploadsummary`` that shows the Markdown of a file."""
    return f"##vso[task.uploadsummary]{escaped(str(path.absolute()))}"


def escaped(text: str) -> str:
    """``text`` as a message or as the value of a property."""
    for character, written in (("%", "%AZP25"), (";", "%3B"), ("\r", "%0D"), ("\n", "%0A"), ("]", "%5D")):
        text = text.replace(character, written)
    return text
