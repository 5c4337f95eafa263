"""Write the JSON Schemas that the package publishes anew: ``python -m tools.schemas``.

``--check`` only says which of them are stale (exit code 1 when one is).
"""

from __future__ import annotations

import sys

from harness.files import write_whole
from harness.schemas import PUBLISHED, schema_file, schema_text

__all__ = ["stale_schemas"]


def stale_schemas() -> list[str]:
    """The kinds of files whose schema is not what the readers' tables say."""
    return [
        kind
        for kind in PUBLISHED
        if not schema_file(kind).is_file()
        or schema_file(kind).read_text(encoding="utf-8") != schema_text(kind)
    ]


def main(arguments: list[str]) -> int:
    """Exit code."""
    stale = stale_schemas()
    for kind in stale:
        print(f"{schema_file(kind).name}: {'stale' if arguments else 'written'}")
        if not arguments:
            write_whole(schema_file(kind), schema_text(kind).encode("utf-8"))
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: python -m tools.schemas [--check]")
    sys.exit(main(sys.argv[1:]))
