"""The builds and coats of the livestock: numbers only, `animals` draws them."""

from dataclasses import dataclass

Colour = tuple[float, float, float]
"""Blue, green, red in 0..255."""


@dataclass(frozen=True)
class Coat:
    """Two colours, how they are laid out, and the colour of the face."""

    base: Colour
    mark: Colour
    pattern: str  # plain, spots, patches, saddle
    face: Colour


@dataclass(frozen=True)
class Species:
    """The build of one kind of animal; every length is a fraction of the body's length."""

    name: str
    length_px: tuple[float, float]  # at a frame 256 pixels wide
    spine: tuple[float, ...]  # stations along the back, 0 rump to 1 nose
    radius: tuple[float, ...]  # half-width of the body at each station
    head_from: float  # station where the face begins
    wool: float  # depth of the fleece's bumps, 0 for hair
    coats: tuple[Coat, ...]


PINK, PALE, ROSE = (160.0, 172.0, 222.0), (180.0, 196.0, 228.0), (140.0, 150.0, 215.0)
BLACK, WHITE, CREAM = (38.0, 38.0, 42.0), (204.0, 210.0, 214.0), (172.0, 194.0, 208.0)

PIG = Species(
    "pig",
    (44.0, 74.0),
    (0.0, 0.06, 0.14, 0.28, 0.45, 0.58, 0.68, 0.77, 0.86, 0.94, 1.0),
    (0.06, 0.11, 0.15, 0.178, 0.178, 0.172, 0.145, 0.112, 0.088, 0.058, 0.05),
    0.74,
    0.0,
    (
        Coat(PINK, PALE, "plain", PINK),
        Coat(PALE, ROSE, "plain", PALE),
        Coat(ROSE, PALE, "plain", ROSE),
        Coat(PINK, BLACK, "spots", PINK),
        Coat(BLACK, PALE, "saddle", BLACK),
        Coat((48.0, 82.0, 152.0), (40.0, 66.0, 120.0), "plain", (48.0, 80.0, 146.0)),
    ),
)
SHEEP = Species(
    "sheep",
    (40.0, 60.0),
    (0.0, 0.08, 0.2, 0.4, 0.58, 0.7, 0.77, 0.84, 0.92, 1.0),
    (0.1, 0.18, 0.215, 0.225, 0.21, 0.165, 0.1, 0.082, 0.066, 0.042),
    0.77,
    1.0,
    (
        Coat(CREAM, WHITE, "plain", (44.0, 46.0, 50.0)),
        Coat(CREAM, (165.0, 190.0, 208.0), "plain", WHITE),
        Coat(WHITE, CREAM, "plain", (92.0, 112.0, 136.0)),
        Coat((118.0, 126.0, 134.0), (96.0, 102.0, 108.0), "plain", BLACK),
        Coat((52.0, 62.0, 76.0), (40.0, 48.0, 60.0), "plain", (34.0, 36.0, 42.0)),
    ),
)
COW = Species(
    "cow",
    (66.0, 94.0),
    (0.0, 0.05, 0.13, 0.2, 0.36, 0.5, 0.6, 0.68, 0.76, 0.83, 0.92, 1.0),
    (0.07, 0.11, 0.148, 0.15, 0.168, 0.158, 0.142, 0.105, 0.08, 0.078, 0.06, 0.048),
    0.76,
    0.0,
    (
        Coat(WHITE, BLACK, "patches", (60.0, 60.0, 64.0)),
        Coat(BLACK, WHITE, "patches", BLACK),
        Coat(WHITE, (48.0, 74.0, 138.0), "patches", (58.0, 84.0, 146.0)),
        Coat((66.0, 110.0, 164.0), (52.0, 88.0, 138.0), "plain", (74.0, 112.0, 158.0)),
        Coat((40.0, 56.0, 96.0), (34.0, 44.0, 74.0), "plain", (46.0, 60.0, 98.0)),
        Coat((178.0, 202.0, 220.0), WHITE, "plain", (176.0, 198.0, 216.0)),
        Coat((42.0, 62.0, 118.0), WHITE, "saddle", (205.0, 212.0, 218.0)),
    ),
)
SPECIES = (PIG, SHEEP, COW)
