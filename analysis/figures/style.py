"""One look for all figures: colours that survive colour-blindness and greyscale, and saving."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import wrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

PER_INCH = 12  # characters of a title


@dataclass(frozen=True)
class Mark:
    """How a series is drawn: a colour of Okabe and Ito, a marker and a line style."""

    colour: str
    marker: str
    line: str = "-"


BLACK, BLUE, RED, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PINK = "#E69F00", "#56B4E9", "#CC79A7"

_LOOKS = [
    Mark(colour, marker, line)
    for line in ("-", "--", "-.", ":")
    for colour, marker in zip((BLACK, BLUE, RED, GREEN, ORANGE, SKY, PINK), "os^DvPX", strict=True)
]


def looks(names: Iterable[str], taken: Collection[Mark] = ()) -> dict[str, Mark]:
    """Give series without looks of their own a look each, by their order; over 20 look different."""
    free = [mark for mark in _LOOKS if mark not in taken]
    return dict(zip(names, cycle(free), strict=False))


def headline(figure: Figure, text: str) -> None:
    """Set the title of a figure, in lines that are no wider than it."""
    width = int(figure.get_size_inches()[0] * PER_INCH)
    lines = [line for part in text.splitlines() for line in wrap(part, width)]
    figure.suptitle("\n".join(lines), fontsize=11)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that is the same, byte for byte, for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)
