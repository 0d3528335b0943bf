"""The exercises of lesson 07: numbers that say what attention weights look at, and what a probe proves.

`weights` are attention weights: rows are queries, columns keys, every row sums to 1.
"""

from tsparse.grade.exercises.reading.entropy import ENTROPY
from tsparse.grade.exercises.reading.kept_mass import KEPT_MASS
from tsparse.grade.exercises.reading.probe import PROBE
from tsparse.grade.exercises.reading.rollout import ROLLOUT

EXERCISES = (ENTROPY, ROLLOUT, PROBE, KEPT_MASS)
