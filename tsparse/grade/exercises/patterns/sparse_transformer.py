"""`patterns.strided` and `patterns.fixed`: the two patterns of the Sparse Transformer, both causal."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, hidden, integer, keys, queries, says_own_key, shown
from tsparse.show.words import spans


def strided(n: int, stride: int) -> Tensor:
    """Reference: bool [n, n], keys 0, stride, 2 stride ... steps behind the query."""
    behind = distance(n, n)
    return (behind >= 0) & (behind % stride == 0)


def fixed(n: int, stride: int, width: int) -> Tensor:
    """Reference: bool [n, n], no later key, and of the others the own chunk and the last `width` of each."""
    return causal(n) & (own_chunk(n, stride) | (keys(n) % stride >= stride - width))


def causal(n: int) -> Tensor:
    """Bool [n, n]: no query sees a later key."""
    return distance(n, n) >= 0


def own_chunk(n: int, stride: int) -> Tensor:
    """Bool [n, n]: query and key lie in one chunk of `stride` tokens."""
    return queries(n) // stride == keys(n) // stride


def strided_cases(rng: Generator) -> list[Case]:
    """Several strides, a drawn one, then strides of 1 and longer than the sequence."""
    n, stride = integer(rng, 13, 17), integer(rng, 5, 6)
    return [
        Case("12 tokens, stride 4", (12, 4)),
        Case("11 tokens, stride 2", (11, 2)),
        Case("9 tokens, stride 3", (9, 3)),
        Case("a drawn length and stride", (n, stride)),
        Case("stride 1: all that came before", (5, 1), edge=True),
        Case("a stride longer than the sequence", (4, 9), edge=True),
        Case("a stride as long as the sequence", (6, 6), edge=True),
        Case("one token", (1, 3), edge=True),
    ]


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


def by_steps(rule: Callable[[Tensor, int], Tensor]) -> Callable[[int, int], Tensor]:
    """A mask from its rule of (distance [n, n], stride)."""
    return lambda n, stride: rule(distance(n, n), stride)


def listed(row: Tensor) -> str:
    """The keys that a row [n] shows, the newest first: "9, 5, 1"."""
    return ", ".join(map(str, row.nonzero().flatten().flip(0).tolist())) or "nothing"


def says_columns(mistake: Mistake) -> str:
    """For masks that count from position 0 instead of from the query."""
    n, stride = mistake.case.args
    query = int((mistake.got != mistake.want).any(-1).nonzero()[-1])
    marked = ", ".join(map(str, range(0, n, stride)))
    return (
        f"You marked columns {marked}; strided counts back from the query: "
        f"{query} sees {listed(mistake.want[query])}."
    )


def says_future(mistake: Mistake) -> str:
    """For masks that show a later key."""
    query, key = shown(mistake)
    return f"Query {query} sees key {key}, its future."


def says_one_step(mistake: Mistake) -> str:
    """For masks that stop after one stride."""
    query, key = hidden(mistake)
    return f"Query {query} sees {listed(mistake.got[query])}, but not {key}: go on to the beginning."


def says_window(mistake: Mistake) -> str:
    """For masks with the other head's window."""
    return "Query {} sees key {}: the window belongs to another head.".format(*shown(mistake))


STRIDED = Exercise(
    id="patterns.strided",
    title="Every stride-th key, counted back from the query",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=strided,
    cases=strided_cases,
    hints=(
        "Make the table of distances first: query position minus key position, [n, n].",
        "Query 9 with stride 4 sees the keys 9, 5 and 1: the distances 0, 4 and 8. What do those have in "
        "common, and which distances must be shut out?",
        "`(behind >= 0) & (behind % stride == 0)`. In Python and PyTorch -4 % 4 is 0 too, so the first half "
        "is needed.",
    ),
    wrong=(
        Wrong(
            "k % stride",
            says_columns,
            lambda n, stride: causal(n) & (keys(n) % stride == 0),
        ),
        Wrong(
            "k % stride and the own key",
            says_columns,
            by_steps(lambda behind, s: (behind >= 0) & ((keys(len(behind)) % s == 0) | (behind == 0))),
        ),
        Wrong("not causal", says_future, by_steps(lambda behind, s: behind % s == 0)),
        Wrong(
            "own key hidden",
            lambda m: f"{says_own_key(m)[:-1]}, and the distance 0 is a multiple of the stride.",
            by_steps(lambda behind, s: (behind > 0) & (behind % s == 0)),
        ),
        Wrong("one step back", says_one_step, by_steps(lambda behind, s: (behind == 0) | (behind == s))),
        Wrong(
            "window added",
            says_window,
            by_steps(lambda behind, s: (behind >= 0) & ((behind < s) | (behind % s == 0))),
        ),
        Wrong(
            "window and one key more added",
            says_window,
            by_steps(lambda behind, s: (behind >= 0) & ((behind <= s) | (behind % s == 0))),
        ),
        Wrong(
            "two-sided window and columns",
            "This is the mask of the lesson's debug case: its window half sees the future, its column half "
            "does not, and neither is strided.",
            by_steps(lambda behind, s: (behind.abs() <= s) | ((behind >= 0) & (keys(len(behind)) % s == 0))),
        ),
        Wrong(
            "looks ahead",
            lambda m: "Query {} sees key {}, its future, and not its past: turn the comparison round.".format(
                *shown(m)
            ),
            by_steps(lambda behind, s: (behind <= 0) & (behind % s == 0)),
        ),
        Wrong(
            "chunks",
            lambda m: "Query {} sees key {}, which is in its chunk, but not a multiple of {} away.".format(
                *shown(m), m.case.args[1]
            ),
            lambda n, stride: causal(n) & own_chunk(n, stride),
        ),
        Wrong(
            "one step too long",
            lambda m: f"Your steps are {m.case.args[1] + 1} long; the stride is {m.case.args[1]}.",
            lambda n, stride: strided(n, stride + 1),
        ),
    ),
)


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
