"""edgeq as the external check of a hawkBit roll-out that pauses after each of its groups.

python hawkbit.py [--boards N] ROLLOUT RECIPE FLEET OLD NEW

Where the roll-out ROLLOUT (its id) has paused after a group, OLD and NEW take turns on some of the
boards that this group has installed on, and it is resumed where NEW is worse on none of them. OLD
and NEW are artifacts or baselines; `{target}` in their names stands for a board's target. Boards
are known by their controller id, which is their name in FLEET. HAWKBIT_URL, HAWKBIT_USER and
HAWKBIT_PASSWORD say where hawkBit is, and who may read and handle roll-outs there.

Ends as edgeq does: 0 resumed, or nothing waits; 1 NEW is worse; 2 the input is wrong; 3 a board or
hawkBit could not be reached or refused; 4 it cannot be told, or somebody else has to decide.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import sys
from functools import partial
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import edgeq
from edgeq.errors import DeviceError, EdgeqError, InputError

NOT_BEGUN = ("creating", "ready", "scheduled")
"""states of a group before anything is installed"""
PAGE = 500
"""entries, the most that hawkBit gives at once"""


class HawkBit:
    """Its Management API, of which paths begin at one roll-out."""

    def __init__(self, url: str, user: str, password: str, rollout: str) -> None:
        self.rollout = f"{url.rstrip('/')}/rest/v1/rollouts/{rollout}"
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()

    def ask(self, path: str = "", method: str = "GET") -> Any:
        """What it answers; None where that is empty."""
        headers = {"Authorization": f"Basic {self._basic}", "Accept": "application/json"}
        request = Request(self.rollout + path, method=method, headers=headers)
        try:
            with urlopen(request, timeout=60) as answer:
                body = answer.read()
        except OSError as exc:
            raise DeviceError(f"{method} {request.full_url}", str(exc)) from exc
        return json.loads(body) if body else None

    def all(self, path: str) -> list[Any]:
        """What stands on all pages of a list."""
        found: list[Any] = []
        while True:
            query = urlencode({"sort": "id:ASC", "offset": len(found), "limit": PAGE})
            page = self.ask(f"{path}?{query}")
            found += page["content"]
            if not page["content"] or len(found) >= page["total"]:
                return found


def paused_after(hawkbit: HawkBit) -> Any:
    """The group after which a roll-out pauses; in words, why somebody else paused it.

    Resumed after a group where installing failed too often, hawkBit begins the next one all the
    same; and the pause of a person is nobody else's to end.
    """
    groups = [one for one in hawkbit.all("/deploygroups") if one["status"] not in NOT_BEGUN]
    if failed := [one["name"] for one in groups if one["status"] == "error"]:
        return f"installing failed in {', '.join(failed)}"
    if not groups or groups[-1]["successAction"]["action"] != "PAUSE":
        return "no group has {successAction: {action: PAUSE}}, so somebody has paused it"
    last = hawkbit.ask(f"/deploygroups/{groups[-1]['id']}")
    share = 100 * last["totalTargetsPerStatus"]["finished"] / max(last["totalTargets"], 1)
    if last["status"] != "finished" and share < int(last["successCondition"]["expression"]):
        return f"somebody has paused it before {last['name']} was through"
    return last


def sample(hawkbit: HawkBit, group: Any, fleet: str, most: int) -> list[str]:
    """Boards of the group that have installed, the same ones each time."""
    named = {device.name for device in edgeq.load_fleet(fleet).devices}
    targets = hawkbit.all(f"/deploygroups/{group['id']}/targets")
    installed = [one["controllerId"] for one in targets if one["updateStatus"] == "in_sync"]
    known = sorted(named.intersection(installed))
    if not known:
        what = f"has none of the {len(installed)} boards that {group['name']} has installed on"
        raise InputError(fleet, what, "name devices as hawkBit does, by their controller id")
    return random.Random(group["id"]).sample(known, min(most, len(known)))


def turns(old: str, new: str, recipe: str, target: Any, address: Any) -> Any:
    """How NEW stands to OLD on one board."""
    sides = [side.replace("{target}", target.name) for side in (old, new)]
    return edgeq.compare(*sides, target, recipe, address=address)


def check(boards: list[str], recipe: str, fleet: str, old: str, new: str) -> int:
    """Say of each board how NEW does there; the exit code of the worst one."""
    act = partial(turns, old, new, recipe)
    named = ", ".join(f"'{board}'" for board in boards)
    codes = set()
    for outcome in edgeq.run_on_fleet(fleet, act, on=f"name in ({named})"):
        if outcome.result is None:
            codes.add(outcome.exit_code)
            print(f"{outcome.device.name}: {outcome.error}")
        else:
            codes.add(outcome.result.exit_code)
            said = [f"{one.metric} {one.outcome}" for one in outcome.result.metrics]
            print(f"{outcome.device.name}: {', '.join(said)}")
    return next((code for code in (1, 5, 2, 3, 4) if code in codes), 0)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Check what hawkBit installed, and let it go on.")
    parser.add_argument("--boards", type=int, default=5, help="of a group, at most (5)")
    for name in ("rollout", "recipe", "fleet", "old", "new"):
        parser.add_argument(name)
    said = parser.parse_args(arguments)
    place = [os.environ.get(f"HAWKBIT_{name}", "") for name in ("URL", "USER", "PASSWORD")]
    if not all(place):
        raise InputError("HAWKBIT_URL, HAWKBIT_USER, HAWKBIT_PASSWORD", "not all are set", "do so")
    hawkbit = HawkBit(*place, said.rollout)

    if (state := hawkbit.ask()["status"]) != "paused":
        print(f"roll-out {said.rollout} is {state}: nothing to check")
        return 0
    group = paused_after(hawkbit)
    if isinstance(group, str):
        print(f"roll-out {said.rollout} stays paused: {group}")
        return 4
    boards = sample(hawkbit, group, said.fleet, said.boards)
    code = check(boards, said.recipe, said.fleet, said.old, said.new)
    if code:
        print(f"roll-out {said.rollout} stays paused after {group['name']}")
        return code
    hawkbit.ask("/resume", "POST")
    print(f"roll-out {said.rollout} goes on after {group['name']}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EdgeqError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
