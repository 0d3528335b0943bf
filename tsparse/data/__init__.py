"""Data sets that need no download: `dates` makes dates in words, `Vocabulary` makes numbers of characters."""

from . import dates
from .vocabulary import END, PAD, START, Vocabulary

__all__ = ["END", "PAD", "START", "Vocabulary", "dates"]
