"""Right and wrong answers to the exercises of lesson 05, others than the exercises' own."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.grade.answers import Answers
from tsparse.grade.exercises.transformer.parts import layer_norm, multi_head

ANSWERS = Answers()
RIGHT, WRONG = ANSWERS.rights, ANSWERS.wrongs
right, wrong = ANSWERS.right, ANSWERS.wrong
ENCODER, DECODER, GREEDY = (
    f"transformer.{name}" for name in ("encoder_layer", "decoder_layer", "greedy_decode")
)


def linear(x, weights, name):
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def forward(x, weights):
    return linear(F.gelu(linear(x, weights, "linear1")), weights, "linear2")


def keys(padding):
    return None if padding is None else padding[:, None, None]


def first_half(x, weights, heads, padding=None):
    h = layer_norm(x, weights, "norm1")
    return x + multi_head(h, h, weights, "self_attn", heads, keys(padding))


@right(ENCODER)
def with_linear(x, weights, heads, padding=None):
    x = first_half(x, weights, heads, padding)
    return x + forward(layer_norm(x, weights, "norm2"), weights)


@right(ENCODER)
def by_hand(x, weights, heads, padding=None):
    def norm(x, name):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    batch, n, width = x.shape
    h = norm(x, "norm1")
    qkv = h @ weights["self_attn.in_proj_weight"].T + weights["self_attn.in_proj_bias"]
    q, k, v = qkv.view(batch, n, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(width // heads)
    if padding is not None:
        scores = torch.where(padding[:, None, None], scores, -math.inf)
    out = torch.einsum("bhij,bhjd->bihd", torch.softmax(scores, -1), v).reshape(batch, n, width)
    x = x + out @ weights["self_attn.out_proj.weight"].T + weights["self_attn.out_proj.bias"]
    h = norm(x, "norm2") @ weights["linear1.weight"].T + weights["linear1.bias"]
    h = h * (1 + torch.erf(h / math.sqrt(2))) / 2
    return x + h @ weights["linear2.weight"].T + weights["linear2.bias"]


@right(ENCODER)
def text_by_text(x, weights, heads, padding=None):
    rows = []
    for b in range(len(x)):
        one = x[b : b + 1]
        real = None if padding is None else padding[b].expand(x.shape[1], x.shape[1])
        h = layer_norm(one, weights, "norm1")
        one = one + multi_head(h, h, weights, "self_attn", heads, real)
        rows.append(one + forward(layer_norm(one, weights, "norm2"), weights))
    return torch.cat(rows)


@wrong(ENCODER)
def residual_twice(x, weights, heads, padding=None):
    x = first_half(x, weights, heads, padding)
    return x + x + forward(layer_norm(x, weights, "norm2"), weights)


@wrong(ENCODER)
def residual_of_the_input(x, weights, heads, padding=None):
    y = first_half(x, weights, heads, padding)
    return x + forward(layer_norm(y, weights, "norm2"), weights)


@wrong(ENCODER, "input changed")
def in_place(x, weights, heads, padding=None):
    h = layer_norm(x, weights, "norm1")
    x += multi_head(h, h, weights, "self_attn", heads, keys(padding))
    return x + forward(layer_norm(x, weights, "norm2"), weights)


@wrong(ENCODER, "fillers set to 0")
def fillers_are_zero(x, weights, heads, padding=None):
    out = with_linear(x, weights, heads, padding)
    return out if padding is None else out * padding[..., None]


@wrong(ENCODER, "raised")
def matrix_not_transposed(x, weights, heads, padding=None):
    x = first_half(x, weights, heads, padding)
    h = F.gelu(layer_norm(x, weights, "norm2") @ weights["linear1.weight"] + weights["linear1.bias"])
    return x + h @ weights["linear2.weight"] + weights["linear2.bias"]


@wrong(ENCODER)
def gelu_at_the_end(x, weights, heads, padding=None):
    x = first_half(x, weights, heads, padding)
    return x + F.gelu(forward(layer_norm(x, weights, "norm2"), weights))


@wrong(ENCODER)
def silu(x, weights, heads, padding=None):
    x = first_half(x, weights, heads, padding)
    h = F.silu(linear(layer_norm(x, weights, "norm2"), weights, "linear1"))
    return x + linear(h, weights, "linear2")


@wrong(ENCODER)
def one_head(x, weights, heads, padding=None):
    return with_linear(x, weights, 1, padding)


@wrong(ENCODER)
def norm_without_its_weights(x, weights, heads, padding=None):
    h = F.layer_norm(x, x.shape[-1:])
    x = x + multi_head(h, h, weights, "self_attn", heads, keys(padding))
    return x + forward(F.layer_norm(x, x.shape[-1:]), weights)


@wrong(ENCODER)
def last_norm_too(x, weights, heads, padding=None):
    return layer_norm(with_linear(x, weights, heads, padding), weights, "norm2")


@wrong(ENCODER, "padding as it is")
def padding_without_axes(x, weights, heads, padding=None):
    h = layer_norm(x, weights, "norm1")
    x = x + multi_head(h, h, weights, "self_attn", heads, padding)
    return x + forward(layer_norm(x, weights, "norm2"), weights)


@wrong(ENCODER, "forbidden call")
def the_module(x, weights, heads, padding=None):
    wide, width = weights["linear1.weight"].shape
    layer = nn.TransformerEncoderLayer(
        width, heads, wide, 0.0, "gelu", batch_first=True, norm_first=True, dtype=x.dtype
    )
    layer.load_state_dict(weights)
    with torch.no_grad():
        return layer.eval()(x, src_key_padding_mask=None if padding is None else ~padding)


def look_back(y, weights, heads):
    h = layer_norm(y, weights, "norm1")
    mask = torch.ones(y.shape[1], y.shape[1]).tril().bool()
    return multi_head(h, h, weights, "self_attn", heads, mask)


def look_across(y, memory, weights, heads, padding):
    return multi_head(
        layer_norm(y, weights, "norm2"), memory, weights, "multihead_attn", heads, keys(padding)
    )


@right(DECODER)
def three_lines(y, memory, weights, heads, memory_padding=None):
    y = y + look_back(y, weights, heads)
    y = y + look_across(y, memory, weights, heads, memory_padding)
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@right(DECODER)
def mask_of_all_true(y, memory, weights, heads, memory_padding=None):
    if memory_padding is None:
        memory_padding = torch.ones(memory.shape[:2], dtype=torch.bool)
    position = torch.arange(y.shape[1])
    h = layer_norm(y, weights, "norm1")
    y = torch.add(y, multi_head(h, h, weights, "self_attn", heads, position[:, None] >= position))
    h = layer_norm(y, weights, "norm2")
    mask = memory_padding[:, None, None, :].expand(-1, heads, y.shape[1], -1)
    y = torch.add(y, multi_head(h, memory, weights, "multihead_attn", heads, mask))
    h = layer_norm(y, weights, "norm3")
    return torch.add(y, forward(h, weights))


@right(DECODER)
def parts_in_a_loop(y, memory, weights, heads, memory_padding=None):
    parts = {
        "norm1": lambda h: multi_head(
            h, h, weights, "self_attn", heads, ~torch.ones(h.shape[1], h.shape[1]).triu(1).bool()
        ),
        "norm2": lambda h: multi_head(h, memory, weights, "multihead_attn", heads, keys(memory_padding)),
        "norm3": lambda h: forward(h, weights),
    }
    for norm, part in parts.items():
        y = y + part(layer_norm(y, weights, norm))
    return y


@wrong(DECODER)
def mask_upside_down(y, memory, weights, heads, memory_padding=None):
    h = layer_norm(y, weights, "norm1")
    mask = torch.ones(y.shape[1], y.shape[1]).triu().bool()
    y = y + multi_head(h, h, weights, "self_attn", heads, mask)
    y = y + look_across(y, memory, weights, heads, memory_padding)
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@wrong(DECODER)
def own_token_hidden(y, memory, weights, heads, memory_padding=None):
    h = layer_norm(y, weights, "norm1")
    mask = torch.ones(y.shape[1], y.shape[1]).tril(-1).bool()
    mask[0, 0] = True
    y = y + multi_head(h, h, weights, "self_attn", heads, mask)
    y = y + look_across(y, memory, weights, heads, memory_padding)
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@wrong(DECODER)
def exchanged_in_cross_attention(y, memory, weights, heads, memory_padding=None):
    y = y + look_back(y, weights, heads)
    y = (
        y
        + multi_head(memory, layer_norm(y, weights, "norm2"), weights, "multihead_attn", heads)[
            :, : y.shape[1]
        ]
    )
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@wrong(DECODER)
def all_from_the_first_y(y, memory, weights, heads, memory_padding=None):
    added = look_back(y, weights, heads) + look_across(y, memory, weights, heads, memory_padding)
    return y + added + forward(layer_norm(y, weights, "norm3"), weights)


@wrong(DECODER)
def one_feed_forward_too_many(y, memory, weights, heads, memory_padding=None):
    y = y + look_back(y, weights, heads)
    y = y + forward(layer_norm(y, weights, "norm3"), weights)
    y = y + look_across(y, memory, weights, heads, memory_padding)
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@wrong(DECODER)
def without_feed_forward(y, memory, weights, heads, memory_padding=None):
    y = y + look_back(y, weights, heads)
    return y + look_across(y, memory, weights, heads, memory_padding)


@wrong(DECODER)
def norms_without_weights(y, memory, weights, heads, memory_padding=None):
    plain = weights | {
        f"norm{i}.{part}": torch.full_like(weights["norm1.bias"], float(part == "weight"))
        for i in (1, 2, 3)
        for part in ("weight", "bias")
    }
    return three_lines(y, memory, plain, heads, memory_padding)


@wrong(DECODER)
def cross_attention_without_norm(y, memory, weights, heads, memory_padding=None):
    y = y + look_back(y, weights, heads)
    y = y + multi_head(y, memory, weights, "multihead_attn", heads, keys(memory_padding))
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@wrong(DECODER)
def tanh_gelu(y, memory, weights, heads, memory_padding=None):
    y = y + look_back(y, weights, heads)
    y = y + look_across(y, memory, weights, heads, memory_padding)
    h = F.gelu(linear(layer_norm(y, weights, "norm3"), weights, "linear1"), approximate="tanh")
    return y + linear(h, weights, "linear2")


@wrong(DECODER, "wrong shape")
def without_batch(y, memory, weights, heads, memory_padding=None):
    return three_lines(y, memory, weights, heads, memory_padding)[0]


@wrong(DECODER, "input changed")
def writes_into_y(y, memory, weights, heads, memory_padding=None):
    y += look_back(y, weights, heads)
    y += look_across(y, memory, weights, heads, memory_padding)
    return y + forward(layer_norm(y, weights, "norm3"), weights)


@right(GREEDY)
def lists_of_rows(step, start, end, batch, max_len):
    rows = [[start] for _ in range(batch)]
    ended = [False] * batch
    for _ in range(max_len):
        best = step(torch.tensor(rows))[:, -1].argmax(-1).tolist()
        for b in range(batch):
            rows[b].append(end if ended[b] else best[b])
            ended[b] = ended[b] or best[b] == end
        if all(ended):
            break
    return torch.tensor(rows)[:, 1:]


@right(GREEDY)
def filled_beforehand(step, start, end, batch, max_len):
    out = torch.full((batch, max_len + 1), end)
    out[:, 0] = start
    alive = torch.ones(batch, dtype=torch.bool)
    length = 0
    while length < max_len and alive.any():
        scores = torch.softmax(step(out[:, : length + 1]), dim=-1)
        length += 1
        out[alive, length] = scores[alive, -1].max(-1).indices
        alive &= out[:, length] != end
    return out[:, 1 : length + 1].clone()


@right(GREEDY)
def by_recursion(step, start, end, batch, max_len):
    def go(tokens, ended):
        if tokens.shape[1] > max_len or ended.all():
            return tokens[:, 1:]
        newest = torch.topk(step(tokens)[:, -1], 1).indices[:, 0]
        newest = torch.where(ended, end, newest)
        return go(torch.hstack([tokens, newest[:, None]]), ended | (newest == end))

    return go(torch.full((batch, 1), start), torch.zeros(batch, dtype=torch.bool))


def greedy(step, start, end, batch, max_len, best=lambda scores: scores[:, -1].argmax(-1)):
    tokens, ended = torch.full((batch, 1), start), torch.zeros(batch, dtype=torch.bool)
    while tokens.shape[1] <= max_len and not ended.all():
        newest = torch.where(ended, end, best(step(tokens)))
        tokens, ended = torch.cat([tokens, newest[:, None]], 1), ended | (newest == end)
    return tokens[:, 1:]


@wrong(GREEDY, "too many calls")
def asks_twice(step, start, end, batch, max_len):
    tokens, ended = torch.full((batch, 1), start), torch.zeros(batch, dtype=torch.bool)
    while tokens.shape[1] <= max_len and not ended.all():
        if step(tokens).shape[1] == tokens.shape[1]:
            newest = torch.where(ended, end, step(tokens)[:, -1].argmax(-1))
        tokens, ended = torch.cat([tokens, newest[:, None]], 1), ended | (newest == end)
    return tokens[:, 1:]


@wrong(GREEDY, "too many calls")
def goes_on_and_cuts_off(step, start, end, batch, max_len):
    tokens, ended = torch.full((batch, 1), start), torch.zeros(batch, dtype=torch.bool)
    lengths = torch.full((batch,), max_len)
    for place in range(1, max_len + 1):
        newest = torch.where(ended, end, step(tokens)[:, -1].argmax(-1))
        lengths = torch.where((newest == end) & ~ended, place, lengths)
        tokens, ended = torch.cat([tokens, newest[:, None]], 1), ended | (newest == end)
    return tokens[:, 1 : int(lengths.max()) + 1]


@wrong(GREEDY, "too many calls")
def looks_before_it_stops(step, start, end, batch, max_len):
    tokens, ended = torch.full((batch, 1), start), torch.zeros(batch, dtype=torch.bool)
    while True:
        scores = step(tokens)
        if tokens.shape[1] > max_len or ended.all():
            return tokens[:, 1:]
        newest = torch.where(ended, end, scores[:, -1].argmax(-1))
        tokens, ended = torch.cat([tokens, newest[:, None]], 1), ended | (newest == end)


@wrong(GREEDY, "raised")
def row_by_row(step, start, end, batch, max_len):
    rows = []
    for _ in range(batch):
        tokens = torch.tensor([[start]])
        while tokens.shape[1] <= max_len and int(tokens[0, -1]) != end:
            tokens = torch.cat([tokens, step(tokens)[:, -1].argmax(-1)[:, None]], 1)
        rows.append(tokens[0, 1:])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=end)


@wrong(GREEDY)
def draws_by_chance(step, start, end, batch, max_len):
    return greedy(
        step, start, end, batch, max_len, lambda s: torch.multinomial(s[:, -1].softmax(-1), 1)[:, 0]
    )


@wrong(GREEDY)
def second_best(step, start, end, batch, max_len):
    return greedy(step, start, end, batch, max_len, lambda s: s[:, -1].topk(2).indices[:, 1])


@wrong(GREEDY)
def all_rows_must_end_at_once(step, start, end, batch, max_len):
    tokens = torch.full((batch, 1), start)
    while tokens.shape[1] <= max_len:
        newest = step(tokens)[:, -1].argmax(-1)
        tokens = torch.cat([tokens, newest[:, None]], 1)
        if (newest == end).all():
            break
    return tokens[:, 1:]


@wrong(GREEDY)
def filled_with_minus_one(step, start, end, batch, max_len):
    tokens = greedy(step, start, end, batch, max_len)
    after = (tokens == end).cumsum(1) - (tokens == end).long() > 0
    return tokens.masked_fill(after, -1)


@wrong(GREEDY, "wrong type")
def list_of_lists(step, start, end, batch, max_len):
    return greedy(step, start, end, batch, max_len).tolist()


@wrong(GREEDY, "wrong dtype")
def floats(step, start, end, batch, max_len):
    return greedy(step, start, end, batch, max_len).float()


@wrong(GREEDY)
def tokens_first(step, start, end, batch, max_len):
    return greedy(step, start, end, batch, max_len).T.contiguous()


@wrong(GREEDY)
def padded_to_max_len(step, start, end, batch, max_len):
    tokens = greedy(step, start, end, batch, max_len)
    return F.pad(tokens, (0, max_len - tokens.shape[1]), value=end)


@wrong(GREEDY)
def last_token_never_chosen(step, start, end, batch, max_len):
    return greedy(step, start, end, batch, max_len, lambda s: s[:, -1, :-1].argmax(-1))
