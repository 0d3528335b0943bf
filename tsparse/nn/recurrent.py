"""What came before attention: two LSTMs and nothing between them but one state of fixed size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from ..arguments import whole

State = tuple[Tensor, Tensor]


class Recurrent(nn.Module):
    """An encoder-decoder of two LSTMs, as a baseline: one reads into a state, the other writes from it.

    Raises TypeError or ValueError for sizes that are not positive integers. Source: Sutskever, Vinyals and
    Le, "Sequence to sequence learning with neural networks", 2014.
    """

    def __init__(self, source_vocabulary: int, target_vocabulary: int, dim: int, state: int) -> None:
        super().__init__()
        self.source = nn.Embedding(whole("source_vocabulary", source_vocabulary, least=1), dim)
        self.target = nn.Embedding(whole("target_vocabulary", target_vocabulary, least=1), dim)
        self.reader = nn.LSTM(dim, whole("state", state, least=1), batch_first=True)
        self.writer = nn.LSTM(dim, state, batch_first=True)
        self.scores = nn.Linear(state, target_vocabulary)

    def read(self, source: Tensor, lengths: Tensor) -> State:
        """The state after the first `lengths [B]` tokens of each row of `source [B, S]`."""
        packed = pack_padded_sequence(
            self.source(source), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, state = self.reader(packed)
        return state

    def write(self, given: Tensor, state: State) -> Tensor:
        """Scores `[B, T, target_vocabulary]` of what follows each token of `given [B, T]`."""
        return self.scores(self.writer(self.target(given), state)[0])
