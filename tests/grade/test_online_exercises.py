"""The exercises of lesson 12 against answers that are not in their lists: right pass, wrong fail."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.grade.toys import judged, light
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.online import attention
from tsparse.grade.exercises.online import streaming as in_chunks
from tsparse.grade.exercises.online.attention import tiled
from tsparse.grade.exercises.online.merge import merge
from tsparse.grade.exercises.online.sink import with_sink
from tsparse.grade.exercises.online.streaming import streaming

INF = math.inf


def streaming_with_floats(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    m, total, like = -INF, 0.0, torch.tensor(0.0)
    for chunk in chunks:
        like = chunk
        for x in chunk.tolist() if len(chunk) < 100 else [float(chunk.logsumexp(0))]:
            if x > m:
                m, total = x, total * math.exp(m - x) + 1
            elif x > -INF:
                total += math.exp(x - m)
    wide = len(like) >= 100  # there one number stood for its chunk; its maximum was its only value
    return like.new_tensor(m - math.log(len(like)) * wide), like.new_tensor(
        total * (len(like) if wide else 1)
    )


def streaming_by_lse(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    m = lse = torch.tensor(-INF)
    for chunk in chunks:
        if chunk.numel():
            m, lse = torch.maximum(m, chunk.amax()), torch.logaddexp(lse, chunk.logsumexp(0))
    return m, (lse - m).exp()


def merge_by_sums(out1: Tensor, lse1: Tensor, out2: Tensor, lse2: Tensor) -> tuple[Tensor, Tensor]:
    top = torch.maximum(lse1, lse2).clamp(min=torch.finfo(lse1.dtype).min)
    a, b = (lse1 - top).exp(), (lse2 - top).exp()
    total = a + b
    out = (a.unsqueeze(1) * out1 + b.unsqueeze(1) * out2) / total.where(total > 0, 1.0).unsqueeze(1)
    return out, torch.where(total > 0, top + total.log(), -INF)


def merge_by_sigmoid(out1: Tensor, lse1: Tensor, out2: Tensor, lse2: Tensor) -> tuple[Tensor, Tensor]:
    share = torch.sigmoid(lse1 - lse2)
    share = torch.where(share.isnan(), 0.0, share)[:, None]
    return share * out1 + (1 - share) * out2, torch.stack([lse1, lse2]).logsumexp(0)


def tiled_by_merging(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    rows = []
    for q_i in q.split(block_q):
        out, lse = q.new_zeros(len(q_i), v.shape[1]), q.new_full((len(q_i),), -INF)
        for k_j, v_j in zip(k.split(block_k), v.split(block_k), strict=True):
            s = q_i @ k_j.T * q.shape[1] ** -0.5
            out, lse = merge(out, lse, torch.softmax(s, 1) @ v_j, s.logsumexp(1))
        rows.append(out)
    return torch.cat(rows)


def tiled_filled_up(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    out = torch.empty_like(q[:, :1] * v[:1])
    for i in range(0, q.size(0), block_q):
        m = torch.full((block_q, 1), -INF, dtype=q.dtype)
        total, acc = torch.zeros_like(m), torch.zeros(block_q, v.size(1), dtype=q.dtype)
        q_i = F.pad(q[i : i + block_q], (0, 0, 0, max(0, i + block_q - q.size(0)))) / math.sqrt(q.size(1))
        for j in range(0, k.size(0), block_k):
            more = (0, 0, 0, max(0, j + block_k - k.size(0)))
            s = q_i @ F.pad(k[j : j + block_k], more).mT
            s[:, k.size(0) - j :] = -INF
            larger = torch.maximum(m, s.max(dim=1, keepdim=True).values)
            p, shrink = (s - larger).exp(), (m - larger).exp()
            total, acc, m = (
                total * shrink + p.sum(1, True),
                acc * shrink + p @ F.pad(v[j : j + block_k], more),
                larger,
            )
        out[i : i + block_q] = (acc / total)[: q.size(0) - i]
    return out


def with_sink_by_sigmoid(out: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    gap = lse - sink.view(1, -1, 1)
    return out * torch.sigmoid(gap).unsqueeze(-1), sink.view(1, -1, 1) - F.logsigmoid(-gap)


def with_sink_merged(out: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    flat = sink[None, :, None].expand_as(lse).reshape(-1)
    both = merge(out.flatten(0, 2), lse.reshape(-1), torch.zeros_like(out).flatten(0, 2), flat)
    return both[0].view(out.shape), both[1].view(lse.shape)


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "streaming_softmax": [streaming_with_floats, streaming_by_lse],
    "merge": [merge_by_sums, merge_by_sigmoid],
    "attention": [tiled_by_merging, tiled_filled_up],
    "sink": [with_sink_by_sigmoid, with_sink_merged],
}


def over(change: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    return lambda chunks: streaming(change(chunk) for chunk in chunks)


WRONG: dict[str, dict[str, Callable[..., Any]]] = {
    "streaming_softmax": {
        "zero for the first maximum": lambda chunks: streaming([torch.zeros(1), *chunks]),
        "first number of each chunk": over(lambda chunk: chunk[:1]),
        "absolute values": over(lambda chunk: chunk.abs().nan_to_num(posinf=0.0)),
        "sum without exp": lambda chunks: (c := torch.cat(list(chunks)), (c.max(), c.sum()))[1],
        "minimum": lambda chunks: tuple(-x for x in streaming(-chunk for chunk in chunks)),
        "pair turned round": lambda chunks: streaming(chunks)[::-1],
        "list in place of a tuple": lambda chunks: list(streaming(chunks)),
        "number of scores": lambda chunks: (c := torch.cat(list(chunks)), (c.max(), torch.tensor(len(c))))[1],
        "mean": lambda chunks: (c := torch.cat(list(chunks)), (c.max(), (c - c.max()).exp().mean()))[1],
        "read twice": lambda chunks: (max(c.max() for c in chunks), sum(c.exp().sum() for c in chunks)),
        "base two": lambda chunks: (c := torch.cat(list(chunks)), (c.max(), (c - c.max()).exp2().sum()))[1],
        "starts at -1e10": lambda chunks: in_chunks.walk(chunks, lowest=-1e10),
        "starts at -50,000": lambda chunks: in_chunks.walk(chunks, lowest=-50_000),
        "-1e9 for hidden": over(lambda chunk: chunk.clamp(min=-900)),
    },
    "merge": {
        "first half only": lambda out1, lse1, out2, lse2: (out1.clone(), torch.logaddexp(lse1, lse2)),
        "winner takes all": lambda out1, lse1, out2, lse2: (
            torch.where((lse1 > lse2)[:, None], out1, out2),
            torch.logaddexp(lse1, lse2),
        ),
        "base two": lambda out1, lse1, out2, lse2: (
            merge(out1, lse1, out2, lse2)[0],
            torch.logaddexp2(lse1, lse2),
        ),
        "softmax over queries": lambda out1, lse1, out2, lse2: (
            torch.softmax(lse1, 0)[:, None] * out1 + torch.softmax(lse2, 0)[:, None] * out2,
            torch.logaddexp(lse1, lse2),
        ),
        "squared shares": lambda out1, lse1, out2, lse2: (
            merge(out1, 2 * lse1, out2, 2 * lse2)[0],
            torch.logaddexp(lse1, lse2),
        ),
        "not divided": lambda out1, lse1, out2, lse2: (
            lse1.exp()[:, None] * out1 + lse2.exp()[:, None] * out2,
            torch.logaddexp(lse1, lse2),
        ),
        "lse averaged": lambda out1, lse1, out2, lse2: (merge(out1, lse1, out2, lse2)[0], (lse1 + lse2) / 2),
        "eps below": lambda out1, lse1, out2, lse2: (
            (a := (lse1 - lse2).exp(), (a[:, None] * out1 + out2) / (a + 1 + 1e-6)[:, None])[1],
            torch.logaddexp(lse1, lse2),
        ),
        "-1e10 for empty": lambda out1, lse1, out2, lse2: merge(
            out1, lse1.clamp(min=-1e10), out2, lse2.clamp(min=-1e10)
        ),
        "empty lse 0": lambda out1, lse1, out2, lse2: tuple(
            x.nan_to_num(neginf=0.0) for x in merge(out1, lse1, out2, lse2)
        ),
        "one number": lambda out1, lse1, out2, lse2: merge(out1, lse1, out2, lse2)[0],
    },
    "attention": {
        "softmax over queries": lambda q, k, v, bq, bk: torch.softmax(q @ k.T / q.shape[1] ** 0.5, 0) @ v,
        "first block of queries only": lambda q, k, v, bq, bk: tiled(q[:bq], k, v, bq, bk).repeat(
            -(-len(q) // bq), 1
        )[: len(q)],
        "last tile only": lambda q, k, v, bq, bk: tiled(q, k[-bk:], v[-bk:], bq, bk),
        "diagonal tiles": lambda q, k, v, bq, bk: torch.cat(
            [
                tiled(a, k[i * bk : (i + 1) * bk], v[i * bk : (i + 1) * bk], bq, bk)
                for i, a in enumerate(q.split(bq))
            ]
        ),
        "scaled by the length": lambda q, k, v, bq, bk: tiled(q * (q.shape[1] / len(k)) ** 0.5, k, v, bq, bk),
        "scaled twice": lambda q, k, v, bq, bk: tiled(q / q.shape[1] ** 0.5, k, v, bq, bk),
        "causal": lambda q, k, v, bq, bk: torch.stack(
            [tiled(q[i : i + 1], k[: i + 1], v[: i + 1], bq, bk)[0] for i in range(len(q))]
        ),
        "float32 sums": lambda q, k, v, bq, bk: tiled(q.float(), k.float(), v.float(), bq, bk).to(q.dtype),
        "plain average": lambda q, k, v, bq, bk: v.mean(0).expand(len(q), -1).clone(),
        "PyTorch's own": lambda q, k, v, bq, bk: F.scaled_dot_product_attention(q[None], k[None], v[None])[0],
        "starts at -1e10": lambda q, k, v, bq, bk: attention.walk(q, k, v, bq, bk, lowest=-1e10),
        "starts at -50,000": lambda q, k, v, bq, bk: attention.walk(q, k, v, bq, bk, lowest=-50_000),
        "exp without maximum": lambda q, k, v, bq, bk: torch.cat(
            [(e := (a @ k.T / q.shape[1] ** 0.5).exp()) @ v / e.sum(1, True) for a in q.split(bq)]
        ),
    },
    "sink": {
        "a second sink": lambda out, lse, sink: with_sink(*with_sink(out, lse, sink), sink),
        "sink for each query": lambda out, lse, sink: with_sink(
            out, lse, sink.mean()[None].expand(len(sink))
        ),
        "output not changed": lambda out, lse, sink: (out.clone(), torch.logaddexp(lse, sink[:, None])),
        "heads reversed": lambda out, lse, sink: with_sink(out, lse, sink.flip(0)),
        "base two": lambda out, lse, sink: (
            out * torch.exp2(lse - torch.logaddexp2(lse, sink[:, None]))[..., None],
            torch.logaddexp2(lse, sink[:, None]),
        ),
        "output only": lambda out, lse, sink: with_sink(out, lse, sink)[0],
        "averaged over queries": lambda out, lse, sink: (
            out * with_sink(out, lse.mean(-1, keepdim=True), sink)[1][..., None].sigmoid(),
            torch.logaddexp(lse, sink[:, None]),
        ),
        "a bound on lse": lambda out, lse, sink: (
            out * (lse - torch.maximum(lse, sink[:, None])).exp()[..., None],
            torch.maximum(lse, sink[:, None]),
        ),
        "one in the denominator": lambda out, lse, sink: with_sink(out, lse, torch.zeros_like(sink)),
        "shape of lse": lambda out, lse, sink: (
            with_sink(out, lse, sink)[0],
            with_sink(out, lse, sink)[1][..., None],
        ),
    },
}


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Any]) -> None:
    for seed in range(3):
        one = exercise(f"online.{id}")
        verdict = judged(light(one) if seed else one, answer, seed=seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, wrongs in WRONG.items() for what in wrongs])
def test_wrong_answer_that_is_not_listed_fails(id: str, what: str) -> None:
    for seed in range(3):
        assert judged(exercise(f"online.{id}"), WRONG[id][what], seed=seed).status == "FAIL"


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    def row(*numbers: float) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)

    for chunks, m, total in (
        (((1, 0), (3, 1), (0, 2)), 3, 1.738),
        (((0, 0), (-INF, -INF)), 0, 2),
        (((-INF, -INF), (5,)), 5, 1),
    ):
        got = streaming(row(*chunk) for chunk in chunks)
        assert got[0] == m
        assert float(got[1]) == pytest.approx(total, abs=5e-4)
    three = math.log(3)
    for one, lse1, two, lse2, out, lse in (
        (10, 0, 20, three, 17.5, math.log(4)),
        (10, 0, 0, -INF, 10, 0),
        (0, -INF, 0, -INF, 0, -INF),
    ):
        both = merge(row(one)[:, None], row(lse1), row(two)[:, None], row(lse2))
        assert [float(x) for x in both] == pytest.approx([out, lse])
    for out, lse, sink, left, new in (
        (8, 2, 2, 4, 2 + math.log(2)),
        (8, 0, three, 2, math.log(4)),
        (0, -INF, 1, 0, 1),
    ):
        got = with_sink(row(out)[None, None, :, None], row(lse)[None, None], row(sink))
        assert [float(x) for x in got] == pytest.approx([left, new])
