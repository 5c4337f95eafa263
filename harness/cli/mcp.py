"""``procnotify mcp``: the commands as tools of the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import RigError

__all__ = ["command"]


@click.command(short_help="offer load, run, explain, show, explore and debug to agents, over MCP")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    help="The tools read and write below it alone. Without it the current folder.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one call of a tool may take.",
)
def command(folder: Path, timeout: float) -> int:
    """Serve the Model Context Protocol (MCP) on standard input and output, for an agent that starts this
    command: the tools load, run, explain, show, explore and debug, all on the virtual target (docs/mcp.md).

    \b
    Example:
      procnotify mcp --folder path/to/project

    \b
    Exit codes:
      0  the client closed the connection
      2  the command line is wrong
      3  the extra `mcp` is not installed
    After Ctrl-C it is 130.
    """
    try:
        from harness.mcpserver import serve_tools
    except ModuleNotFoundError as error:
        raise RigError(
            f"the tools need the extra mcp, of which {error.name} is not installed",
            hint="pip install 'procnotify[mcp]'",
        ) from None
    serve_tools(folder, seconds=timeout)
    return 0
