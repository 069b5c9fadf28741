"""A build in a process of its own: the memory that it needs goes with that process.

A process that works for hours on many boards must not keep what one build took.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

from edgeq.errors import EdgeqError
from edgeq.stages.build import Build, build, is_built
from edgeq.stages.prepare import Prepared

_PROGRAM = "import sys; sys.path[:] = {path!r}; from edgeq.stages.apart import main; main()"
_SHOWN = 4000


def built_apart(prepared: Prepared) -> Build:
    """As `build`, which only takes the artifact from the cache here. Raises what `build` does."""
    if not is_built(prepared):
        _make(prepared)
    return build(prepared)


def _make(prepared: Prepared) -> None:
    # The child imports what this process would, whatever folders it found that in.
    command = [sys.executable, "-c", _PROGRAM.format(path=sys.path)]
    done = subprocess.run(command, input=pickle.dumps(prepared), capture_output=True, check=False)
    if done.returncode == 0 and done.stdout:
        raise pickle.loads(done.stdout)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_SHOWN:]
        what = f"the process of the build ended with {done.returncode}: {said or 'it said nothing'}"
        remedy = "see whether this machine has memory left; 'edgeq build' does the same alone"
        raise EdgeqError(str(prepared.recipe.model), what, remedy)


def main() -> None:
    """Build what standard input has, into the cache; an error of edgeq goes to standard output."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    prepared = pickle.load(sys.stdin.buffer)
    try:
        build(prepared)
    except EdgeqError as error:
        with os.fdopen(answer, "wb") as stream:
            pickle.dump(error, stream)
