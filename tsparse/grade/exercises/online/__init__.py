"""The exercises of lesson 12: softmax and attention in one pass, and merging what was computed apart."""

from tsparse.grade.exercises.online.attention import ATTENTION
from tsparse.grade.exercises.online.merge import MERGE
from tsparse.grade.exercises.online.sink import SINK
from tsparse.grade.exercises.online.streaming import STREAMING_SOFTMAX

EXERCISES = (STREAMING_SOFTMAX, MERGE, ATTENTION, SINK)
