"""Pictures of masks, matrices, attention heads and block layouts, and one widget.

Every function returns a `Picture`: a small PNG with an alt text, shown as HTML so that screen readers, the
printed page and GitHub get the text as well. Colours, sizes and fonts live in `style.py`. Pictures are
readable in grey: what colour says is also said by darkness, hatching or a word.
"""

from tsparse.show.charts import bars, curves
from tsparse.show.compare import comparison
from tsparse.show.course import course_map
from tsparse.show.explorer import Explorer, explore
from tsparse.show.grids import mask, masks, matrix
from tsparse.show.heads import attention, heads
from tsparse.show.layouts import layout, overview
from tsparse.show.rendering import Picture, picture

__all__ = [
    "Explorer",
    "Picture",
    "attention",
    "bars",
    "comparison",
    "course_map",
    "curves",
    "explore",
    "heads",
    "layout",
    "mask",
    "masks",
    "matrix",
    "overview",
    "picture",
]
