"""Questions of lesson 17 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="17.recall.transposed",
        text="The dK and dV kernel reads the row lists in place of the transposed lists. When is it right?",
        options=(
            "Never",
            "For layouts that equal their own transpose",
            "For causal layouts",
            "When all blocks are full",
        ),
        right=1,
        why="A symmetric layout has the same lists twice. A causal one has not: there a test sees it.",
    ),
    Question(
        id="17.recall.alpha",
        text="A new tile raises the maximum of a row from 2 to 5. What are l and acc multiplied by?",
        options=("exp(-3)", "exp(3)", "2/5", "Nothing: only later tiles change"),
        right=0,
        why="alpha = exp(old - new): both were measured from 2 and are now measured from 5.",
    ),
    Question(
        id="17.recall.delta",
        text="What does the backward pass keep of the N x N weights of the forward pass?",
        options=(
            "All of them, in half precision",
            "Those of the partial blocks",
            "Their row maxima",
            "Nothing",
        ),
        right=3,
        why="The weights of a tile are computed again from q, k and lse; delta comes from the output.",
    ),
    Question(
        id="17.half_head",
        text=(
            "An H100. The head size falls from 64 to 32, same pairs, so the matrix products halve. How much "
            "lower is the bound on the time, if memory is not the limit?"
        ),
        options=("To a half", "To three quarters", "Hardly", "To a quarter"),
        right=2,
        why="At 64 the exponentials take as long as the products, and there are as many as before.",
    ),
    Question(
        id="17.small_tile",
        text="An H100, float16, tiles of 16 queries and 64 keys. What multiplies?",
        options=(
            "Tensor cores, through wgmma",
            "Tensor cores, through the older mma.sync",
            "No tensor cores, only fma",
            "It does not compile",
        ),
        right=1,
        why="wgmma takes 64 rows at least. With fewer Triton falls back to the instruction of the A100.",
    ),
    Question(
        id="17.judge.limit",
        text="Products take 3 ms, exponentials 4 ms, bytes 2 ms. How long does a perfect kernel take?",
        options=("9 ms", "4 ms", "2 ms", "3 ms"),
        right=1,
        why="The three run on different parts of the machine and can overlap: you wait for the slowest.",
    ),
    Question(
        id="17.judge.tile",
        text=(
            "A: 64 x 64, no spills, mma 64. B: 128 x 64, spills 8 bytes, mma 128. C: 64 x 32, no spills, "
            "mma 32. D: 128 x 64, no spills, mma 0. All fit into shared memory. Which one to pick?"
        ),
        options=("A", "B", "C", "D"),
        right=0,
        why="B spills, D has no matrix instruction though others have; A is larger than C.",
    ),
    Question(
        id="17.judge.order",
        text="crow = [0, 3, 4, 7, 12]. Which order of rows starts the heaviest first?",
        options=("[3, 0, 2, 1]", "[3, 2, 1, 0]", "[3, 2, 0, 1]", "[5, 3, 3, 1]"),
        right=0,
        why="The rows hold 3, 1, 3 and 5 blocks: row 3 first; 0 before 2, as they weigh the same; then 1.",
    ),
)
