"""Pictures of masks, matrices and block layouts, code beside its older version, and a widget.

Most functions return a `Picture`: a small PNG with an alt text, shown as HTML so that screen readers, the
printed page and GitHub get the text as well. Colours, sizes and fonts live in `style.py`. Pictures are
readable in grey: what colour says is also said by darkness, hatching or a word.
"""

from tsparse.show.changes import Changes, changes
from tsparse.show.compare import comparison
from tsparse.show.course import course_map
from tsparse.show.dials import dials
from tsparse.show.explorer import Explorer, explore
from tsparse.show.grids import mask, masks, matrices, matrix
from tsparse.show.launches import launch, tiles, tiles_loaded
from tsparse.show.layouts import layout, overview
from tsparse.show.places import places
from tsparse.show.rendering import Picture, picture

__all__ = [
    "Changes",
    "Explorer",
    "Picture",
    "changes",
    "comparison",
    "course_map",
    "dials",
    "explore",
    "launch",
    "layout",
    "mask",
    "masks",
    "matrices",
    "matrix",
    "overview",
    "picture",
    "places",
    "tiles",
    "tiles_loaded",
]
