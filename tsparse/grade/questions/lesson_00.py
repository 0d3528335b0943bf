"""Questions of lesson 00: a mask as a picture, and six about PyTorch."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        "00.causal",
        "Four tokens. Each may look at itself and at the tokens before it. Which picture shows that?",
        ("the first", "the second", "the third", "the fourth"),
        right=2,
        why="In C, row 0 sees key 0 and row 3 sees keys 0 to 3. "
        "A has queries and keys exchanged: its row 0 sees keys 1 to 3, the future. "
        "B hides each query's own key, so its row 0 sees nothing. "
        "D starts one key too far: its row 0 sees key 1, the future.",
    ),
    Question(
        "00.torch.broadcasting",
        "What is the shape of `torch.arange(4)[:, None] + torch.arange(3)`?",
        ("[4, 3]", "[3, 4]", "[4, 4]", "It raises an error."),
        right=0,
        why="`[:, None]` makes the first one [4, 1]; beside [3] it becomes [4, 3]. "
        "Axes are lined up from the right, and an axis of length 1 is repeated.",
        teach="#Broadcasting",
    ),
    Question(
        "00.torch.view",
        "`x` is `[[0, 1, 2], [3, 4, 5]]`. What is the first row of `x.view(3, 2)`?",
        ("[0, 3]", "[0, 1]", "[0, 2]", "It raises an error."),
        right=1,
        why="`view` reads the numbers in the order in which they lie in memory: 0, 1, then 2, 3. "
        "[0, 3] is the first row of `x.T`: a transpose exchanges axes, a view cuts the same line anew.",
        teach="#View-against-transpose",
    ),
    Question(
        "00.torch.strides",
        "`x = torch.zeros(2, 3, 4)` has strides (12, 4, 1). What are the strides of `x.transpose(1, 2)`?",
        ("(12, 4, 1)", "(12, 3, 1)", "(12, 1, 4)", "(8, 4, 1)"),
        right=2,
        why="A transpose moves no number: it exchanges the two shapes and the two strides. "
        "(12, 3, 1) is what a copy in the new order would have.",
        teach="#Strides",
    ),
    Question(
        "00.torch.reductions",
        "`p` has shape [5, 7]. Which one makes every row sum to 1?",
        ("p / p.sum()", "p / p.sum(-1)", "p / p.sum(0)", "p / p.sum(-1, keepdim=True)"),
        right=3,
        why="`keepdim=True` leaves [5, 1], which is repeated along the row. `p.sum(-1)` is [5], and does not "
        "line up with 7 columns; with a square `p` it would divide by sums of other rows, without an error. "
        "`p.sum(0)` makes columns sum to 1, `p.sum()` everything together.",
        teach="#Reductions-and-keepdim",
    ),
    Question(
        "00.torch.autograd",
        "`x = torch.tensor(3.0, requires_grad=True)`. You run `(x * x).backward()` twice. What is `x.grad`?",
        ("6", "9", "12", "36"),
        right=2,
        why="The gradient of `x * x` at 3 is 6, and `backward` adds to `x.grad`: 6 + 6 = 12. "
        "That is why training loops set gradients back to zero.",
        teach="#Autograd",
    ),
    Question(
        "00.torch.dtype",
        "What is `torch.tensor(300.0, dtype=torch.float16) ** 2`?",
        ("90000", "65504", "inf", "It raises an error."),
        right=2,
        why="The largest float16 is 65504. Larger results become inf, without an error. "
        "Attention scores in half precision meet this limit.",
        teach="#Dtypes",
    ),
)
