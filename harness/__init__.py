"""procnotify: kernel-debugger automation and trace extraction for Windows drivers."""

__version__ = "0.1.0"
