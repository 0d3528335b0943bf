"""From a matplotlib figure to a `Picture`: PNG bytes with an alt text."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from tsparse.show import style


@dataclass(frozen=True, repr=False)
class Picture:
    """A rendered picture. Notebooks show it as `<img alt=...>`; its text form is the alt text."""

    png: bytes
    alt: str
    width: int
    """Width on the page in CSS pixels; the PNG has more, for sharp screens."""

    def __repr__(self) -> str:
        """The picture in words."""
        return self.alt

    def save(self, path: str | Path) -> Path:
        """Write the PNG to a file, to keep or to print; the path that was written."""
        path = Path(path)
        path.write_bytes(self.png)
        return path

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.png).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" width="{self.width}" '
            f'style="max-width: 100%; height: auto; background: white" src="data:image/png;base64,{data}">'
        )


def picture(figure: Figure, alt: str, width: int | None = None) -> Picture:
    """Render a figure at the course's resolution and close it.

    `alt` says in words what the picture shows; an empty one raises. `width` is the width on the page in CSS
    pixels (default: 104 per inch of the figure, so that its text is about as large as the page's).
    """
    if not alt.strip():
        raise ValueError("alt must say in words what the picture shows; it is empty")
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=style.DPI)
    plt.close(figure)
    full = Image.open(drawn).convert("RGB")
    full.quantize(style.COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        small, "png", optimize=True
    )
    return Picture(small.getvalue(), alt, width or round(figure.get_figwidth() * style.CSS_PIXELS_PER_INCH))
