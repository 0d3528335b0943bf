"""Answers to `reading.rollout`."""

import torch

from tests.grade.reading_answers import right, wrong


def residual(weights):
    """Half attention, half the token itself, for each layer."""
    return (weights.mean(1) + torch.eye(weights.shape[-1], dtype=weights.dtype)) / 2


@right("reading.rollout")
def new_layer_on_the_left(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights:
        total = 0.5 * total + 0.5 * layer.mean(0) @ total
    return total


@right("reading.rollout")
def multi_dot_of_reversed_layers(weights):
    total, *rest = residual(weights).flip(0)
    for layer in rest:
        total = total @ layer
    return total


@right("reading.rollout")
def divided_by_row_sums(weights):
    layers = weights.mean(1) + torch.eye(weights.shape[-1], dtype=weights.dtype)
    layers = layers / layers.sum(-1, keepdim=True)
    total = layers[0]
    for layer in layers[1:]:
        total = torch.einsum("ij,jk->ik", layer, total)
    return total


@wrong("reading.rollout", "reverse order")
def new_layer_on_the_right(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in residual(weights):
        total = total @ layer
    return total


@wrong("reading.rollout", "no residual")
def attention_only(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights:
        total = layer.mean(0) @ total
    return total


@wrong("reading.rollout", "not halved")
def identity_added_only(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights:
        total = (layer.mean(0) + torch.eye(len(total), dtype=weights.dtype)) @ total
    return total


@wrong("reading.rollout", "max over heads")
def strongest_head(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights:
        total = (layer.max(0).values + torch.eye(len(total), dtype=weights.dtype)) / 2 @ total
    return total


@wrong("reading.rollout")
def strongest_head_normalised_again(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights:
        layer = layer.max(0).values + torch.eye(len(total), dtype=weights.dtype)
        total = layer / layer.sum(-1, keepdim=True) @ total
    return total


@wrong("reading.rollout", "average over layers")
def mean_of_layers(weights):
    return residual(weights).mean(0)


@wrong("reading.rollout", "last layer only")
def last_layer(weights):
    return residual(weights)[-1]


@wrong("reading.rollout", "entry by entry")
def star_instead_of_at(weights):
    total = torch.ones(weights.shape[-2:], dtype=weights.dtype)
    for layer in residual(weights):
        total = layer * total
    return total


@wrong("reading.rollout", "each head apart")
def heads_multiplied_before_the_mean(weights):
    eye = torch.eye(weights.shape[-1], dtype=weights.dtype)
    total = eye.expand(weights.shape[1:])
    for layer in weights:
        total = (layer + eye) / 2 @ total
    return total.mean(0)


@wrong("reading.rollout")
def last_layer_left_out(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in residual(weights)[:-1]:
        total = layer @ total
    return total


@wrong("reading.rollout")
def a_third_of_attention(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights:
        total = (layer.mean(0) + 2 * torch.eye(len(total), dtype=weights.dtype)) / 3 @ total
    return total


@wrong("reading.rollout", "columns")
def inputs_down(weights):
    total = torch.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in residual(weights):
        total = total @ layer.T
    return total


@wrong("reading.rollout", "wrong dtype")
def identity_in_float32_only(weights):
    return new_layer_on_the_left(weights.float())
