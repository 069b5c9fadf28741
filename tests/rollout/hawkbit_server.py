"""A server that speaks as much of hawkBit's Management API as an outside check needs.

It is our reading of the API and no hawkBit: paths, parameters and answers are those of
`MgmtRolloutRestApi` and its models, when hawkBit pauses and what `resume` does those of
docs/rollout-management.md, `RolloutGroupConditionTest` and `shouldStartNextGroupOnResume` in
https://github.com/eclipse-hawkbit/hawkbit (the pause after a group: pull request 2867). A group is
through at its success threshold, or finished, when nothing is on its way any more.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD, ROLLOUT = "checker", "secret", 7
PAGE = 2
"""entries; hawkBit gives up to 500 at once, and never more than it wants to"""


@dataclass
class Group:
    """A group, with each of its targets and how installing went there."""

    name: str
    status: str
    targets: dict[str, str]
    success_action: str = "PAUSE"
    threshold: int = 100

    @property
    def finished(self) -> int:
        return sum(how == "in_sync" for how in self.targets.values())

    @property
    def through(self) -> bool:
        """Does the next one begin when the roll-out is resumed?"""
        share = 100 * self.finished / len(self.targets)
        return self.status in ("finished", "error") or share >= self.threshold


@dataclass
class HawkBit:
    """One roll-out. `requests` are those that would change something."""

    groups: list[Group]
    status: str = "paused"
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def get(self, path: list[str], query: dict[str, list[str]]) -> Any:
        match path:
            case []:
                return {"id": ROLLOUT, "name": "new", "status": self.status}
            case ["deploygroups"]:
                # Compact, as hawkBit gives it unless it is asked for `representation=full`.
                return _page([self._group(number) for number in range(len(self.groups))], query)
            case ["deploygroups", number]:
                group = self.groups[int(number)]
                counts = {"finished": group.finished, "error": len(group.targets) - group.finished}
                return {**self._group(int(number)), "totalTargetsPerStatus": counts}
            case ["deploygroups", number, "targets"]:
                targets = self.groups[int(number)].targets.items()
                found = [{"controllerId": name, "updateStatus": how} for name, how in targets]
                return _page(found, query)
        return None

    def resume(self) -> int:
        if self.status != "paused":
            return 400
        self.status = "running"
        begun = [group for group in self.groups if group.status != "scheduled"]
        if begun[-1].through and len(begun) < len(self.groups):
            self.groups[len(begun)].status = "running"
        return 204

    def _group(self, number: int) -> dict[str, Any]:
        group = self.groups[number]
        return {
            "id": number,
            "name": group.name,
            "status": group.status,
            "totalTargets": len(group.targets),
            "successCondition": {"condition": "THRESHOLD", "expression": str(group.threshold)},
            "successAction": {"action": group.success_action, "expression": ""},
        }


def _page(entries: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
    assert query["sort"] == ["id:ASC"]
    first, most = int(query["offset"][0]), min(PAGE, int(query["limit"][0]))
    content = entries[first : first + most]
    return {"content": content, "total": len(entries), "size": len(content)}


@contextmanager
def served(hawkbit: HawkBit) -> Iterator[HawkBit]:
    """The same, answering at its `url`."""
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str | None) -> None:
            url = urlsplit(self.path)
            start = ["rest", "v1", "rollouts", str(ROLLOUT)]
            parts = url.path.strip("/").split("/")
            found = None
            if self.headers["Authorization"] != basic:
                code = 401
            elif parts[:4] != start:
                code = 404
            elif method is None:
                found = hawkbit.get(parts[4:], parse_qs(url.query))
                code = 404 if found is None else 200
            else:
                hawkbit.requests.append(f"{method} /{'/'.join(parts[4:])}")
                code = hawkbit.resume() if parts[4:] == ["resume"] else 404
            body = b"" if found is None else json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing: a test has no use for it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hawkbit.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hawkbit
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
