"""Random patterns and random lists of blocks, for hypothesis; each beside what it means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from tests import closed_forms as forms
from tests.backends import Size
from tests.closed_forms import Form, N
from tsparse import BlockLayout


def _one_of(*strategies: st.SearchStrategy) -> st.SearchStrategy:
    """One of them, the first most often; `st.one_of` looks into those that are choices themselves."""
    return st.integers(0, len(strategies) - 1).flatmap(lambda i: strategies[i])


def _one_or_two(rows: st.SearchStrategy) -> st.SearchStrategy[list]:
    """One for all batch entries, or one for each of two."""
    return st.sampled_from([2, 1]).flatmap(lambda n: st.lists(rows, min_size=n, max_size=n))


_places = st.sampled_from([9, *range(N + 1)])
_ids = st.lists(st.integers(0, 3), min_size=N, max_size=N)
_marks = st.lists(st.integers(0, 4).map(lambda i: i == 4), min_size=N, max_size=N)
_strides = st.sampled_from([4, *range(1, 21)])
_chunks = st.sampled_from([6, *range(1, 16)]).flatmap(
    lambda stride: st.tuples(st.just(stride), st.integers(1, stride))
)
_seeds = st.integers(0, 2**32 - 1)

_atoms = _one_of(
    _one_or_two(_places).map(forms.padding),
    _places.map(lambda place: forms.window(place + 1)),
    _places.map(forms.local),
    _places.map(forms.prefix),
    st.just(forms.causal()),
    _places.map(forms.first_tokens),
    st.lists(_places, max_size=4).map(forms.tokens_at),
    _one_or_two(_marks).map(forms.marked_tokens),
    _ids.map(forms.documents),
    _one_or_two(_ids.map(sorted)).map(forms.documents),
    _one_or_two(_ids).map(forms.documents),
    st.builds(forms.dilated, st.integers(1, 9), st.integers(1, 15)),
    _strides.map(forms.strided),
    _chunks.map(lambda pair: forms.columns(*pair)),
    _chunks.map(lambda pair: forms.fixed(*pair)),
    st.just(forms.full()),
    st.builds(forms.random_blocks, st.integers(1, 4), st.integers(1, 9), _seeds),
    st.builds(forms.random_blocks, st.integers(1, 4), st.integers(1, 9), _seeds, length=st.just(N)),
)


def _combined(inner: st.SearchStrategy[Form]) -> st.SearchStrategy[Form]:
    pairs = st.tuples(inner, inner)
    return _one_of(
        pairs.map(lambda pair: pair[0] & pair[1]),
        pairs.map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda form: ~form),
    )


_once = _one_of(_atoms, _combined(_atoms))
_twice = _one_of(_once, _combined(_once))
_two_heads = _one_of(
    _chunks.map(lambda pair: forms.fixed_heads(*pair, heads=2)),
    st.lists(_once, min_size=2, max_size=2).map(forms.per_head),
)
_permuted = st.one_of(
    _strides.map(forms.strided), _strides.map(lambda stride: forms.strided(stride) & forms.causal())
)
expressions = _one_of(_once, _combined(_twice), _two_heads, _combined(_one_of(_two_heads, _once)), _permuted)
"""Patterns combined up to three deep, for one or two batch entries and heads and up to 40 positions."""

# What comes first is drawn most often, and is what hypothesis returns to when it looks for a simple example.
_lengths = st.sampled_from([20, *range(1, N + 1)])
block_sizes = st.tuples(st.sampled_from([6, *range(1, 13)]), st.sampled_from([4, *range(1, 13)]))


@st.composite
def _sizes(draw: st.DrawFn) -> Size:
    block, n_q = draw(block_sizes), draw(_lengths)
    q_offset = draw(_one_of(st.just(0), st.integers(0, N - n_q)))
    n_kv = draw(_one_of(st.just(q_offset + n_q), _lengths))
    return Size(f"{n_q} queries from {q_offset} on, {n_kv} keys, {block}", n_q, n_kv, q_offset, block)


sizes = _sizes()
"""Up to 40 queries and keys."""


@dataclass(frozen=True)
class Listed:
    """Lists of key blocks, one for each row of blocks, and the mask `[N, M]` they stand for."""

    rows: list[list[int]]
    block: tuple[int, int]
    mask: torch.Tensor

    def layout(self) -> BlockLayout:
        return BlockLayout.from_blocks(self.rows, self.block, *self.mask.shape)


@st.composite
def _lists(draw: st.DrawFn) -> Listed:
    n_q, n_kv, block = draw(_lengths), draw(_lengths), draw(block_sizes)
    rows, columns = -(-n_q // block[0]), -(-n_kv // block[1])
    listed = draw(st.lists(st.sets(st.integers(0, columns - 1)), min_size=rows, max_size=rows))
    table = np.array([[column in row for column in range(columns)] for row in listed])
    mask = np.kron(table, np.ones(block, dtype=bool))[:n_q, :n_kv]
    return Listed([sorted(row) for row in listed], block, torch.from_numpy(mask))


block_lists = _lists()
"""Any blocks of any size, of up to 40 queries and keys."""
