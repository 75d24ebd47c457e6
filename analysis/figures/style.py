"""One look for all figures: colours that survive colour blindness and greyscale, headlines and captions."""

from collections.abc import Collection, Iterable
from itertools import cycle
from pathlib import Path
from textwrap import wrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures.marks import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, Mark

PER_INCH = 12  # characters of a title
INTERVALS = "95 % jackknife intervals over networks (Student's t)"


_LOOKS = [
    Mark(colour, marker, line)
    for line in ("-", "--", "-.", ":")
    for colour, marker in zip((BLACK, BLUE, RED, GREEN, ORANGE, SKY, PINK), "os^DvPX", strict=True)
]


def looks(names: Iterable[str], taken: Collection[Mark] = ()) -> dict[str, Mark]:
    """Return a look for each series in turn, without those in `taken`; up to 28 differ."""
    free = [mark for mark in _LOOKS if mark not in taken]
    return dict(zip(names, cycle(free), strict=False))


def headline(figure: Figure, text: str) -> None:
    """Set the title of a figure, wrapped into lines that are no wider than the figure."""
    width = int(figure.get_size_inches()[0] * PER_INCH)
    lines = [line for part in text.splitlines() for line in wrap(part, width)]
    figure.suptitle("\n".join(lines), fontsize=11)


def caption(what: str, title: str, n: Iterable[float], of: str) -> str:
    """Return the sentence that goes with a figure: what it shows of which networks, intervals and counts.

    `title` names the setting, `n` are the numbers of comparisons behind the means, and `of` is what they are.
    """
    counts = sorted({int(each) for each in n})
    ends = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "0"
    return f"{what} ({title}): means with {INTERVALS}, n = {ends} {of}."


def save(figure: Figure, path: Path, caption: str) -> None:
    """Write a PNG with its caption as the metadata `Description`; equal figures are equal byte for byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None, "Description": caption})
    plt.close(figure)


def caption_of(path: Path) -> str:
    """Return the caption of a PNG; "" where it has none or is not a PNG."""
    try:
        with Image.open(path) as image:
            return str(image.info.get("Description", ""))
    except OSError:
        return ""
