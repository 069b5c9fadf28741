"""`make fuzz`: every subject for its share of $EDGEQ_FUZZ_S seconds, and how many inputs it had.

`python -m tests.fuzz NAME SECONDS [SEED]` feeds one of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.campaign import Fault, feed
from tests.fuzz.subjects import SUBJECTS

HOUR_S = 3600


def main() -> int:
    """The exit status: 1 where any input was neither read nor refused."""
    if len(sys.argv) > 1:
        return _one(sys.argv[1], float(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
    share_s = float(os.environ.get("EDGEQ_FUZZ_S", HOUR_S)) / len(SUBJECTS)
    first = int(os.environ.get("EDGEQ_FUZZ_SEED", time.time_ns() // 10**9 % 10**9))
    print(f"{len(SUBJECTS)} subjects, {share_s:.0f} s each, seeds from {first}", flush=True)
    said = [_child(name, share_s, first) for name in SUBJECTS]
    counts = [int(found[1]) for line in said if (found := re.search(r": (\d+) inputs in", line))]
    print(f"{sum(counts)} inputs in all")
    return 0 if len(counts) == len(SUBJECTS) else 1


def _child(name: str, duration_s: float, first: int) -> str:
    """What a process of its own came to, in a line: a crash or a hang ends no more than that."""
    command = [sys.executable, "-m", "tests.fuzz", name, str(duration_s), str(first)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    line = done.stdout.strip() or f"{name}: FAULT: it ended with status {done.returncode}"
    print(line, flush=True)
    return line


def _one(name: str, duration_s: float, first: int) -> int:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-", dir=memory))
    os.environ["EDGEQ_HOME"] = str(folder / "work")
    print(f"{name}: the input in hand is {folder}/input", file=sys.stderr, flush=True)
    begun_s = time.monotonic()
    try:
        count = feed(SUBJECTS[name], duration_s, first, folder)
    except Fault as exc:
        traceback.print_exception(exc)
        print(f"{name}: FAULT: {exc}", flush=True)
        return 1
    shutil.rmtree(folder)
    print(f"{name}: {count} inputs in {time.monotonic() - begun_s:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
