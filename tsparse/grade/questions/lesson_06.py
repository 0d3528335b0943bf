"""Questions of lesson 06 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="06.recall.cross",
        text=(
            "A decoder has written 5 tokens; the input has 9. What shape have the scores of one head of its "
            "cross-attention?"
        ),
        options=("[5, 5]", "[5, 9]", "[9, 5]", "[9, 9]"),
        right=1,
        why="The 5 written tokens ask, the 9 input tokens are asked: rows are queries, columns keys.",
    ),
    Question(
        id="06.recall.heads",
        text="Width 512 in 8 heads, N tokens. How many N x N tables of scores does a layer compute?",
        options=("1", "8", "64", "512"),
        right=1,
        why="Each head has its own queries and keys, of 64 channels each, and so its own table.",
    ),
    Question(
        id="06.recall.view",
        text="k has shape [4, 1024, 64]. How much memory does k.transpose(-2, -1) take?",
        options=("As much as k", "Twice as much", "Next to none"),
        right=2,
        why="It is a view: the same numbers in memory, read with exchanged strides. Nothing is copied.",
    ),
    Question(
        id="06.double_memory",
        text=(
            "You buy twice the memory. How much longer may a sequence be, for dense attention in three lines?"
        ),
        options=("4 times", "2 times", "1.4 times", "1.2 times"),
        right=2,
        why=(
            "Memory grows with the square of the length, so the length grows with the root of the memory: "
            "the root of 2 is 1.41."
        ),
    ),
    Question(
        id="06.first_wall",
        text=(
            "You make N longer and longer, with the three lines. What comes first on your machine: an hour "
            "of waiting for one call, or the end of its memory?"
        ),
        options=("The hour", "The end of memory", "Both at about the same length"),
        right=1,
        why=(
            "Operations and memory both grow with N². But a processor writes thousands of millions of "
            "bytes a second, and fills a laptop's memory in seconds."
        ),
    ),
    Question(
        id="06.judge.flops",
        text="4 queries, 6 keys, causal, positions begin at the start. How many pairs are visible?",
        options=("24", "12", "10", "18"),
        right=2,
        why=(
            "1 + 2 + 3 + 4. 24 is without a rule, 12 is half of that, 18 is what you get if the last query "
            "stands beside the last key."
        ),
    ),
    Question(
        id="06.judge.bytes",
        text="Which of these does fused attention *not* move between memory and processor?",
        options=("q", "k and v", "the scores", "the output"),
        right=2,
        why="Scores live on the chip while they are needed, a tile at a time, and are never written out.",
    ),
    Question(
        id="06.judge.longest",
        text="x = 2**60 - 1. What is int(math.sqrt(x))?",
        options=("2**30 - 1", "2**30", "An error", "2**30 - 2"),
        right=1,
        why=(
            "One too many: 2**30 squared is more than x. A float keeps 53 binary digits and rounds x up to "
            "2**60. math.isqrt(x) stays whole and gives 2**30 - 1."
        ),
    ),
)
