"""`make fuzz`: every subject for its share of $EDGEQ_FUZZ_S seconds, and how many inputs it had.

`python -m tests.fuzz NAME SECONDS [SEED]` feeds one of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import Fault, feed
from tests.fuzz.subjects import SUBJECTS

HOUR_S = 3600


def main() -> int:
    """The exit status: 1 where any input was neither read nor refused."""
    if len(sys.argv) > 1:
        return _one(sys.argv[1], float(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
    share_s = float(os.environ.get("EDGEQ_FUZZ_S", HOUR_S)) / len(SUBJECTS)
    start = int(os.environ.get("EDGEQ_FUZZ_SEED", time.time_ns() // 10**9 % 10**9))
    print(f"{len(SUBJECTS)} subjects, {share_s:.0f} s each, seeds from {start}", flush=True)
    failed = [name for name in SUBJECTS if _child(name, share_s, start)]
    if failed:
        print(f"FAULTS in: {', '.join(failed)}")
    return 1 if failed else 0


def _child(name: str, duration_s: float, start: int) -> int:
    command = [sys.executable, "-m", "tests.fuzz", name, str(duration_s), str(start)]
    status = subprocess.run(command, check=False).returncode
    if status not in (0, 1):
        print(f"{name}: ended with {status}", flush=True)
    return status


def _one(name: str, duration_s: float, start: int) -> int:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-", dir=memory))
    os.environ["EDGEQ_HOME"] = str(folder / "work")
    print(f"{name}: the input in hand is {folder}/{name}.input", file=sys.stderr, flush=True)
    begun_s = time.monotonic()
    try:
        count = feed(name, duration_s, start, folder)
    except Fault as exc:
        import traceback

        traceback.print_exception(exc.__cause__ or exc)
        print(f"{name}: {exc}", flush=True)
        return 1
    shutil.rmtree(folder)
    print(f"{name}: {count} inputs in {time.monotonic() - begun_s:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
