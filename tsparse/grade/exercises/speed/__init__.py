"""The exercises of lesson 17: what can be decided about speed without a clock."""

from tsparse.grade.exercises.speed.limit import LIMIT
from tsparse.grade.exercises.speed.order import ROW_ORDER
from tsparse.grade.exercises.speed.tile import PICK_TILE

EXERCISES = (LIMIT, PICK_TILE, ROW_ORDER)
