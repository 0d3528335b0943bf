"""Questions of lesson 05 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="05.recall.order",
        text="Attention without positions reads the tokens c b a in place of a b c. What changes?",
        options=(
            "The outputs change their numbers",
            "Nothing but the order: each token gets the output it had before",
            "All outputs become equal",
            "Only the output of b stays",
        ),
        right=1,
        why=(
            "Attention asks what a token is, not where it stands. Positions have to be put in: added to the "
            "tokens, rotated into queries and keys, or subtracted from the scores."
        ),
    ),
    Question(
        id="05.recall.heads",
        text="A width of 64 is split into 4 heads. By what are the scores of one head divided?",
        options=("The root of 64", "The root of 16", "The root of 4", "4"),
        right=1,
        why="A head compares 64 / 4 = 16 channels, so its scores have the spread of a sum of 16 products.",
    ),
    Question(
        id="05.recall.leak",
        text="The loss of your language model falls far below what others reach. What do you test first?",
        options=(
            "The learning rate",
            "Whether the loss is NaN on long texts",
            "Whether an output moves when a later token changes",
            "Whether the mask is float32",
        ),
        right=2,
        why="A leak looks like a success. Change one token, call again, and no output before it may move.",
    ),
    Question(
        id="05.alike",
        text=(
            "Twelve attention layers with random weights, each reading the output of the one before. How "
            "alike are two tokens of a text at the end (1: same direction, 0: nothing in common)?"
        ),
        options=("About 0", "About 0.3", "Above 0.99", "About -1"),
        right=2,
        why=(
            "Each output is an average over all tokens, and averages of averages agree. After three layers "
            "there is nearly nothing left that tells two tokens apart."
        ),
    ),
    Question(
        id="05.race",
        text=(
            "Same number of weights, same batches, same steps. Which is ahead on held-out dates after 160 "
            "of 800 steps, and what happens then?"
        ),
        options=(
            "The LSTM, and it stays ahead",
            "The transformer, and the LSTM never gets half of them",
            "The transformer, and at the end both get more than 9 of 10",
            "Neither: both stay near 0",
        ),
        right=2,
        why=(
            "Cross-attention finds the right characters early; the LSTM must first learn to carry up to 46 "
            "of them in its state. On inputs this short it can."
        ),
    ),
    Question(
        id="05.judge.pre",
        text="Which line is a pre-norm half, f being attention or feed-forward?",
        options=(
            "x = norm(x + f(x))",
            "x = norm(x) + f(norm(x))",
            "x = x + f(norm(x))",
            "x = x + norm(f(x))",
        ),
        right=2,
        why=(
            "What goes into f is normalised, and the stream x is added as it was. The first is post-norm, "
            "the second puts a norm into the stream, the fourth normalises what comes out."
        ),
    ),
    Question(
        id="05.judge.cross",
        text=(
            "4 output tokens, 6 input tokens of which the last two are padding. Which of the four pictures "
            "is the mask of cross-attention?"
        ),
        options=PICTURES,
        right=1,
        why=(
            "Every output token may read all real input tokens. A is causal as well, C shows the padding, D "
            "hides rows, which stand for output tokens."
        ),
    ),
    Question(
        id="05.judge.greedy",
        text=(
            "The end is 2. A model says 5 2 7 7 ... for row 0 and 4 6 2 7 ... for row 1. What is the right "
            "answer with max_len = 6?"
        ),
        options=(
            "5 2 2 and 4 6 2",
            "5 2 7 and 4 6 2",
            "5 2 and 4 6",
            "5 2 2 2 2 2 and 4 6 2 2 2 2",
        ),
        right=0,
        why=(
            "Row 1 ends last, with its third token, and then the model is not asked again. Row 0 is filled "
            "with the end; the 7 that the model says there is nobody's."
        ),
    ),
)
