"""Exercises, checks, hints, questions and progress: what judges a reader's answer and what remembers it."""

from tsparse.grade.asking import predict, quiz
from tsparse.grade.display import check, hint
from tsparse.grade.exercises import exercise
from tsparse.grade.progress import progress

__all__ = ["check", "exercise", "hint", "predict", "progress", "quiz"]
