"""What one process does with a fleet over SSH, and what it costs that process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.processes.exchange import answer, arguments


def main() -> None:
    """Seconds, and CPU of this process alone."""
    given = arguments()
    if given["what"] == "build":
        _build(given)
        answer({})
    elif given["what"] == "rollout":
        answer(_rollout(given))
    else:
        answer(_pushed(given))


def _build(given: dict[str, Any]) -> None:
    import edgeq

    edgeq.build(Path(given["recipe"]), "local", output=Path(given["artifact"]))


def _pushed(given: dict[str, Any]) -> dict[str, Any]:
    import edgeq
    from edgeq.artifact import archive
    from edgeq.device.connection import Address, connect
    from edgeq.spec.target import Target

    artifact = archive.read(Path(given["artifact"]))

    def send(target: Target, address: Address) -> None:
        with connect(target, address) as board:
            board.lock("benchmark")
            board.send(artifact)

    def install(target: Target, address: Address) -> None:
        edgeq.push(artifact, target, address, activate=True)

    act = install if given["what"] == "install" else send

    started, used = time.perf_counter(), time.process_time()
    outcomes = edgeq.run_on_fleet(given["fleet"], act, at_once=given["at_once"])
    answer = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - used}
    wrong = [str(one.error) for one in outcomes if one.error is not None]
    if wrong:
        raise SystemExit(f"{len(wrong)} failed: {wrong[0]}")
    return answer


def _rollout(given: dict[str, Any]) -> dict[str, Any]:
    """CPU of a host is what the time from the first one's end to the end costs, a host."""
    import edgeq
    from edgeq.spec.strategy import Canary, Strategy

    quick = Strategy(canary=Canary(count=1), waves=(), at_once=given["at_once"])
    rollout = edgeq.start_rollout(given["recipe"], given["fleet"], quick)
    started, used, begun = time.perf_counter(), time.process_time(), 0
    for event in rollout:
        if event.state == "healthy":
            begun += 1
            if begun == 1:
                used = time.process_time()
    found = edgeq.rollout_status(rollout.id)
    if found.state != "done" or found.exit_code:
        raise SystemExit(f"{found.state}: {found.reason or found.devices[0].reason}")
    cpu_ms = 1e3 * (time.process_time() - used) / max(1, begun - 1)
    return {"seconds": time.perf_counter() - started, "cpu_ms": cpu_ms}


if __name__ == "__main__":
    main()
