"""A worker that does what its script says: ``python fake_worker.py SCRIPT``; beside the tests of real ones.

The script is JSON: call → what happens. ``{"result": ...}`` or ``{"error": ...}`` answers; ``"emit"`` is a
list of events written before the answer, ``"after"`` one written behind it; ``"exit"`` ends the process with
that code; ``"garbage"`` writes a line that is no JSON. A call that the script does not name gets no answer.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    script = json.loads(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        act = script.get(request["call"], {})
        for event in act.get("emit", []):
            print(json.dumps(event), flush=True)
        if "garbage" in act:
            print(act["garbage"], flush=True)
        for kind in ("result", "error"):
            if kind in act:
                print(json.dumps({"id": request["id"], kind: act[kind]}), flush=True)
        for event in act.get("after", []):
            print(json.dumps(event), flush=True)
        if "exit" in act:
            print("the worker says goodbye", file=sys.stderr, flush=True)
            sys.exit(act["exit"])


if __name__ == "__main__":
    main()
