"""What two releases cost beside each other on a device, judged."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.cost.turns import in_wrong_mode
from edgeq.device.device import Device
from edgeq.progress import Progress
from edgeq.records.turns import Turns
from edgeq.spec.images import Image
from edgeq.spec.recipe import Compare
from edgeq.stages.compared import cost_differences
from edgeq.stages.looks import Grounds, Seen, look
from edgeq.stages.turns import take_turns

SEED = 20040


def judged_turns(
    device: Device,
    releases: tuple[str, str],
    images: Sequence[Image],
    options: Compare,
    manner: tuple[int, str | None],
    progress: Progress,
) -> Seen[Turns]:
    """Have two release folders take turns, and judge time, memory and energy.

    `manner` as of `take_turns`. Raises DeviceError.
    """

    def turns(number: int) -> list[Turns]:
        return take_turns(device, releases, images, options, manner, SEED + number, progress)

    grounds = Grounds[Turns](
        costs=lambda loads: cost_differences(loads, options),
        others=(),
        observed={},
        meaningless=in_wrong_mode,
    )
    return look(turns, grounds)
