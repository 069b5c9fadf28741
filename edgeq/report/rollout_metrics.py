"""A roll-out as OpenMetrics text: devices by wave and state.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections import Counter

from edgeq.records.rollout import DEVICE_STATES, RolloutStatus


def render(found: RolloutStatus) -> str:
    """The text; a gauge for every wave and every state, 0 where there is no device in it."""
    counts = Counter((device.wave, device.state) for device in found.devices)
    lines = ["# TYPE edgeq_rollout_devices gauge"]
    for number, wave in enumerate(found.waves):
        for state in DEVICE_STATES:
            labels = f'rollout="{found.id}",wave="{wave}",state="{state}"'
            lines.append(f"edgeq_rollout_devices{{{labels}}} {counts[number, state]}")
    lines += ["# TYPE edgeq_rollout_bad_devices gauge"]
    bad = sum(device.is_bad for device in found.devices)
    lines.append(f'edgeq_rollout_bad_devices{{rollout="{found.id}"}} {bad}')
    return "\n".join([*lines, "# EOF", ""])
