"""procnotify: kernel-debugger automation and trace extraction for Windows drivers."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until asked
