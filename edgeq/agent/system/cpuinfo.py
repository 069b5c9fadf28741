"""What /proc/cpuinfo says, on x86 and ARM."""

from __future__ import annotations

import re
from typing import NamedTuple

# What decides how fast int8 is: vector width, dot products, matrix multiplication.
FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "neon",
    "asimd",
    "asimddp",
    "asimdhp",
    "i8mm",
    "sve",
)

# Arm's MIDR_EL1 part numbers, as in util-linux `lscpu-arm.c`.
_PARTS = {
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xC0F): "Cortex-A15",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD83): "Neoverse-V3AE",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
}


class CpuInfo(NamedTuple):
    """Model names (several on big.LITTLE, joined by ' + '), and which of FLAGS there are."""

    model: str | None
    flags: tuple[str, ...] | None


def parse_cpuinfo(text: str) -> CpuInfo:
    """The model and the flags of interest; None for what the text does not say."""
    names = re.findall(r"^model name\s*:\s*(.+)$", text, re.M) or _arm_names(text)
    line = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    present = set(line.group(1).split()) if line else set()
    return CpuInfo(
        model=" + ".join(dict.fromkeys(name.strip() for name in names)) or None,
        flags=tuple(name for name in FLAGS if name in present) if line else None,
    )


def _arm_names(text: str) -> list[str]:
    implementers = re.findall(r"^CPU implementer\s*:\s*(\w+)$", text, re.M)
    parts = re.findall(r"^CPU part\s*:\s*(\w+)$", text, re.M)
    names = []
    for implementer, part in zip(implementers, parts):
        key = (int(implementer, 16), int(part, 16))
        names.append(_PARTS.get(key, f"implementer {implementer} part {part}"))
    return names
