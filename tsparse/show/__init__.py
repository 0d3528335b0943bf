"""Pictures of masks, matrices, block layouts and rooflines, code beside its older version, and a widget.

Most functions return a `Picture`: a small PNG with an alt text, shown as HTML so that screen readers, the
printed page and GitHub get the text as well. Colours, sizes and fonts live in `style.py`. Pictures are
readable in grey: what colour says is also said by darkness, hatching or a word.
"""

from tsparse.show.changes import Changes, changes
from tsparse.show.compare import comparison
from tsparse.show.course import course_map
from tsparse.show.explorer import Explorer, explore
from tsparse.show.gathering import gathered
from tsparse.show.grids import mask, masks, matrix
from tsparse.show.launches import launch, tiles
from tsparse.show.layouts import layout, overview
from tsparse.show.rendering import Picture, picture
from tsparse.show.roofline import roofline

__all__ = [
    "Changes",
    "Explorer",
    "Picture",
    "changes",
    "comparison",
    "course_map",
    "explore",
    "gathered",
    "launch",
    "layout",
    "mask",
    "masks",
    "matrix",
    "overview",
    "picture",
    "roofline",
    "tiles",
]
