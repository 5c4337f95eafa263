"""``python -m harness`` is the ``procnotify`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """The command. A program that cannot even be imported is a failed rig too, not a broken promise."""
    try:
        from harness.cli import main as run
    except Exception as error:  # noqa: BLE001  # what nobody foresaw, told as that
        from harness.internal import internal_error

        failed = internal_error(error)
        print(f"procnotify: {failed}", file=sys.stderr)
        sys.exit(failed.exit_code)
    run()


if __name__ == "__main__":
    main()
