"""Questions of lesson 11 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="11.recall.backward",
        text="You train on a CPU with a block mask. What does FlexAttention do?",
        options=(
            "It trains as on a GPU, only slower",
            "It has no backward there: it raises as soon as an input requires a gradient",
            "It trains, but computes all N x N scores",
            "It trains without the mask",
        ),
        right=1,
        why="PyTorch's FlexAttention has no backward on the CPU. This lesson writes one.",
    ),
    Question(
        id="11.recall.strided",
        text="Strided(64) & Causal() over 4,096 tokens, in blocks of 64. Which blocks hold a visible pair?",
        options=("Only those on the diagonal", "Every 64th", "All that are not in the future", "None"),
        right=2,
        why=(
            "Each query sees every 64th key before it, and so one in each block before it. Sparse in "
            "elements is not sparse in blocks until the sequence is permuted."
        ),
    ),
    Question(
        id="11.recall.cross",
        text="In the cross-attention of a decoder, where do keys and values come from?",
        options=(
            "Keys from the decoder, values from the encoder",
            "Both from the decoder",
            "Both from what the encoder returned",
            "Both from the target text",
        ),
        right=2,
        why="Queries are the decoder's; keys and values are the encoder's output. N and M differ there.",
    ),
    Question(
        id="11.debug",
        text="Which test shows that something is wrong, without a dense answer to compare with?",
        options=(
            "Values that are all 1: the output must be all 1",
            "The same mask cut into blocks of another size: the output must not move",
            "A constant added to all scores: the output must not move",
            "Future keys changed: the output must not move",
        ),
        right=1,
        why=(
            "It passes the other three: its weights sum to 1, each of its softmaxes ignores a constant, and "
            "it sees no hidden key."
        ),
    ),
    Question(
        id="11.delta",
        text="All values v_j are the same vector. What are dq and dk?",
        options=("The same for all keys", "0", "Equal to dv", "NaN"),
        right=1,
        why=(
            "Then dp is the same for all keys, and so is its weighted mean delta: dp - delta is 0. Shifting "
            "weight between equal values changes nothing."
        ),
    ),
    Question(
        id="11.judge.row",
        text="block = 4 and columns = [1, 5] over 22 keys. Which keys are gathered?",
        options=("1 and 5", "4 to 7 and 20 to 23", "4 to 7, 20 and 21", "4 to 23"),
        right=2,
        why="Block 5 begins at key 20, and keys 22 and 23 do not exist.",
    ),
    Question(
        id="11.judge.forward",
        text="crow = [0, 2, 2, 3] and col = [0, 2, 1]. What does row 1 list?",
        options=("Block 2", "Nothing", "Blocks 0 and 2", "Block 1"),
        right=1,
        why="col[crow[1] : crow[2]] is col[2:2], an empty list. Its queries get output 0 and lse -inf.",
    ),
    Question(
        id="11.judge.backward_row",
        text="A query has p = (0.5, 0.5), v = (1, 3) and dout = 2. What is ds, without the scale?",
        options=("(1, 3)", "(-1, 1)", "(2, 6)", "(0, 0)"),
        right=1,
        why="dp = (2, 6), out = 2 and delta = 4: ds = 0.5 * (2 - 4) and 0.5 * (6 - 4).",
    ),
    Question(
        id="11.judge.backward",
        text="Rows 0, 2 and 3 of blocks list key block 1. How is dv of its keys made?",
        options=(
            "By row 3, which comes last",
            "As the mean of the three rows' parts",
            "As the sum of the three rows' parts",
            "By the row on the diagonal",
        ),
        right=2,
        why="A value that three rows used has three paths to the loss, and gradients of paths add up.",
    ),
)
