"""`patterns.reach`: what was at one token, where can it be after some layers?"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.positions import sliding_window
from tsparse.grade.exercises.masks.table import distance, hidden, integer, shown


def reach(mask: Tensor, layers: int) -> Tensor:
    """Reference: bool [n, n], row q says whose content can be at q after `layers`; a token keeps its own."""
    step = mask | own(mask)
    reached = own(mask)
    for _ in range(layers):
        reached = joined(step, reached)
    return reached


def own(mask: Tensor) -> Tensor:
    """Bool [n, n]: every token and itself."""
    return torch.eye(len(mask), dtype=torch.bool)


def joined(second: Tensor, first: Tensor) -> Tensor:
    """Bool [n, n]: q sees some j in the `second` step, and j saw k in the `first`."""
    return second.double() @ first.double() > 0


def repeated(mask: Tensor, layers: int) -> Tensor:
    """Bool [n, n]: paths of exactly `layers` steps of the mask."""
    reached = own(mask)
    for _ in range(layers):
        reached = joined(mask, reached)
    return reached


def counted(mask: Tensor, layers: int) -> Tensor:
    """Paths counted in int64, which wraps: 0 may mean 2^64 of them."""
    return torch.linalg.matrix_power((mask | own(mask)).long(), layers) > 0 if layers else own(mask)


def counted_in_floats(mask: Tensor, layers: int) -> Tensor:
    """Paths counted in float64, which becomes inf, and inf times 0 is NaN."""
    paths, step = own(mask).double(), (mask | own(mask)).double()
    for _ in range(layers):
        paths = step @ paths
    return paths > 0


def cases(rng: Generator) -> list[Case]:
    """A window, drawn masks with and without own keys, then nothing to see, no layer, too many paths."""
    n = integer(rng, 10, 12)
    jumps = torch.zeros(n, n, dtype=torch.bool).scatter(1, torch.randint(n, (n, 1), generator=rng), True)
    ring = distance(7, 7) % 7 == 1
    empty = sliding_window(6, 6, 2)
    empty[3] = False
    documents = torch.block_diag(*2 * [torch.ones(4, 4)]).bool() & (distance(8, 8) != 0)
    return [
        Case("8 tokens, a window of 2, 2 layers", (sliding_window(8, 8, 2), 2)),
        Case("one layer", (sliding_window(7, 7, 3), 1)),
        Case("everybody sees one other token, 3 layers", (ring, 3)),
        Case("neighbours on both sides, 3 layers", (distance(9, 9).abs() <= 1, 3)),
        Case("drawn jumps and a window of 2, 2 layers", (jumps | sliding_window(n, n, 2), 2)),
        Case("no layer", (sliding_window(5, 5, 2), 0), edge=True),
        Case("a token that sees nothing", (empty, 2), edge=True),
        Case("one token that may not see itself", (torch.zeros(1, 1, dtype=torch.bool), 2), edge=True),
        Case(
            "32 tokens that all see each other, 14 layers",
            (torch.ones(32, 32, dtype=torch.bool), 14),
            edge=True,
        ),
        Case("24 tokens, a window of 2, 23 layers", (sliding_window(24, 24, 2), 23), edge=True),
        Case("two documents, own keys hidden, 600 layers", (documents, 600), edge=True),
        Case("a mask that is a transposed view", (sliding_window(6, 6, 2).T, 2), edge=True),
    ]


def says_counted(mistake: Mistake) -> str:
    """For paths that are counted until the number does not fit."""
    mask, layers = mistake.case.args
    each = int((mask | own(mask)).sum(1)[0])
    return (
        f"You count paths: here there are {each}^{layers - 1} from one token to another, more than the "
        "numbers hold. Ask after every layer whether there is one, not how many."
    )


def says_residual(mistake: Mistake) -> str:
    """For masks to the power of the layers, without the token itself."""
    query, key = hidden(mistake)
    if query == key:
        return f"Token {query} forgets itself; the residual keeps it."
    return (
        f"Token {key} reaches token {query} in fewer layers than {mistake.case.args[1]}, and the residual "
        "keeps it there; yours has lost it again."
    )


def says_transposed(mistake: Mistake) -> str:
    """For the transposed table."""
    query, key = shown(mistake)
    return f"You return whom a token reaches; row {query} should say who reaches {query}, and {key} does not."


def says_few(mistake: Mistake) -> str:
    """For one layer less."""
    query, key = hidden(mistake)
    layers = mistake.case.args[1]
    if layers == 1:
        return "With one layer you return the identity."
    return f"After {layers} layers token {query} should hear of token {key}; you stop one layer too early."


def says_many(mistake: Mistake) -> str:
    """For one layer more."""
    query, key = shown(mistake)
    layers = mistake.case.args[1]
    after = f"After {layers} layer{'s' * (layers != 1)}"
    return f"{after} you reach what takes {layers + 1}: token {key} at {query}."


REACH = Exercise(
    id="patterns.reach",
    title="How far a mask reaches after some layers",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=reach,
    cases=cases,
    hints=(
        "Before the first layer every token holds only its own: the identity table. One layer makes a new "
        "table from the old one. Which tokens can be at q after it?",
        "Those that were at q before (the residual) and those that were at some j which q sees. The second "
        "is a matrix product of the mask and the old table, if you ask only whether it is above 0.",
        "`step = mask | torch.eye(n, dtype=torch.bool)`, then, once for each layer, "
        "`reached = (step.double() @ reached.double()) > 0`. The `> 0` inside the loop keeps the numbers "
        "small.",
    ),
    wrong=(
        Wrong("paths counted", says_counted, counted),
        Wrong("paths counted in floats", says_counted, counted_in_floats),
        Wrong("no residual", says_residual, repeated),
        Wrong(
            "residual only at the end",
            says_residual,
            lambda mask, layers: repeated(mask, layers) | own(mask),
        ),
        Wrong("transposed", says_transposed, lambda mask, layers: reach(mask, layers).T),
        Wrong(
            "both directions",
            lambda m: (
                "Token {1} reaches {0} only if each step is in the mask as it stands; you also go "
                "against it.".format(*shown(m))
            ),
            lambda mask, layers: reach(mask | mask.T, layers),
        ),
        Wrong("one layer too few", says_few, lambda mask, layers: reach(mask, max(layers - 1, 0))),
        Wrong("one layer too many", says_many, lambda mask, layers: reach(mask, layers + 1)),
        Wrong(
            "the mask itself",
            "The mask is what one layer reaches.",
            lambda mask, layers: mask.clone(),
        ),
        Wrong(
            "the mask and the own token",
            "The mask is what one layer reaches.",
            lambda mask, layers: mask | own(mask),
        ),
        Wrong(
            "after any number of layers",
            lambda m: (
                "You go on until nothing new is reached; {1} is not yet at {0} after {2} layer{3}.".format(
                    *shown(m), m.case.args[1], "s" * (m.case.args[1] != 1)
                )
            ),
            lambda mask, layers: reach(mask, len(mask)),
        ),
    ),
)
