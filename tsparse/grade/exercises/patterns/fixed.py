"""`patterns.fixed`: the own chunk and the last places of every chunk, as in the Sparse Transformer."""

from __future__ import annotations

from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, hidden, integer, keys, queries, shown
from tsparse.grade.exercises.patterns.strided import causal, own_chunk, says_future


def fixed(n: int, stride: int, width: int) -> Tensor:
    """Reference: bool [n, n], no later key, and of the others the own chunk and the last `width` of each."""
    return causal(n) & (own_chunk(n, stride) | (keys(n) % stride >= stride - width))


def fixed_cases(rng: Generator) -> list[Case]:
    """One and two summaries, a drawn case, then chunks that are all summary, short, or the only one."""
    n, width = integer(rng, 16, 19), integer(rng, 2, 3)
    return [
        Case("12 tokens, chunks of 4, width 1", (12, 4, 1)),
        Case("15 tokens, chunks of 5, width 2", (15, 5, 2)),
        Case("14 tokens, chunks of 4: the last chunk is short", (14, 4, 1)),
        Case("a drawn length and width", (n, 5, width)),
        Case("every place of a chunk is a summary", (9, 3, 3), edge=True),
        Case("one chunk, longer than the sequence", (5, 8, 2), edge=True),
        Case("chunks of one token", (5, 1, 1), edge=True),
        Case("one token", (1, 4, 1), edge=True),
    ]


def summary(n: int, stride: int, width: int) -> Tensor:
    """Bool [n]: whether a key is among the last `width` of its chunk."""
    return keys(n) % stride >= stride - width


def says_too_many(mistake: Mistake) -> str:
    """For masks with one summary column too many."""
    query, key = shown(mistake)
    _, stride, width = mistake.case.args
    chunk = slice(key // stride * stride, (key // stride + 1) * stride)
    seen = words_of(mistake.got[query, chunk], chunk.start)
    return (
        f"With width {width}, query {query} sees the places {seen} of chunk {key // stride}: "
        "`>= stride - width`."
    )


def words_of(row: Tensor, start: int) -> str:
    """The visible places of a piece of a row that begins at `start`."""
    from tsparse.show.words import spans  # not on top: exercises load where ipywidgets is missing

    return spans([start + int(place) for place in row.nonzero().flatten()])


def says_too_few(mistake: Mistake) -> str:
    """For masks with fewer summary columns than wanted."""
    query, key = hidden(mistake)
    width = mistake.case.args[2]
    places = f"The last {width} places of a chunk are" if width > 1 else "The last place of a chunk is"
    return f"Query {query} does not see key {key}. {places} seen by all later queries."


def says_early(mistake: Mistake) -> str:
    """For summaries one place too early."""
    query, key = shown(mistake)
    _, stride, width = mistake.case.args
    return (
        f"Query {query} sees key {key} and not key {hidden(mistake)[1]}: places of a chunk are counted from "
        f"0, so the last {width} of {stride} begin at {stride - width}."
    )


def says_first(mistake: Mistake) -> str:
    """For summaries at the wrong end."""
    query, key = shown(mistake)
    return (
        f"Query {query} sees key {key}: your summaries are the *first* places of a chunk; only the last have "
        "seen the chunk."
    )


def says_chunk(mistake: Mistake) -> str:
    """For masks without the own chunk."""
    return "Query {} does not see key {} of its own chunk.".format(*hidden(mistake))


def says_sliding(mistake: Mistake) -> str:
    """For masks with a window where a chunk is meant."""
    query, key = shown(mistake)
    return (
        f"Query {query} sees key {key} of the chunk before: chunks start at multiples of "
        f"{mistake.case.args[1]}."
    )


def says_before(mistake: Mistake) -> str:
    """For masks that forget older summaries."""
    query, key = hidden(mistake)
    return f"Query {query} does not see the summary at place {key}: all earlier chunks count."


FIXED = Exercise(
    id="patterns.fixed",
    title="The own chunk, and the last places of every chunk",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=fixed,
    cases=fixed_cases,
    hints=(
        "There are three rules: no later key; the same chunk; a summary. Make a table for each and join "
        "them.",
        "Position p lies in chunk p // stride and is place p % stride of it. The last `width` places are "
        "stride - width, ..., stride - 1.",
        "`causal & (same_chunk | summary)`, with `summary = key % stride >= stride - width`, a row that "
        "broadcasts over all queries.",
    ),
    wrong=(
        Wrong(
            "first columns",
            says_first,
            lambda n, s, w: causal(n) & (own_chunk(n, s) | (keys(n) % s < w)),
        ),
        Wrong(
            "one column too many",
            says_too_many,
            lambda n, s, w: causal(n) & (own_chunk(n, s) | summary(n, s, w + 1)),
        ),
        Wrong(
            "one column too few",
            says_too_few,
            lambda n, s, w: causal(n) & (own_chunk(n, s) | summary(n, s, w - 1)),
        ),
        Wrong(
            "places counted from 1",
            says_early,
            lambda n, s, w: causal(n) & (own_chunk(n, s) | ((keys(n) + 1) % s >= s - w)),
        ),
        Wrong(
            "width ignored",
            says_too_few,
            lambda n, s, w: fixed(n, s, 1),
        ),
        Wrong("not causal", says_future, lambda n, s, w: own_chunk(n, s) | summary(n, s, w)),
        Wrong(
            "chunk not causal",
            lambda m: f"{says_future(m)[:-1]}: within a chunk nobody looks ahead either.",
            lambda n, s, w: own_chunk(n, s) | (causal(n) & summary(n, s, w)),
        ),
        Wrong(
            "summaries not causal",
            lambda m: f"{says_future(m)[:-1]}: a summary is seen only by those who come after it.",
            lambda n, s, w: (causal(n) & own_chunk(n, s)) | summary(n, s, w),
        ),
        Wrong("own chunk missing", says_chunk, lambda n, s, w: causal(n) & summary(n, s, w)),
        Wrong(
            "only the own key of the chunk",
            says_chunk,
            lambda n, s, w: causal(n) & (summary(n, s, w) | (distance(n, n) == 0)),
        ),
        Wrong(
            "own chunk only",
            lambda m: "Query {} sees its own chunk and nothing else; it should see the summary at {}.".format(
                *hidden(m)
            ),
            lambda n, s, w: causal(n) & own_chunk(n, s),
        ),
        Wrong(
            "window for chunk",
            says_sliding,
            lambda n, s, w: causal(n) & ((distance(n, n) < s) | summary(n, s, w)),
        ),
        Wrong(
            "strides for summaries",
            lambda m: (
                "Query {} sees key {}, which is {} before it: summaries are the ends of the chunks, the same "
                "for every query.".format(*shown(m), shown(m)[0] - shown(m)[1])
            ),
            lambda n, s, w: causal(n) & (own_chunk(n, s) | (distance(n, n) % s == 0)),
        ),
        Wrong(
            "only the chunk before",
            says_before,
            lambda n, s, w: (
                causal(n) & (own_chunk(n, s) | (summary(n, s, w) & (queries(n) // s - keys(n) // s == 1)))
            ),
        ),
        Wrong(
            "and instead of or",
            lambda m: (
                "Query {} does not see key {}: the own chunk *or* a summary is enough, you ask for "
                "both.".format(*hidden(m))
            ),
            lambda n, s, w: causal(n) & own_chunk(n, s) & summary(n, s, w),
        ),
    ),
)
