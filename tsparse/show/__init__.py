"""Pictures of masks, matrices and block layouts, code beside its older version, and a widget.

Most functions return a `Picture`: a small PNG with an alt text, shown as HTML so that screen readers, the
printed page and GitHub get the text as well. Colours, sizes and fonts live in `style.py`. Pictures are
readable in grey: what colour says is also said by darkness, hatching or a word.
"""

from tsparse.show.changes import Changes, changes
from tsparse.show.charts import bars, curves
from tsparse.show.compare import comparison
from tsparse.show.course import course_map
from tsparse.show.cuts import block_sizes, cut, spans
from tsparse.show.dials import dials
from tsparse.show.explorer import Explorer, explore
from tsparse.show.gathering import gathered
from tsparse.show.grids import mask, masks, matrices, matrix
from tsparse.show.heads import attention, heads
from tsparse.show.histories import training
from tsparse.show.launches import launch, tiles, tiles_loaded
from tsparse.show.layouts import layout, overview
from tsparse.show.paths import reach
from tsparse.show.places import places
from tsparse.show.portrait import portraits
from tsparse.show.posters import poster
from tsparse.show.rendering import Picture, picture
from tsparse.show.roofline import roofline
from tsparse.show.schedules import schedule, schedules
from tsparse.show.waste import waste

__all__ = [
    "Changes",
    "Explorer",
    "Picture",
    "attention",
    "bars",
    "block_sizes",
    "changes",
    "comparison",
    "course_map",
    "curves",
    "cut",
    "dials",
    "explore",
    "gathered",
    "heads",
    "launch",
    "layout",
    "mask",
    "masks",
    "matrices",
    "matrix",
    "overview",
    "picture",
    "places",
    "portraits",
    "poster",
    "reach",
    "roofline",
    "schedule",
    "schedules",
    "spans",
    "tiles",
    "tiles_loaded",
    "training",
    "waste",
]
