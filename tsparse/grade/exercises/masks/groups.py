"""`masks.padding` and `masks.documents`: masks made of what a token belongs to, not of where it stands."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, hidden, keys, says_own_key, shown


def padding(lengths: Tensor, n_kv: int) -> Tensor:
    """Reference: bool [B, 1, 1, n_kv], True for the first lengths[b] keys of text b."""
    return (keys(n_kv) < lengths[:, None])[:, None, None, :]


def documents(ids: Tensor) -> Tensor:
    """Reference: bool [N, N], True where query and key carry the same document id."""
    return ids[:, None] == ids


def padding_cases(rng: Generator) -> list[Case]:
    """Several texts, as many texts as keys, then lengths 0 and full."""
    lengths = torch.randint(1, 9, (5,), generator=rng)
    lengths[:2] = torch.tensor([2, 6])
    every_second = lengths.repeat_interleave(2)[::2]
    return [
        Case("3 texts of 3, 5 and 2 tokens, 7 keys", (torch.tensor([3, 5, 2]), 7)),
        Case("5 texts, 9 keys", (lengths, 9)),
        Case("as many texts as keys", (torch.tensor([2, 1, 4, 3]), 4)),
        Case("one text", (torch.tensor([4]), 6)),
        Case("a text without tokens", (torch.tensor([2, 0, 3]), 5), edge=True),
        Case("all texts are full", (torch.tensor([6, 6]), 6), edge=True),
        Case("one key", (torch.tensor([1, 1, 1]), 1), edge=True),
        Case("lengths are every second entry of another tensor", (every_second, 8), edge=True),
    ]


def documents_cases(rng: Generator) -> list[Case]:
    """Documents one after another, one that comes back, shuffled ids, then unusual ids."""
    lengths = torch.randint(2, 5, (3,), generator=rng)
    mixed = torch.cat([torch.arange(4), torch.randint(0, 4, (7,), generator=rng)])
    return [
        Case("ids 0 0 1 1 1", (torch.tensor([0, 0, 1, 1, 1]),)),
        Case("three documents one after another", (torch.arange(3).repeat_interleave(lengths),)),
        Case("document 5 comes back", (torch.tensor([5, 5, 2, 2, 2, 5, 7]),)),
        Case("ids in any order", (mixed[torch.randperm(11, generator=rng)],)),
        Case("one document", (torch.full((6,), 3),), edge=True),
        Case("every token its own document", (torch.tensor([4, 2, 9, 1]),), edge=True),
        Case("one token", (torch.tensor([0]),), edge=True),
        Case("ids 7, -7, -1 and 1000", (torch.tensor([7, -1, 1000, -1, -7, 7, 1000]),), edge=True),
        Case("ids are every second entry of another tensor", (mixed.repeat_interleave(2)[::2],), edge=True),
    ]


def first_wrong(mistake: Mistake) -> tuple[int, int]:
    """The first text whose padding mask is wrong, and its length."""
    text = int((mistake.got != mistake.want).flatten(1).any(1).nonzero()[0])
    return text, int(mistake.case.args[0][text])


def says_too_many(mistake: Mistake) -> str:
    """For masks that show the first token of padding."""
    text, length = first_wrong(mistake)
    tokens = f"tokens {', '.join(map(str, range(length)))}" if length else "no token"
    return f"Length {length} means {tokens}; you also show token {length} (text {text})."


def says_too_few(mistake: Mistake) -> str:
    """For masks that hide the last token."""
    text, length = first_wrong(mistake)
    return f"Length {length} means {length} tokens; you show {length - 1} (text {text})."


def says_axes(mistake: Mistake) -> str:
    """For masks that lack the axes of heads and queries."""
    return (
        f"Shape {list(mistake.got.shape)} does not line up with scores [B, H, N, M]; give it as [B, 1, 1, "
        f"n_kv], here {list(mistake.want.shape)}."
    )


PADDING = Exercise(
    id="masks.padding",
    title="A padding mask",
    minutes=6,
    points=10,
    difficulty="easy",
    spec=padding,
    cases=padding_cases,
    hints=(
        "Text b has lengths[b] real tokens, at places 0 to lengths[b] - 1. Which comparison says that "
        "place j is one of them?",
        "The places are a row, `torch.arange(n_kv)`, and the lengths a column, `lengths[:, None]`. One "
        "comparison of the two is a table [B, n_kv].",
        "Scores have the shape [B, H, N, M]. Put two axes of size 1 between the batch and the keys: "
        "`table[:, None, None, :]`.",
    ),
    wrong=(
        Wrong(
            "inverted",
            "Padding is visible and the words are hidden.",
            lambda lengths, n_kv: ~padding(lengths, n_kv),
        ),
        Wrong("one too many", says_too_many, lambda lengths, n_kv: padding(lengths + 1, n_kv)),
        Wrong("one too few", says_too_few, lambda lengths, n_kv: padding(lengths - 1, n_kv)),
        Wrong(
            "length 0 taken for full",
            lambda m: f"Length 0 means no token at all; you show all of text {first_wrong(m)[0]}.",
            lambda lengths, n_kv: padding(lengths.masked_fill(lengths == 0, n_kv), n_kv),
        ),
        Wrong(
            "on the left",
            "You hide the first tokens; padding stands at the end.",
            lambda lengths, n_kv: padding(lengths, n_kv).flip(-1),
        ),
        Wrong(
            "counted from the end",
            lambda m: f"Text {first_wrong(m)[0]} is full, and you hide all of it: `-0:` begins at its start.",
            lambda lengths, n_kv: padding(lengths.masked_fill(lengths == n_kv, 0), n_kv),
        ),
        Wrong("[B, n]", says_axes, lambda lengths, n_kv: padding(lengths, n_kv)[:, 0, 0]),
        Wrong("[B, 1, n]", says_axes, lambda lengths, n_kv: padding(lengths, n_kv)[:, 0]),
        Wrong(
            "on the query axis",
            "This hides queries: in the scores [B, H, N, M] the keys are the last axis.",
            lambda lengths, n_kv: padding(lengths, n_kv).mT,
        ),
        Wrong(
            "square",
            "You also hide the *queries* of padding, so their rows are empty; hide keys only.",
            lambda lengths, n_kv: padding(lengths, n_kv) & padding(lengths, n_kv).mT,
        ),
        Wrong(
            "a row for every query",
            lambda m: (
                f"All {m.got.shape[-2]} rows of your mask are the same: one is enough, [B, 1, 1, n_kv]."
            ),
            lambda lengths, n_kv: padding(lengths, n_kv).repeat(1, 1, n_kv, 1),
        ),
        Wrong(
            "as long as the longest text",
            lambda m: (
                f"Your mask ends with the longest text, after {m.got.shape[-1]} keys; there are "
                f"n_kv = {m.want.shape[-1]}."
            ),
            lambda lengths, n_kv: padding(lengths, int(lengths.max())),
        ),
    ),
)


def runs(ids: Tensor) -> Tensor:
    """Number of the run of equal ids that each token lies in, [N]."""
    changes = (ids[1:] != ids[:-1]).long()
    return torch.cat([torch.zeros(1, dtype=torch.long), changes]).cumsum(0)


def says_other_document(mistake: Mistake) -> str:
    """For masks that show another document."""
    query, key = shown(mistake)
    ids = mistake.case.args[0]
    return (
        f"Document {ids[query]} sees document {ids[key]} (query {query}, key {key}): the ids must be equal."
    )


def says_run(mistake: Mistake) -> str:
    """For masks that start a new document where an id comes back."""
    place, later = hidden(mistake)
    number = mistake.case.args[0][place]
    return f"Id {number} comes back at place {later}: it is the same document as at place {place}."


DOCUMENTS = Exercise(
    id="masks.documents",
    title="Several documents in one sequence",
    minutes=6,
    points=10,
    difficulty="easy",
    spec=documents,
    cases=documents_cases,
    hints=(
        "Query i may see key j if ids[i] and ids[j] are the same number. Nothing else counts: not the "
        "order, not the distance.",
        "Compare the ids as a column, [N, 1], with the ids as a row, [N].",
        "`ids[:, None]` is the column. Whether two numbers are equal is one comparison: there is nothing to "
        "sort and nothing to count.",
    ),
    wrong=(
        Wrong("earlier documents too", says_other_document, lambda ids: ids[:, None] >= ids),
        Wrong("later documents too", says_other_document, lambda ids: ids[:, None] <= ids),
        Wrong(
            "everything",
            "Every token sees every other one: nothing separates your documents.",
            lambda ids: torch.ones(len(ids), len(ids), dtype=torch.bool),
        ),
        Wrong(
            "causal built in",
            lambda m: (
                "Query {} should see key {} of its own document; causality is added with `&` where it is "
                "wanted.".format(*hidden(m))
            ),
            lambda ids: documents(ids).tril(),
        ),
        Wrong("a new run is a new document", says_run, lambda ids: documents(runs(ids))),
        Wrong(
            "id 0 taken for padding",
            "Document 0 is a document like any other.",
            lambda ids: documents(ids) & (ids != 0),
        ),
        Wrong(
            "negative ids taken for padding",
            "An id of -1 is an id like any other: equal ids are one document.",
            lambda ids: documents(ids) & (ids >= 0),
        ),
        Wrong(
            "sign dropped",
            "Ids 7 and -7 are two documents: an id is compared as it is, with its sign.",
            lambda ids: documents(ids.abs()),
        ),
        Wrong("inverted", "Each token sees every document but its own.", lambda ids: ~documents(ids)),
        Wrong(
            "own key hidden",
            says_own_key,
            lambda ids: documents(ids) & (distance(len(ids), len(ids)) != 0),
        ),
        Wrong(
            "neighbours only",
            lambda m: (
                "Tokens of one document see each other at any distance: query {} should see key {}.".format(
                    *hidden(m)
                )
            ),
            lambda ids: documents(ids) & (distance(len(ids), len(ids)).abs() <= 1),
        ),
    ),
)
