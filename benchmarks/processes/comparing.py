"""Comparisons one after the other, each of a line on standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """As many comparisons of two artifacts as the arguments say, in a root folder of their own."""
    given: dict[str, Any] = json.loads(sys.argv[1])

    from edgeq.artifact import archive
    from edgeq.spec import target as targets
    from edgeq.spec.recipe import Compare
    from edgeq.verbs import compare as verb

    target = targets.load("local").model_copy(update={"root": given["root"], "threads": 1})
    a, b = (archive.read(Path(given[side])) for side in ("a", "b"))
    options = Compare.model_validate({**given["options"], "images": given["images"]})
    for number in range(given["count"]):
        verb.SEED = given["seed"] + number
        found = verb.compare(a, b, target, options=options)
        metrics = {
            one.metric: {
                "outcome": one.outcome,
                "change": [one.change.estimate, one.change.low, one.change.high],
                "confirmed": "measured again" not in one.reason,
            }
            for one in found.metrics
            if one.change is not None
        }
        line = {"metrics": metrics, "pairs": found.pairs, "seconds": found.measured_s}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
