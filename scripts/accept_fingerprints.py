#!/usr/bin/env python
"""Take today's numbers of all fingerprints as those of today's behaviour versions.

Refuses, and writes nothing, while numbers have moved that no raised version accounts for.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from behaviour import guard
from behaviour.fingerprints import as_stored, fingerprints, measured


def main() -> int:
    """Measure, compare, and write where that is allowed."""
    parts = ("methods", "tasks", "triggers", "fingerprints", "networks")
    nothing = {"core": 0, **{part: {} for part in parts}}
    stored = guard.stored() if guard.STORED.exists() else nothing
    numbers, refused = {}, []
    for name, fingerprint in fingerprints().items():
        numbers[name] = as_stored(measured(fingerprint))
        if lines := guard.unexpected(fingerprint, numbers[name], stored):
            refused.append(f"{name}: {lines[0]} ({len(lines)} numbers)")
    networks = {}
    for task in guard.EXAMPLES:
        networks[task] = as_stored(guard.task_numbers(task))
        refused += guard.unexpected_of_task(task, networks[task], stored)
    for line in refused:
        print(line)
    if refused:
        print(f"Nothing is written: {guard.CURE}")
        return 1
    gone = sorted(set(stored["fingerprints"]) - set(numbers))
    for name in gone:
        print(f"no longer measured: {name}")
    found = {**guard.versions(), "fingerprints": numbers, "networks": networks}
    guard.STORED.write_text(_spelled(found), "utf-8")
    print(f"{len(numbers)} fingerprints and {len(networks)} tasks written to {guard.STORED}")
    return 0


def _spelled(found: dict[str, object]) -> str:
    """JSON with a line for each fingerprint and task, so that a diff shows which moved."""
    parts = []
    for key, value in found.items():
        text = json.dumps(value)
        if isinstance(value, dict):
            lines = (f" {json.dumps(n)}: {json.dumps(v)}" for n, v in sorted(value.items()))
            text = "{\n" + ",\n".join(lines) + "\n}"
        parts.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
