"""Right and wrong answers to the exercises of lesson 06, others than the exercises' own."""

from __future__ import annotations

import math

import torch

from tests.grade.answers import Answers

ANSWERS = Answers()
RIGHT, WRONG = ANSWERS.rights, ANSWERS.wrongs
right, wrong = ANSWERS.right, ANSWERS.wrong
FLOPS, BYTES, LONGEST = "cost.attention_flops", "cost.attention_bytes", "cost.longest_sequence"


@right(FLOPS)
def rows_one_by_one(n_q, n_kv, heads, dim, batch=1, causal=False):
    pairs = sum(min(i + 1, n_kv) for i in range(n_q)) if causal else n_q * n_kv
    return batch * heads * (2 * dim * pairs + 2 * pairs * dim)


@right(FLOPS)
def square_without_its_corner(n_q, n_kv, heads, dim, batch=1, causal=False):
    pairs = n_q * n_kv
    if causal and n_q >= n_kv:
        pairs -= n_kv * (n_kv - 1) // 2
    elif causal:
        pairs = n_q * (n_q + 1) // 2
    return 4 * pairs * heads * dim * batch


@wrong(FLOPS, "half")
def multiplications_only(n_q, n_kv, heads, dim, batch=1, causal=False):
    return rows_one_by_one(n_q, n_kv, heads, dim, batch, causal) // 2


@wrong(FLOPS, "a quarter")
def a_quarter(n_q, n_kv, heads, dim, batch=1, causal=False):
    return rows_one_by_one(n_q, n_kv, heads, dim, batch, causal) // 4


@wrong(FLOPS)
def softmax_too(n_q, n_kv, heads, dim, batch=1, causal=False):
    pairs = n_q * n_kv * heads * batch
    return rows_one_by_one(n_q, n_kv, heads, dim, batch, causal) + 5 * pairs


@wrong(FLOPS)
def one_addition_fewer(n_q, n_kv, heads, dim, batch=1, causal=False):
    return (2 * dim - 1) * n_q * n_kv * heads * batch + 2 * dim * n_q * n_kv * heads * batch


@wrong(FLOPS, "causal ignored")
def causal_never_read(n_q, n_kv, heads, dim, batch=1, causal=False):
    return 4 * n_q * n_kv * heads * dim * batch


@wrong(FLOPS, "causal as n²/2")
def all_of_it_halved(n_q, n_kv, heads, dim, batch=1, causal=False):
    return causal_never_read(n_q, n_kv, heads, dim, batch) // (2 if causal else 1)


@wrong(FLOPS, "causal as n²/2")
def half_of_the_pairs_as_float(n_q, n_kv, heads, dim, batch=1, causal=False):
    return int(4 * n_q * n_kv * heads * dim * batch * (0.5 if causal else 1))


@wrong(FLOPS, "wrong type")
def float_result(n_q, n_kv, heads, dim, batch=1, causal=False):
    return 4.0 * rows_one_by_one(n_q, n_kv, heads, dim, batch, causal) / 4


@wrong(FLOPS, "wrong type")
def tensor_result(n_q, n_kv, heads, dim, batch=1, causal=False):
    return torch.tensor(rows_one_by_one(n_q, n_kv, heads, dim, batch, causal))


@wrong(FLOPS, "heads twice")
def heads_squared(n_q, n_kv, heads, dim, batch=1, causal=False):
    return rows_one_by_one(n_q, n_kv, heads, dim, batch, causal) * heads


@wrong(FLOPS, "own key hidden")
def triangle_without_diagonal(n_q, n_kv, heads, dim, batch=1, causal=False):
    pairs = sum(min(i, n_kv) for i in range(n_q)) if causal else n_q * n_kv
    return 4 * pairs * heads * dim * batch


@wrong(FLOPS, "triangle too large")
def triangle_of_queries(n_q, n_kv, heads, dim, batch=1, causal=False):
    return 4 * ((n_q * n_q + n_q) // 2 if causal else n_q * n_kv) * heads * dim * batch


@wrong(FLOPS, "triangle of keys")
def triangle_of_keys(n_q, n_kv, heads, dim, batch=1, causal=False):
    return 4 * (n_kv * (n_kv + 1) // 2 if causal else n_q * n_kv) * heads * dim * batch


@wrong(FLOPS, "batch forgotten")
def one_text(n_q, n_kv, heads, dim, batch=1, causal=False):
    return rows_one_by_one(n_q, n_kv, heads, dim, 1, causal)


@wrong(FLOPS)
def two_to_the_dim(n_q, n_kv, heads, dim, batch=1, causal=False):
    return rows_one_by_one(n_q, n_kv, heads, dim + 1, batch, causal)


@wrong(FLOPS, "returns nothing")
def printed(n_q, n_kv, heads, dim, batch=1, causal=False):
    print(4 * n_q * n_kv * heads * dim * batch)


@right(BYTES)
def tensor_by_tensor(n, heads, dim, itemsize, fused):
    q = k = v = out = n * heads * dim * itemsize
    scores = weights = n * n * heads * itemsize
    return q + k + v + out + (0 if fused else scores + scores + weights + weights)


@right(BYTES)
def factored(n, heads, dim, itemsize, fused):
    return 4 * n * heads * itemsize * (dim + n * (not fused))


@wrong(BYTES, "elements")
def numbers(n, heads, dim, itemsize, fused):
    return 4 * n * heads * (dim + n * (not fused))


@wrong(BYTES)
def bits(n, heads, dim, itemsize, fused):
    return 8 * factored(n, heads, dim, itemsize, fused)


@wrong(BYTES, "never read")
def held_not_moved(n, heads, dim, itemsize, fused):
    return (4 * n * dim + (0 if fused else 2 * n * n)) * heads * itemsize


@wrong(BYTES, "scale moved too")
def six_crossings(n, heads, dim, itemsize, fused):
    return (4 * n * dim + (0 if fused else 6 * n * n)) * heads * itemsize


@wrong(BYTES, "fused still writes it")
def fused_ignored(n, heads, dim, itemsize, fused):
    return 4 * n * heads * itemsize * (dim + n)


@wrong(BYTES, "fused and unfused exchanged")
def not_inverted(n, heads, dim, itemsize, fused):
    return 4 * n * heads * itemsize * (dim + n * fused)


@wrong(BYTES, "output forgotten")
def reads_only(n, heads, dim, itemsize, fused):
    return (3 * n * dim + (0 if fused else 4 * n * n)) * heads * itemsize


@wrong(BYTES, "tables only")
def tables_instead(n, heads, dim, itemsize, fused):
    return (4 * n * dim if fused else 4 * n * n) * heads * itemsize


@wrong(BYTES, "one matrix for all heads")
def heads_on_the_vectors_only(n, heads, dim, itemsize, fused):
    return 4 * n * dim * heads * itemsize + (0 if fused else 4 * n * n * itemsize)


@wrong(BYTES)
def heads_on_the_tables_only(n, heads, dim, itemsize, fused):
    return 4 * n * dim * itemsize + (0 if fused else 4 * n * n * itemsize * heads)


@wrong(BYTES, "itemsize ignored")
def always_four_bytes(n, heads, dim, itemsize, fused):
    return factored(n, heads, dim, 4, fused)


@wrong(BYTES, "wrong type")
def mebibytes(n, heads, dim, itemsize, fused):
    return factored(n, heads, dim, itemsize, fused) / 2**20


@wrong(BYTES, "table forgotten")
def never_a_table(n, heads, dim, itemsize, fused):
    return 4 * n * dim * heads * itemsize


@right(LONGEST)
def halving(memory, heads, dim, itemsize=4, batch=1):
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        if (4 * middle * dim + 2 * middle * middle) * heads * itemsize * batch <= memory:
            low = middle
        else:
            high = middle - 1
    return low


@right(LONGEST)
def quadratic_formula(memory, heads, dim, itemsize=4, batch=1):
    room = memory // (heads * itemsize * batch)
    return (math.isqrt(16 * dim * dim + 8 * room) - 4 * dim) // 4


@right(LONGEST)
def float_root_then_corrected(memory, heads, dim, itemsize=4, batch=1):
    room = memory // (2 * heads * itemsize * batch)
    n = int(math.sqrt(room + dim * dim)) - dim
    while n * n + 2 * n * dim > room:
        n -= 1
    while (n + 1) ** 2 + 2 * (n + 1) * dim <= room:
        n += 1
    return n


@wrong(LONGEST, "float root")
def divided_as_floats(memory, heads, dim, itemsize=4, batch=1):
    room = memory / (2 * heads * itemsize * batch)
    return math.floor(math.sqrt(room + dim * dim) - dim)


@wrong(LONGEST, "float root")
def half_power(memory, heads, dim, itemsize=4, batch=1):
    return int((memory // (2 * heads * itemsize * batch) + dim * dim) ** 0.5 - dim)


@wrong(LONGEST, "rounded up")
def rounded(memory, heads, dim, itemsize=4, batch=1):
    return round(math.sqrt(memory / (2 * heads * itemsize * batch) + dim * dim) - dim)


@wrong(LONGEST, "linear part forgotten")
def rule_of_thumb(memory, heads, dim, itemsize=4, batch=1):
    return math.isqrt(memory // (2 * heads * itemsize * batch))


@wrong(LONGEST, "scores once")
def quadratic_formula_of_one_table(memory, heads, dim, itemsize=4, batch=1):
    room = memory // (heads * itemsize * batch)
    return (math.isqrt(16 * dim * dim + 4 * room) - 4 * dim) // 2


@wrong(LONGEST, "dim not squared")
def dim_not_squared(memory, heads, dim, itemsize=4, batch=1):
    return math.isqrt(memory // (2 * heads * itemsize * batch) + dim) - dim


@wrong(LONGEST, "dim not taken away")
def dim_not_taken_away(memory, heads, dim, itemsize=4, batch=1):
    return math.isqrt(memory // (2 * heads * itemsize * batch) + dim * dim)


@wrong(LONGEST, "heads forgotten")
def one_head(memory, heads, dim, itemsize=4, batch=1):
    return halving(memory, 1, dim, itemsize, batch)


@wrong(LONGEST, "batch forgotten")
def one_text_only(memory, heads, dim, itemsize=4, batch=1):
    return halving(memory, heads, dim, itemsize)


@wrong(LONGEST, "itemsize ignored")
def float32_only(memory, heads, dim, itemsize=4, batch=1):
    return halving(memory, heads, dim, 4, batch)


@wrong(LONGEST)
def held_at_half(memory, heads, dim, itemsize=4, batch=1):
    return halving(memory // 2, heads, dim, itemsize, batch)


@wrong(LONGEST, "at least one")
def at_least_one(memory, heads, dim, itemsize=4, batch=1):
    return max(1, halving(memory, heads, dim, itemsize, batch))


@wrong(LONGEST, "less, not at most")
def strictly_less(memory, heads, dim, itemsize=4, batch=1):
    return halving(memory - 1, heads, dim, itemsize, batch) if memory > 0 else 0


@wrong(LONGEST, "wrong type")
def with_a_fraction(memory, heads, dim, itemsize=4, batch=1):
    return math.sqrt(memory / (2 * heads * itemsize * batch) + dim * dim) - dim


@wrong(LONGEST, "wrong type")
def floored_by_a_float(memory, heads, dim, itemsize=4, batch=1):
    return float(halving(memory, heads, dim, itemsize, batch))
