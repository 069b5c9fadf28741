"""Rows and remarks of what only some boards or engines tell: power, clocks, memory, XNNPACK."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from edgeq.report.figures import NOT_MEASURED, UNSTABLE, mebibytes, tail, three_digits
from edgeq.report.rows import Row, Section
from edgeq.report.xnnpack import operators_outside, partitions, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgeq.records.measurement import Measurement, Power
    from edgeq.records.report import Column

    Get = Callable[[Measurement], float | str | None]


def board_sections(columns: Sequence[Column]) -> Iterator[Section]:
    """The sections with what at least one column has; none for a board that measures nothing."""
    measurements = [column.measurement for column in columns if column.measurement]
    power = [
        _row("power mode", lambda m: m.power_mode),
        _row("GPU clock, MHz", lambda m: _mega(m.gpu_hz)),
        _row("memory clock, MHz", lambda m: _mega(_jetson(m).get("emc_hz"))),
        _row("clocks pinned", _pinned),
        *(_of_power(f"power {rail}, mW", partial(_rail, rail)) for rail in _rails(measurements)),
        _of_power("power total, mW", lambda power: power.total_mw),
        _of_power("power idle, mW", lambda power: power.idle_mw),
        _of_power("energy per inference, mJ", lambda power: power.energy_mj),
        _of_power("  with idle power, mJ", lambda power: power.energy_with_idle_mj),
    ]
    gpu = [
        *(_row(f"GPU p{q}, ms", partial(_gpu_ms, q)) for q in (50, 90, 99)),
        _row("GPU memory for activations, MiB", partial(_gpu_memory, "device_memory_bytes")),
        _row("GPU memory loaded, MiB", partial(_gpu_memory, "gpu_memory_used_bytes")),
    ]
    xnnpack = [
        _row("XNNPACK partitions", partitions),
        _row("operators outside XNNPACK", operators_outside),
    ]
    memory = [
        _row("system memory loaded, MiB", lambda m: _taken(m, m.memory_available_after_load_bytes)),
        _row("system memory peak, MiB", lambda m: _taken(m, m.memory_available_lowest_bytes)),
    ]
    named = {"XNNPACK": xnnpack, "GPU": gpu, "system memory": memory, "power": power}
    for name, rows in named.items():
        measured = [row for row in rows if any(row.cell(c) != NOT_MEASURED for c in columns)]
        if measured:
            yield Section(name, tuple(measured))


def board_remarks(column: Column) -> Iterator[tuple[str, str]]:
    """Label and text: how these figures are defined, or why there is none."""
    measurement = column.measurement
    if measurement is None:
        return
    if (told := sentence(measurement)) is not None:
        yield f"LiteRT ({column.name})", told
    if measurement.gpu_ns:
        text = "GPU times are by its own events, around the inference without the copies"
        yield f"GPU ({column.name})", text
    if measurement.power is not None:
        yield f"power ({column.name})", _definition(measurement.power)
    elif _jetson(measurement):
        yield f"power ({column.name})", f"not measured: {measurement.power_missing}"
    if _taken(measurement, measurement.memory_available_lowest_bytes) is not None:
        text = (
            "MemAvailable before the load, minus that after it (loaded) and minus the lowest "
            "while timed (peak); the GPU shares it, and other programs may change it"
        )
        yield f"system memory ({column.name})", text


def _definition(power: Power) -> str:
    text = f"means over the timed part, {power.samples} samples from {power.source}; "
    if not power.total_rails:
        return text + "no total, as these rails are not known to add up to one"
    text += f"total = {' + '.join(power.total_rails)}; "
    if power.idle_mw is None:
        return text + "no energy per inference, as there is no idle power to compare"
    return text + (
        "idle = the same over 2 s before the engine was loaded; "
        "energy per inference = (total - idle) x duration / inferences"
    )


def _row(label: str, get: Get) -> Row:
    return Row(label, partial(_cell, get))


def _of_power(label: str, get: Callable[[Power], float | None]) -> Row:
    def figure(measurement: Measurement) -> float | str | None:
        value = get(measurement.power) if measurement.power else None
        # No figure rather than a wrong one, as with latency.
        return UNSTABLE if value is not None and measurement.unstable else value

    return _row(label, figure)


def _cell(get: Get, column: Column) -> str:
    value = get(column.measurement) if column.measurement else None
    if value is None:
        return NOT_MEASURED
    return value if isinstance(value, str) else three_digits(value)


def _rails(measurements: Sequence[Measurement]) -> list[str]:
    return list(dict.fromkeys(rail for m in measurements if m.power for rail in m.power.rails_mw))


def _rail(rail: str, power: Power) -> float | None:
    return power.rails_mw.get(rail)


def _gpu_ms(q: int, measurement: Measurement) -> str | None:
    if not measurement.gpu_ns:
        return None
    return UNSTABLE if measurement.unstable else tail(measurement.gpu_ns, q)


def _gpu_memory(name: str, measurement: Measurement) -> str | None:
    size_bytes = (measurement.engine_facts or {}).get(name)
    return None if size_bytes is None else mebibytes(size_bytes)


def _mega(value_hz: float | None) -> float | None:
    return None if value_hz is None else value_hz / 1e6


def _pinned(measurement: Measurement) -> str | None:
    return {True: "yes", False: "no"}.get(_jetson(measurement).get("clocks_pinned", ""))


def _taken(measurement: Measurement, left_bytes: int | None) -> str | None:
    """How much less memory the system has left than before the load, where a GPU shares it."""
    before_bytes = measurement.memory_available_before_load_bytes
    if before_bytes is None or left_bytes is None or not _jetson(measurement):
        return None
    return mebibytes(before_bytes - left_bytes)


def _jetson(measurement: Measurement) -> dict[str, Any]:
    return measurement.environment_after.get("jetson") or {}
