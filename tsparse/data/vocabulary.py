"""Characters as numbers: a batch of texts becomes one table, and a table becomes texts again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..arguments import integers

PAD, START, END = 0, 1, 2
"""The numbers of the three tokens that are no characters: filler, before a text, after a text."""


class Vocabulary:
    """The characters of some texts, numbered from 3 in the order of their code points.

    >>> letters = Vocabulary(["abba", "cab"])
    >>> len(letters), letters.encode(["ab", "c"]).tolist()
    (6, [[3, 4, 2], [5, 2, 0]])
    >>> letters.decode([[3, 4, 2], [5, 2, 0]])
    ['ab', 'c']
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.characters = "".join(sorted(set("".join(texts))))
        self._numbers = {character: number for number, character in enumerate(self.characters, start=END + 1)}

    def __len__(self) -> int:
        """How many tokens there are, the three that are no characters among them."""
        return END + 1 + len(self.characters)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """The texts as int64 `[B, N]`: their characters, then END, then PAD up to the longest.

        Raises ValueError for a character that the vocabulary does not have.
        """
        rows = [[*map(self._number, text), END] for text in texts]
        longest = max(map(len, rows), default=0)
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows], dtype=torch.int64)

    def decode(self, tokens: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """The texts of `tokens [B, N]`, each up to its END; START and PAD leave no trace.

        Raises ValueError for a number that is no token.
        """
        return [
            "".join(map(self._character, _before_end(row))) for row in integers("tokens", tokens).tolist()
        ]

    def _number(self, character: str) -> int:
        if character not in self._numbers:
            raise ValueError(f"texts hold {character!r}; the vocabulary has {self.characters!r}")
        return self._numbers[character]

    def _character(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise ValueError(f"tokens must be 0 to {len(self) - 1}, got {number}")
        return self.characters[number - END - 1] if number > END else ""


def _before_end(row: list[int]) -> list[int]:
    """The tokens before the first END."""
    return row[: row.index(END)] if END in row else row
