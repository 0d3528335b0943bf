"""Questions of lesson 01 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="01.recall.keepdim",
        text="x has shape [4, 3]. What does x - x.amax(-1) do?",
        options=(
            "It subtracts each row's own maximum",
            "It raises: [4, 3] and [4] do not broadcast",
            "It gives a tensor of shape [4, 4]",
        ),
        right=1,
        why=(
            "amax(-1) drops the axis and leaves shape [4]. Broadcasting lines shapes up from the right, so 4 "
            "meets 3. With keepdim=True the shape is [4, 1], and each row meets its own maximum."
        ),
    ),
    Question(
        id="01.variance",
        text=(
            "q and k hold 64 independent random numbers each, with mean 0 and variance 1. "
            "How far from 0 is a typical dot product q·k?"
        ),
        options=("About 1", "About 8", "About 64"),
        right=1,
        why=(
            "Each of the 64 products has variance 1, so their sum has variance 64. The typical size is the "
            "root of that, 8: products of both signs cancel, but only in part."
        ),
    ),
    Question(
        id="01.empty_row",
        text="A query may see no key, so all its scores are -inf. What does softmax make of that row?",
        options=("0 everywhere", "1/M everywhere", "NaN everywhere", "An error"),
        right=2,
        why=(
            "Every exp is 0 and so is their sum, and 0/0 is NaN. Subtracting the maximum does not help: "
            "-inf minus -inf is NaN too. Such a row needs a rule of its own."
        ),
    ),
    Question(
        id="01.judge.softmax",
        text="Which table is the softmax of [[0, 0], [0, 1000]] over the last axis?",
        options=(
            "[[0.5, 0.5], [0, 1]]",
            "[[0.5, 0], [0.5, 1]]",
            "[[0, 0], [0, 1]]",
            "[[0.5, 0.5], [0, NaN]]",
        ),
        right=0,
        why=(
            "Each row sums to 1 by itself. The second table sums to 1 in its columns, the third as a whole; "
            "the fourth is what you get when exp(1000) overflows."
        ),
    ),
    Question(
        id="01.judge.scores",
        text="q is [2, 3, 4, 8], k is [2, 3, 5, 8]. Which line multiplies every query with every key?",
        options=(
            "q @ k",
            "q @ k.reshape(2, 3, 8, 5)",
            "q @ k.transpose(-2, -1)",
            "q.transpose(-2, -1) @ k",
        ),
        right=2,
        why=(
            "transpose makes each key a column: [2, 3, 8, 5]. reshape gives the same shape and cuts the keys "
            "into pieces: no error, wrong numbers. The other two raise."
        ),
    ),
    Question(
        id="01.judge.mask",
        text=(
            "Without a mask a query's weights are 0.2, 0.3, 0.1, 0.4. Now it may see keys 0 and 1 only. "
            "What are its weights?"
        ),
        options=("0.2, 0.3, 0, 0", "0.4, 0.6, 0, 0", "0.5, 0.5, 0, 0", "0.2, 0.3, 0.25, 0.25"),
        right=1,
        why=(
            "The visible weights keep their ratio, 2 to 3, and share out all of 1: 0.2/0.5 and 0.3/0.5. "
            "The first row is what hiding *after* the softmax leaves."
        ),
    ),
    Question(
        id="01.judge.gradient",
        text="Which of these can be the gradient of one row of scores that goes into a softmax?",
        options=("0.1, 0.2, 0.3", "0.1, -0.3, 0.2", "1, 0, 0", "All of them"),
        right=1,
        why=(
            "Adding one number to all scores of a row changes no weight, so the entries of the gradient must "
            "sum to 0. Only the second row does."
        ),
    ),
)
