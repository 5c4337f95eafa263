"""A server of the Model Context Protocol (MCP) over standard input and output: commands as tools.

A tool is a command of ours in a process of its own, and its answer the document that the command prints with
``--json`` (``docs/json.md``), cut to a size that is stated. The tools read and write below one folder alone.
"""

from __future__ import annotations

from harness.mcpserver.server import serve_tools

__all__ = ["serve_tools"]
