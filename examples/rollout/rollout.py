"""A roll-out from Python: a line for each device that has come to an end, then a summary.

python rollout.py RECIPE FLEET STRATEGY
"""

from __future__ import annotations

import sys
from collections import Counter

import edgeq
from edgeq.errors import EdgeqError

ENDS = ("healthy", "failed", "rolled back", "deferred")


def main(recipe: str, fleet: str, strategy: str) -> int:
    rollout = edgeq.start_rollout(recipe, fleet, strategy)
    print(f"{rollout.id} has begun")
    for event in rollout:
        if event.device is not None and event.state in ENDS:
            print(f"{event.device}: {event.state}{f', {event.reason}' if event.reason else ''}")
    status = edgeq.rollout_status(rollout.id)
    for number, wave in enumerate(status.waves):
        states = Counter(device.state for device in status.devices if device.wave == number)
        print(f"{wave}: {', '.join(f'{count} {state}' for state, count in states.items())}")
    print(f"{status.state}{f': {status.reason}' if status.reason else ''}")
    return status.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:4]))
    except EdgeqError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
