"""The Windows Python of the tests has no jsonschema, and a schema is the same on every system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    collect_ignore = ["test_schemas.py", "test_documents.py"]
