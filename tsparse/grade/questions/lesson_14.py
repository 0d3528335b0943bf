"""Questions of lesson 14 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="14.recall.other",
        text="`tl.load(v_ptr + at, mask=inside)` without `other=`. What do the lanes outside hold?",
        options=("0", "NaN", "Anything: it is undefined", "The last element inside"),
        right=2,
        why="The interpreter happens to give 0. What must be 0 in a product is loaded with `other=0.0`.",
    ),
    Question(
        id="14.recall.per_block",
        text=(
            "A row of queries lists 3 blocks of keys. Each block's weights are divided by that block's own "
            "sum, and the three results are added. What do the weights of a query sum to?"
        ),
        options=("1", "3", "1/3", "That depends on the scores"),
        right=1,
        why="1 in each block. The softmax runs over the row: the sum has to be carried over all its blocks.",
    ),
    Question(
        id="14.recall.reach",
        text=(
            "A causal window of 4 keys, the own one included, in each of 3 layers. From how many positions "
            "back can something arrive at a token?"
        ),
        options=("4", "9", "12", "64"),
        right=1,
        why="Each layer looks 3 back, beside the own position: 3 layers carry it over 3 * 3 = 9 positions.",
    ),
    Question(
        id="14.traffic",
        text=(
            "One head, 4096 tokens, D = 64, float16, BLOCK_M = 16. The three lines move the 4096 x 4096 "
            "matrix four times. What does the kernel move, in comparison?"
        ),
        options=("About a hundredth", "About a quarter", "About half", "About twice as many"),
        right=3,
        why=(
            "256 blocks of queries load all keys and values again: 2 N * N D / 16 = 8 N * N numbers, against "
            "4 N * N. The matrix is gone; small blocks pay for it with keys."
        ),
    ),
    Question(
        id="14.bound",
        text="BLOCK_M = 16, BLOCK_N = 64, causal, many keys. How many tiles of keys does block i = 3 need?",
        options=("1", "3", "4", "64"),
        right=0,
        why="Its last query is 63, so it needs keys 0 to 63: one tile. Block 4 is the first to need two.",
    ),
    Question(
        id="14.hidden",
        text="How many of the three tests does the update with the saved rescaling fail?",
        options=("None", "One", "Two", "All three"),
        right=0,
        why=(
            "One tile never needs rescaling; with v = 1 numerator and denominator are wrong alike; small "
            "inputs make rises so small that the error is within tolerance."
        ),
    ),
    Question(
        id="14.judge.update",
        text="m = 1, l = 2, acc = 10. A tile brings one score, 1, with value 6. What is acc / l afterwards?",
        options=("16 / 3", "16 / 2", "10 / 3 + 6", "(10 / e + 6) / 3"),
        right=0,
        why="The maximum stays 1, so alpha = 1: l = 2 + exp(0) = 3, acc = 10 + 1 * 6 = 16.",
    ),
    Question(
        id="14.judge.forward",
        text="3 heads, 45 queries, 53 keys, tiles of 32 x 16. How many programs, and how many tl.dot in all?",
        options=("2 and 8", "6 and 24", "6 and 48", "135 and 48"),
        right=2,
        why="2 blocks of queries times 3 heads are 6 programs; each visits 4 tiles, with two products each.",
    ),
    Question(
        id="14.judge.causal",
        text="64 queries, 41 keys, tiles of 32 x 16, causal. Which picture shows the tiles that are needed?",
        options=("A", "B", "C", "D"),
        right=1,
        why=(
            "Queries 0 to 31 see keys before 32: two tiles. Queries 32 to 63 would see keys before 64, and "
            "only 41 exist: three tiles, the last one with 9 keys."
        ),
    ),
)
