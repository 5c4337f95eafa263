"""Reference that is made from the code, as Markdown: what :mod:`tools.diagrams` puts into the pages."""

from tools.reference.commands import draw_commands
from tools.reference.files import draw_keys
from tools.reference.python import draw_python

__all__ = ["draw_commands", "draw_keys", "draw_python"]
