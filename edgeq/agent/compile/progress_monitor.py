"""How far TensorRT is with a build, from the phases that it reports, one within another."""

from __future__ import annotations

from typing import Any, Callable


class Phases:
    """Nested phases as one share from 0 to 1 that never goes back."""

    def __init__(self) -> None:
        self.share = 0.0
        # By name: where it begins, how much of the whole it is, its steps, those that are done.
        self._phases: dict[str, tuple[float, float, int, int]] = {}

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins: it is one step of its parent."""
        begin, width, total, done = self._phases.get(parent or "", (0.0, 1.0, 1, 0))
        within = width / max(total, 1)
        self._phases[name] = (begin + within * min(done, total), within, steps, 0)

    def step(self, name: str, step: int) -> None:
        """A step of a phase is done; they are counted from 0."""
        begin, width, steps, _ = self._phases.get(name, (0.0, 0.0, 1, 0))
        self._phases[name] = (begin, width, steps, step + 1)
        reached = begin + width * min((step + 1) / max(steps, 1), 1.0)
        self.share = max(self.share, min(reached, 1.0))

    def finish(self, name: str) -> None:
        """A phase is over."""
        self._phases.pop(name, None)


def make_monitor(trt: Any, report: Callable[[int], None], steps: int) -> Any:
    """A monitor of the module's own kind; `report` gets how many of `steps` are done, never all."""
    phases = Phases()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, count: int) -> None:
            phases.start(name, parent, count)

        def step_complete(self, name: str, step: int) -> bool:
            phases.step(name, step)
            report(min(int(phases.share * steps), steps - 1))
            return True

        def phase_finish(self, name: str) -> None:
            phases.finish(name)

    return Monitor()
