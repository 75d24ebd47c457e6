"""The colours and marks of series. This imports no matplotlib, so that tables are made without it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """The look of a series: a colour of Okabe and Ito, a marker and a line style."""

    colour: str
    marker: str
    line: str = "-"


BLACK, BLUE, RED, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PINK = "#E69F00", "#56B4E9", "#CC79A7"
