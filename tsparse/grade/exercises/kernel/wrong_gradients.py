"""`kernel.wrong_gradients`: the reader writes the test that says which gradient of an attention is wrong.

What is tested computes in the grader's process and gives back plain tensors, so no autograd reaches through
it: it is called with the gradient of its output, and returns the output and the three gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

NAMES = ("out", "dq", "dk", "dv")


class Parts(NamedTuple):
    """What a right attention computes on the way, all in float64."""

    q: Tensor
    k: Tensor
    v: Tensor
    dout: Tensor
    mask: Tensor
    scale: float
    p: Tensor
    delta: Tensor

    @property
    def dp(self) -> Tensor:
        """The gradient of the weights, `[N, M]`."""
        return self.dout @ self.v.T

    @property
    def ds(self) -> Tensor:
        """The gradient of the scores before the scale, `[N, M]`."""
        return self.p * (self.dp - self.delta)


Results = dict[str, Tensor]
Fault = Callable[[Parts, Results], Tensor]


def right(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, mask: Tensor) -> tuple[Parts, Results]:
    """Attention and its gradients by the formulas of lesson 11; a query that sees nothing gets zeros."""
    scale = q.shape[1] ** -0.5
    p = (q @ k.T * scale).masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num(0.0)
    out = p @ v
    x = Parts(q, k, v, dout, mask, scale, p, (out * dout).sum(-1, keepdim=True))
    results = {"out": out, "dq": x.ds @ k * scale, "dk": x.ds.T @ q * scale, "dv": p.T @ dout}
    return x, results


class Suspect:
    """An attention over N queries and M keys that claims to give the right output and the right gradients."""

    def __init__(self, mask: Tensor, part: str = "", fault: Fault | None = None, noise: float = 0.0) -> None:
        """`fault` computes the `part` that is wrong; `noise` is added to everything."""
        self.mask, self.part, self.fault, self.noise = mask, part, fault, noise

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> tuple[Tensor, ...]:
        """Out, dq, dk, dv in float64, without gradients. Raises ValueError if the shapes do not fit."""
        n, m = self.mask.shape
        wanted = {"q": (n, q.shape[-1]), "k": (m, q.shape[-1]), "v": (m, v.shape[-1])}
        wanted["dout"] = (n, v.shape[-1])
        for (name, shape), given in zip(wanted.items(), (q, k, v, dout), strict=True):
            if tuple(given.shape) != shape:
                raise ValueError(f"attention takes {name} of shape {shape}, got {tuple(given.shape)}")
        q, k, v, dout = (given.detach().double() for given in (q, k, v, dout))
        parts, results = right(q, k, v, dout, self.mask)
        if self.fault is not None:
            results[self.part] = self.fault(parts, results)
        return tuple(results[name] + self.noise * torch.sin(1e3 * results[name]) for name in NAMES)

    def __repr__(self) -> str:
        """The same for every suspect: which one it is must be found out."""
        return "attention"


def unmasked(x: Parts) -> Tensor:
    """Weights from the lse of the visible scores, but of hidden pairs too."""
    s = x.q @ x.k.T * x.scale
    lse = s.masked_fill(~x.mask, -torch.inf).logsumexp(-1, keepdim=True)
    return (s - lse).exp().where(x.mask.any(-1, keepdim=True), 0.0)


def without_last_query(x: Parts, weights: Tensor) -> Tensor:
    """The weights of all queries but the last one that sees something."""
    kept = weights.clone()
    kept[int(x.mask.any(-1).nonzero()[-1, 0])] = 0.0
    return kept


def last_rows_exchanged(right: Tensor) -> Tensor:
    """The last two rows change places: sum and norm stay."""
    return torch.cat([right[:-2], right[-2:].flip(0)])


def last_channel_turned(right: Tensor) -> Tensor:
    """The last channel has the other sign: the norm stays."""
    return torch.cat([right[:, :-1], -right[:, -1:]], dim=1)


FAULTS: dict[str, tuple[str, Fault]] = {
    "out is 1% too large": ("out", lambda x, r: 1.01 * r["out"]),
    "out ignores the mask": ("out", lambda x, r: (x.q @ x.k.T * x.scale).softmax(-1) @ x.v),
    "dq without the scale": ("dq", lambda x, r: r["dq"] / x.scale),
    "dq with the sign of its last channel turned": ("dq", lambda x, r: last_channel_turned(r["dq"])),
    "dq without delta": ("dq", lambda x, r: (x.p * x.dp) @ x.k * x.scale),
    "dq from hidden pairs too": ("dq", lambda x, r: unmasked(x) * (x.dp - x.delta) @ x.k * x.scale),
    "dk 2% too small": ("dk", lambda x, r: 0.98 * r["dk"]),
    "dk without the last query": ("dk", lambda x, r: without_last_query(x, x.ds).T @ x.q * x.scale),
    "dk with its last two rows exchanged": ("dk", lambda x, r: last_rows_exchanged(r["dk"])),
    "dk with delta added": ("dk", lambda x, r: (x.p * (x.dp + x.delta)).T @ x.q * x.scale),
    "dv as if dout were 1": ("dv", lambda x, r: x.p.T @ torch.ones_like(x.dout)),
    "dv without the last query": ("dv", lambda x, r: without_last_query(x, x.p).T @ x.dout),
    "dv NaN in one place": (
        "dv",
        lambda x, r: r["dv"].index_put((torch.tensor(0),) * 2, torch.tensor(torch.nan).double()),
    ),
}


def cases(rng: Generator) -> list[Case]:
    """Seventeen attentions: four that are right, thirteen with one fault; the last query sees nothing."""
    n, m = (int(torch.randint(low, low + 3, (), generator=rng)) for low in (6, 9))
    mask = torch.rand(n, m, generator=rng) < 0.6
    mask[:, 0] = True
    mask[0, 1:3] = torch.tensor([True, False])
    empty = mask.clone()
    empty[n // 2] = False
    everything = torch.ones(m, n, dtype=torch.bool)
    order = torch.randperm(len(FAULTS), generator=rng).tolist()
    faulty = [list(FAULTS.items())[place] for place in order]
    return [
        Case("a correct attention", (Suspect(mask), mask)),
        Case("a correct attention, everything visible", (Suspect(everything), everything)),
        *(Case(name, (Suspect(mask, part, fault), mask)) for name, (part, fault) in faulty),
        Case("a correct attention, rounded otherwise", (Suspect(mask, noise=1e-13), mask)),
        Case("a correct attention with a query that sees nothing", (Suspect(empty), empty), edge=True),
    ]


Compare = Callable[[Tensor, Tensor], bool]


def close(got: Tensor, want: Tensor) -> bool:
    """Equal but for rounding; NaN is equal to nothing."""
    return bool(torch.allclose(got, want, rtol=0.0, atol=1e-8))


def compared(
    attention: Callable[..., tuple[Tensor, ...]],
    mask: Tensor,
    compare: Compare = close,
    ones: bool = False,
    names: tuple[str, ...] = NAMES,
    empty: float = 0.0,
) -> set[str]:
    """The parts that do not compare with autograd through dense attention, on inputs drawn here."""
    rng = Generator().manual_seed(0)
    n, m = mask.shape
    q, k, v, dout = (
        torch.randn(rows, size, generator=rng, dtype=torch.float64)
        for rows, size in ((n, 6), (m, 6), (m, 5), (n, 5))
    )
    dout = torch.ones_like(dout) if ones else dout
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    scores = (leaves[0] @ leaves[1].T / q.shape[1] ** 0.5).masked_fill(~mask, -torch.inf)
    seen = mask.any(-1, keepdim=True)
    out = scores.where(seen, 0.0).softmax(-1).where(seen, empty) @ leaves[2]
    gradients = torch.autograd.grad(out, leaves, dout)
    wanted = dict(zip(NAMES, (out.detach(), *gradients), strict=True))
    got = dict(zip(NAMES, attention(q, k, v, dout), strict=True))
    return {name for name in names if not compare(got[name], wanted[name])}


def wrong_gradients(attention: Callable[..., Any], mask: Tensor) -> set[str]:
    """Reference: which of out, dq, dk, dv are wrong under a mask `[N, M]`."""
    return compared(attention, mask)


def passed(reason: str) -> Callable[[Mistake], str]:
    """For tests that let a fault through."""

    def say(mistake: Mistake) -> str:
        missed = sorted(set(mistake.want) - set(mistake.got))
        if not missed:
            raise ValueError("here nothing was let through")
        return f"You passed a wrong {missed[0]} ({mistake.case.name}): {reason}"

    return say


def failed(reason: str) -> Callable[[Mistake], str]:
    """For tests that call right what is wrong."""

    def say(mistake: Mistake) -> str:
        blamed = sorted(set(mistake.got) - set(mistake.want))
        if not blamed:
            raise ValueError("here nothing right was called wrong")
        return f"You called a right {blamed[0]} wrong ({mistake.case.name}): {reason}"

    return say


def finite(got: Tensor, want: Tensor) -> bool:
    """Of the right shape and without NaN."""
    return got.shape == want.shape and bool(got.isfinite().all())


def within(tolerance: float) -> Compare:
    """Equal up to a share of the largest number."""
    return lambda got, want: bool((got - want).abs().max() <= tolerance * want.abs().max())


def largest_difference(got: Tensor, want: Tensor) -> bool:
    """No difference is larger than 1e-8: a NaN is not larger than anything."""
    return not bool(((got - want).abs() > 1e-8).any())


WRONG_GRADIENTS = Exercise(
    id="kernel.wrong_gradients",
    title="Write the test: wrong gradients",
    minutes=20,
    points=20,
    difficulty="hard",
    spec=wrong_gradients,
    cases=cases,
    hints=(
        "You need something to compare with: dense attention in float64 in PyTorch, three lines, and "
        "`torch.autograd.grad(out, (q, k, v), dout)`.",
        "Draw q [N, 6], k [M, 6], v [M, 5] and a random dout [N, 5]; call `attention` on them, and compare "
        "each of the four results with yours, place by place.",
        "`torch.allclose(got, want, rtol=0, atol=1e-8)` is False for NaN too. A query that sees nothing has "
        "output 0 and gradient 0: give its scores 0 before your softmax and its weights 0 after it.",
    ),
    wrong=(
        Wrong(
            "outputs only",
            passed(
                "its output is right. Compare the gradients too, place by place, on random inputs with "
                "several channels."
            ),
            lambda a, mask: compared(a, mask, names=("out",)),
        ),
        Wrong(
            "gradient of ones",
            passed("with a dout of ones it cannot be seen. Draw dout at random."),
            lambda a, mask: compared(a, mask, ones=True),
        ),
        Wrong(
            "finite and of the right shape",
            passed("all its numbers are finite. Compare them with those that autograd gives."),
            lambda a, mask: compared(a, mask, finite),
        ),
        Wrong(
            "tolerance 0.1",
            passed("it is off by a few per cent at most. In float64 1e-8 is enough for rounding."),
            lambda a, mask: compared(a, mask, within(0.1)),
        ),
        Wrong(
            "sums compared",
            passed("its sum does not show it. Compare place by place."),
            lambda a, mask: compared(a, mask, lambda got, want: close(got.sum(), want.sum())),
        ),
        Wrong(
            "dv never looked at",
            passed("you compare dq and dk and never look at dv."),
            lambda a, mask: compared(a, mask, names=("out", "dq", "dk")),
        ),
        Wrong(
            "dk never looked at",
            passed("you compare dq and dv and never look at dk."),
            lambda a, mask: compared(a, mask, names=("out", "dq", "dv")),
        ),
        Wrong(
            "output never looked at",
            passed("its gradients are right. Compare the output too."),
            lambda a, mask: compared(a, mask, names=("dq", "dk", "dv")),
        ),
        Wrong(
            "no tolerance",
            failed(
                "yours is another. If in the last digits, that is rounding: allow 1e-8. If by more, look at "
                "what you compare with: dense attention of your own, with the scale 1/√D."
            ),
            lambda a, mask: compared(a, mask, torch.equal),
        ),
        Wrong(
            "NaN let through",
            passed("it holds NaN, and NaN is never larger than a tolerance. Ask for what is right."),
            lambda a, mask: compared(a, mask, largest_difference),
        ),
        Wrong(
            "mask ignored",
            failed("your own attention lets every query see every key. Use the mask."),
            lambda a, mask: compared(a, torch.ones_like(mask)),
        ),
        Wrong(
            "an empty row sees everything",
            failed(
                "a query that sees nothing gets output 0 and no gradient; yours gets an average of all "
                "values, or NaN."
            ),
            lambda a, mask: compared(a, mask, empty=1 / mask.shape[1]),
        ),
    ),
)
