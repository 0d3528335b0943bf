"""Right and wrong answers to the exercises of lesson 08, others than the exercises' own.

`right` and `wrong` register an answer; `tests/grade/test_patterns_exercises.py` judges them all.
"""

from tests.grade.answers import Answers

ANSWERS = Answers()
RIGHT, WRONG = ANSWERS.rights, ANSWERS.wrongs
right, wrong = ANSWERS.right, ANSWERS.wrong
