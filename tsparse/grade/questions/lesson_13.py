"""Questions of lesson 13 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="13.recall.alpha",
        text="Attention runs over tiles of keys. A tile brings a larger maximum. What happens to `acc`?",
        options=(
            "Nothing: it is divided at the end",
            "It is multiplied by exp(old maximum - new maximum), then the tile is added",
            "It starts again at 0",
            "It is divided by the new maximum",
        ),
        right=1,
        why="The old terms were measured from the old maximum. `l_i` shrinks by the same factor.",
    ),
    Question(
        id="13.recall.flex",
        text="`create_block_mask` gets a rule and the lengths N and N. How often is the rule evaluated?",
        options=("Once for each block", "N x N times", "Once for each visible pair", "N times"),
        right=1,
        why=(
            "It makes the whole N x N mask and looks which blocks are empty. A layout made from the "
            "pattern's arithmetic never does."
        ),
    ),
    Question(
        id="13.recall.weights",
        text="Two attention heads give the same outputs for a sentence. Are their weights the same?",
        options=(
            "Yes, outputs determine weights",
            "Only if both have one query",
            "Not necessarily: different weights can give equal outputs",
            "Yes, up to a constant factor",
        ),
        right=2,
        why="Where values are alike it does not matter which is weighed. So weights alone explain little.",
    ),
    Question(
        id="13.lanes",
        text="n is 21, BLOCK is 8, the grid has 3 programs. With how many lanes does the last one compute?",
        options=("5", "8", "3", "21"),
        right=1,
        why=(
            "BLOCK is the size of every program: it was fixed when the kernel was compiled. Three of the 8 "
            "lanes have nothing to do, and the mask keeps them from touching memory."
        ),
    ),
    Question(
        id="13.race",
        text=(
            "Three programs each add their part of a row to `y[row]`: load it, add, store it. What is in "
            "`y` afterwards?"
        ),
        options=(
            "The sums, in the interpreter and on a GPU",
            "The sums in the interpreter; on a GPU anything from one part to the sum",
            "An error in both",
            "One part only, in both",
        ),
        right=1,
        why=(
            "The interpreter runs programs one after another. On a GPU all three may load before any of "
            "them stores; then the last one wins and the others are lost."
        ),
    ),
    Question(
        id="13.padded",
        text=(
            "The kernel is right on `torch.randn(6, 27)`. Now the same numbers are the first 27 columns of a "
            "table with 32. Which rows are wrong?"
        ),
        options=("None", "All", "All but row 0", "Only the last"),
        right=2,
        why="Row 0 begins at the pointer in both. Row i begins 32 i places further on, not 27 i.",
    ),
    Question(
        id="13.judge.scale",
        text="x has 4 rows of 21 columns, BLOCK is 8. Which picture shows what program (2, 1) loads of x?",
        options=("A", "B", "C", "D"),
        right=2,
        why="Axis 0 of the grid is the row: row 2. Axis 1 is the piece: piece 1 has the columns 8 to 15.",
    ),
    Question(
        id="13.judge.softmax",
        text="A row (0, 0, 0) in a block of 4 lanes: what are the weights if the absent lane is loaded as 0?",
        options=("1/3 each", "1/4 each", "NaN", "0"),
        right=1,
        why="The absent lane adds exp(0) = 1 to the sum. As -inf it would add 0, and weights would be 1/3.",
    ),
    Question(
        id="13.judge.matmul",
        text="a is 20 x 35, b is 35 x 70; BM, BN, BK are 16, 32, 16. How many `tl.dot` does the launch do?",
        options=("6", "9", "18", "49000"),
        right=2,
        why="2 x 3 tiles of the result, and ceil(35 / 16) = 3 pieces of k for each.",
    ),
)
