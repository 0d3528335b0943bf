"""torch.compile and torch.export of the modules: what they allow, and what is refused how.

`backend="reference"` asks rules only, and is one graph for any size. Other backends make layouts from numbers
that a graph does not know; they are compiled around them, and exported for sizes that have run before.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.nn.weights import randomised, tokens, words
from tsparse import (
    Causal,
    Documents,
    Fixed,
    Full,
    Padding,
    Pattern,
    PerHead,
    SlidingWindow,
    Strided,
    bigbird,
    longformer,
)
from tsparse.nn import (
    ALiBi,
    Classifier,
    Encoder,
    LanguageModel,
    Rotary,
    Sinusoidal,
    SparseSelfAttention,
    Transformer,
)

POSITIONS = [None, Sinusoidal(16), Rotary(4), ALiBi(4)]
PER_LAYER = [SlidingWindow(5), PerHead([Causal(), Strided(3) & Causal()])]
SINGLE = [
    (lambda **how: LanguageModel(11, 8, 2, 2, PER_LAYER, Rotary(4), 4, **how), 1),
    (lambda **how: Transformer(11, 11, 8, 2, 1, SlidingWindow(5), position=ALiBi(2), block=4, **how), 2),
]
two_models = pytest.mark.parametrize(("build", "texts"), SINGLE, ids=["language model", "transformer"])


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> None:
    torch._dynamo.reset()


def outputs_and_gradients(model: nn.Module, call: Callable[..., Tensor], texts: list[Tensor]) -> list[Tensor]:
    out = call(*texts)
    return [out, *torch.autograd.grad(out.square().sum(), list(model.parameters()))]


@two_models
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_compiled_model_keeps_its_scores_and_gradients(
    build: Callable[..., nn.Module], texts: int, backend: str
) -> None:
    model = randomised(build(backend=backend))
    inputs = [words(2, 13 + i) for i in range(texts)]
    got = outputs_and_gradients(model, torch.compile(model, backend="aot_eager"), inputs)
    torch.testing.assert_close(got, outputs_and_gradients(model, model, inputs))


def test_compiled_model_reads_texts_of_any_length() -> None:
    model = randomised(LanguageModel(11, 8, 2, 1, SlidingWindow(5), ALiBi(2), 4))
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        for n in (13, 9, 30):
            torch.testing.assert_close(compiled(words(2, n)), model(words(2, n)))


def test_compiled_model_reads_lengths() -> None:
    model = randomised(Classifier(11, 3, 8, 2, 1, position=Rotary(4), block=4))
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        for lengths in ([13, 4], [5, 13]):
            torch.testing.assert_close(compiled(words(2, 13), lengths), model(words(2, 13), lengths))


def test_compiled_graphs_are_as_large_for_many_blocks_as_for_few() -> None:
    model = randomised(Encoder(8, 2, 1, SlidingWindow(9), block=4))
    sizes = []
    for n in (16, 400):
        torch._dynamo.reset()
        nodes = []

        def count(graph: torch.fx.GraphModule, _: object, nodes: list[int] = nodes) -> Callable:
            nodes.append(len(graph.graph.nodes))
            return graph.forward

        torch.compile(model, backend=count, dynamic=False)(tokens(1, n, 8))
        sizes.append(nodes)
    assert sizes[0] == sizes[1]


def test_model_is_compiled_to_machine_code_in_one_graph() -> None:
    model = randomised(LanguageModel(11, 8, 2, 1, SlidingWindow(4), Rotary(4), backend="reference"))
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(words(1, 9)), model(words(1, 9)))


@pytest.mark.parametrize(
    "pattern",
    [
        Strided(3) & Causal(),
        Fixed(4, 2, heads=4) & Causal(),
        longformer(3, [0, 5]),
        bigbird(4, radius=3, tokens=2, random=2, length=16),
        Documents([0] * 5 + [1] * 9) & ~SlidingWindow(2),
        Padding([14, 6]) | PerHead([SlidingWindow(2), Causal(), Full(), Documents([0, 1] * 7)]),
    ],
    ids=repr,
)
def test_rule_of_a_pattern_is_one_graph(pattern: Pattern) -> None:
    module = randomised(SparseSelfAttention(16, 4, pattern, backend="reference"))
    x = tokens(2, 14, 16)
    with torch.no_grad():
        compiled = torch.compile(module, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), module(x))
        torch.testing.assert_close(torch.export.export(module, (x,)).module()(x), module(x))


def test_layout_is_no_part_of_a_graph_and_the_error_says_so() -> None:
    encoder = randomised(Encoder(8, 2, 1, SlidingWindow(4), 4))
    with pytest.raises(RuntimeError, match='layouts are made outside of graphs; backend="reference" needs'):
        torch.compile(encoder, fullgraph=True, backend="eager")(tokens(1, 9, 8))


@pytest.mark.parametrize("position", POSITIONS, ids=repr)
def test_model_is_exported_for_any_length(position: nn.Module | None) -> None:
    batch, n = torch.export.Dim("batch", max=64), torch.export.Dim("n", max=512)
    how = {"pattern": [SlidingWindow(5), Full()], "position": position, "backend": "reference"}
    for model in (LanguageModel(11, 16, 4, 2, **how), Classifier(11, 3, 16, 4, 2, **how)):
        randomised(model)
        exported = torch.export.export(model, (words(2, 9),), dynamic_shapes=({0: batch, 1: n},))
        torch.testing.assert_close(exported.module()(words(3, 21)), model(words(3, 21)))


@pytest.mark.parametrize("strict", [False, True])
def test_encoder_is_exported_for_any_length(strict: bool) -> None:
    encoder = randomised(Encoder(8, 2, 2, [SlidingWindow(5), PER_LAYER[1]], backend="reference"))
    sizes = {0: torch.export.Dim("batch", max=64), 1: torch.export.Dim("n", max=512)}
    exported = torch.export.export(encoder, (tokens(2, 9, 8),), dynamic_shapes=(sizes,), strict=strict)
    torch.testing.assert_close(exported.module()(tokens(3, 21, 8)), encoder(tokens(3, 21, 8)))


def test_transformer_is_exported_for_any_lengths() -> None:
    model = randomised(Transformer(11, 11, 8, 2, 1, position=Rotary(4), backend="reference"))
    batch, n, m = (torch.export.Dim(name, max=64) for name in ("batch", "n", "m"))
    inputs = words(2, 9), words(2, 7)
    exported = torch.export.export(model, inputs, dynamic_shapes=({0: batch, 1: n}, {0: batch, 1: m}))
    got = exported.module()(words(3, 21), words(3, 17))
    torch.testing.assert_close(got, model(words(3, 21), words(3, 17)))


def test_exported_classifier_reads_lengths() -> None:
    model = randomised(Classifier(11, 3, 8, 2, 1, SlidingWindow(5), Rotary(4), backend="reference"))
    n = torch.export.Dim("n", max=512)
    inputs = words(2, 9), torch.tensor([9, 4])
    exported = torch.export.export(model, inputs, dynamic_shapes=({1: n}, None)).module()
    text, lengths = words(2, 21), torch.tensor([3, 21])
    torch.testing.assert_close(exported(text, lengths), model(text, lengths))


@pytest.mark.parametrize("backend", ["auto", "gather"])
def test_sparse_encoder_is_exported_for_the_input_it_has_run_on(backend: str) -> None:
    encoder = randomised(Encoder(8, 2, 2, [SlidingWindow(5), Strided(3) & Causal()], 4, backend=backend))
    x = tokens(2, 9, 8)
    with pytest.raises(RuntimeError, match="cannot make a layout: run the model once on the input to export"):
        torch.export.export(encoder, (x,))
    encoder(x)
    exported = torch.export.export(encoder, (x,)).module()
    torch.testing.assert_close(exported(x + 1), encoder(x + 1))
    with pytest.raises(RuntimeError, match="cannot read a layout: run the model once on the input to export"):
        torch.export.export(encoder, (tokens(3, 9, 8),))
    sizes = {0: torch.export.Dim("batch", max=64)}
    with pytest.raises(RuntimeError, match="is exported for one batch size and length, without dynamic_sh"):
        torch.export.export(encoder, (x,), dynamic_shapes=(sizes,))
