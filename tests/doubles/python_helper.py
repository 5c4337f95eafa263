"""A guest helper in Python: the command line and the answers of ``driver/actor``, on the system that runs it.

Its service manager is a file beside it, ``services.json``: name → path of what is started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ERROR_FILE_NOT_FOUND = 2
ERROR_INVALID_PARAMETER = 87
ERROR_SERVICE_ALREADY_RUNNING = 1056
ERROR_SERVICE_DOES_NOT_EXIST = 1060
SERVICES = Path(__file__).with_name("services.json")


def start(name: str, path: str) -> int:
    services = json.loads(SERVICES.read_text(encoding="utf-8")) if SERVICES.exists() else {}
    if name in services:
        return ERROR_SERVICE_ALREADY_RUNNING
    if not Path(path).exists():
        return ERROR_FILE_NOT_FOUND
    if Path(path).read_bytes().startswith(b"error "):
        return int(Path(path).read_bytes()[6:])
    SERVICES.write_text(json.dumps(services | {name: path}), encoding="utf-8")
    return 0


def stop(name: str) -> int:
    services = json.loads(SERVICES.read_text(encoding="utf-8")) if SERVICES.exists() else {}
    if name not in services:
        return ERROR_SERVICE_DOES_NOT_EXIST
    del services[name]
    SERVICES.write_text(json.dumps(services), encoding="utf-8")
    return 0


def main(words: list[str]) -> int:
    number = 0
    if words[:1] == ["--id"]:
        number, words = int(words[1]), words[2:]
    status, code = 0, 0
    made: dict[str, int | str] = {}
    match words:
        case ["start", name, path]:
            status = start(name, path)
        case ["stop", name]:
            status = stop(name)
        case ["launch", *program]:
            try:
                child = subprocess.Popen(
                    program,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                made = {"child_pid": child.pid, "child_tid": child.pid}
            except OSError:
                status = ERROR_FILE_NOT_FOUND
        case ["terminate", pid]:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                status = ERROR_INVALID_PARAMETER
        case ["sleep", milliseconds]:
            time.sleep(int(milliseconds) / 1000)
        case ["exit", text]:
            code = int(text)
        case _:
            print("usage: helper [--id N] ACTION", file=sys.stderr)
            return 2
    head = {"action": words[0], "id": number, "pid": os.getpid(), "tid": threading.get_native_id()}
    print(json.dumps(head | {"status": status} | made))
    return code or (1 if status else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
