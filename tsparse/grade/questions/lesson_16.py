"""Questions of lesson 16 and its sheet; the last five ask for what lessons 15 and 16 let a reader infer."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="16.recall.yet",
        text="In its first block a query sees nothing yet. What would m - m_new be, and what prevents it?",
        options=(
            "0; nothing has to",
            "-inf - (-inf) = NaN; the maximum that is subtracted is 0 while it is -inf",
            "inf; the block is skipped",
            "NaN; the block is listed last",
        ),
        right=1,
        why="The 0 serves the subtraction only and is not kept: a maximum that was never seen goes stale.",
    ),
    Question(
        id="16.recall.other",
        text="`tl.load(x_ptr + cols, mask=cols < n)` without `other=`. What do lanes past n hold?",
        options=("0", "The last element", "Anything", "-inf"),
        right=2,
        why="In the interpreter 0, on a GPU whatever is there; the grader makes it NaN. Say `other=`.",
    ),
    Question(
        id="16.recall.backward",
        text="What does FlexAttention do on a CPU when q requires a gradient?",
        options=(
            "It computes the gradient densely",
            "It raises, already in the forward pass",
            "It returns a gradient of 0",
            "It walks the transposed lists",
        ),
        right=1,
        why="It has no backward pass on the CPU. The package's gather has one; this lesson's kernels too.",
    ),
    Question(
        id="16.predict.list",
        text=(
            "Causal attention over 4 x 4 blocks: query block i lists key blocks 0 to i. Which query blocks "
            "does the program of key block 1 walk?"
        ),
        options=("0 and 1", "1, 2 and 3", "1", "All four"),
        right=1,
        why="Key block 1 stands in the lists of query blocks 1, 2 and 3. Row list 1 says 0 and 1.",
    ),
    Question(
        id="16.judge.delta",
        text="o = (2, 3), do = (4, -1), and the weights of the row are (0.5, 0.5). What is delta?",
        options=("5", "2.5", "11", "It cannot be known without v"),
        right=0,
        why="2 * 4 + 3 * (-1) = 5. The weights and values are in o already.",
    ),
    Question(
        id="16.judge.dq",
        text="A row lists key blocks 0, 2 and 5. How often does its program of dQ call `tl.dot`?",
        options=("3", "6", "9", "18"),
        right=2,
        why="Three for each listed block: scores, dp, and ds times k.",
    ),
    Question(
        id="16.judge.dkdv",
        text="crow = [0, 1, 3, 4] and col = [0, 0, 1, 1]: three query blocks, two key blocks. What is ccol?",
        options=("[0, 1, 3, 4]", "[0, 2, 4]", "[0, 1, 2, 4]", "[0, 3, 4]"),
        right=1,
        why="Key block 0 is listed by query blocks 0 and 1, key block 1 by 1 and 2: row = [0, 1, 1, 2].",
    ),
    Question(
        id="16.judge.test",
        text="An implementation computes dv as if dout were all ones. Which test sees it?",
        options=(
            "`out.sum().backward()`, then compare dv",
            "Compare the outputs",
            "A random dout, then compare dv",
            "Check that dv is finite",
        ),
        right=2,
        why="The gradient of a sum is a dout of ones: with it the fault is no fault.",
    ),
    Question(
        id="16.transfer.lists",
        text=(
            "dQ is given the transposed lists by mistake, of a causal layout of square blocks. The kernel "
            "applies its rule. What is dq?"
        ),
        options=(
            "Right",
            "NaN",
            "Only what the diagonal blocks give; the rest is missing",
            "Twice as large",
        ),
        right=2,
        why=(
            "The transposed list of block i holds i and what comes after it. What comes after is hidden by "
            "the rule and adds 0; what came before is not listed."
        ),
    ),
    Question(
        id="16.transfer.empty",
        text=(
            "A query sees nothing, so its lse is -inf. Which of these turns it into NaN in the backward pass?"
        ),
        options=(
            "`p = where(seen, exp(s - lse), 0)`",
            "`s = where(seen, s, -inf)`, then `p = exp(s - lse)`",
            "Both",
            "Neither",
        ),
        right=1,
        why=(
            "-inf - (-inf) is NaN. The first gives exp(inf) = inf and then throws it away. A kernel of the "
            "second kind has to guard lse: read it as +inf, and p is 0."
        ),
    ),
    Question(
        id="16.transfer.nan",
        text="dk holds NaN in the rows of one key block only; dv is finite. Where do you look first?",
        options=(
            "In the values of that block, or in delta of a query that sees it",
            "In the keys of another block",
            "In lse of a query that sees that block",
            "In the lists",
        ),
        right=0,
        why=(
            "dv is made from p and do: they are finite, so lse and the scores are. What dk has more is "
            "ds = p (do·v - delta). NaN in delta of a query reaches the key blocks that it sees and no other."
        ),
    ),
    Question(
        id="16.transfer.dots",
        text="A layout has 10 full and 6 partial blocks. How many `tl.dot` do forward and backward take?",
        options=("80", "112", "144", "The partial ones cost half"),
        right=2,
        why="(2 + 7) * 16. A partial block is multiplied whole; its mask is applied afterwards.",
    ),
    Question(
        id="16.transfer.groups",
        text="Four query heads share one key head. What changes in the backward pass?",
        options=(
            "dQ sums over the four heads",
            "dK and dV sum over the four heads, so one program walks the lists of all four",
            "Nothing: each head has its own dk",
            "delta is summed over the four heads",
        ),
        right=1,
        why=(
            "Key j is seen by queries of four heads, and its gradient is the sum over them all: one "
            "program loops over the heads. With a program for each head four would write one number."
        ),
    ),
)
