"""Questions of lesson 02 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="02.recall.broadcast",
        text="What is torch.arange(4)[:, None] <= torch.arange(6)?",
        options=(
            "An error: 4 and 6 do not fit",
            "A table of booleans, [4, 6]",
            "A table of booleans, [6, 4]",
            "One boolean",
        ),
        right=1,
        why="[4, 1] beside [6] becomes [4, 6]: each of the 4 numbers meets each of the 6.",
    ),
    Question(
        id="02.recall.hidden",
        text="What must become of a score, before the softmax, so that its key gets no weight?",
        options=("It becomes 0", "It becomes -1", "It becomes -inf", "It is left out of the sum afterwards"),
        right=2,
        why=(
            "exp(-inf) is 0, and the other keys share out all of 1. A score of 0 still weighs exp(0) = 1, "
            "and what is taken away after the softmax is lost to the row."
        ),
    ),
    Question(
        id="02.recall.constant",
        text="You add 3 to every score of one row. What happens to its weights?",
        options=("Nothing", "They all grow", "The largest one grows", "They are multiplied by exp(3)"),
        right=0,
        why=(
            "exp(3) stands above and below the fraction and cancels. So a constant added to a whole row "
            "hides nothing, not even a constant of -1e9."
        ),
    ),
    Question(
        id="02.decode",
        text=(
            "A cache holds 9 keys. One query, the newest token, asks F.scaled_dot_product_attention with "
            "is_causal=True. How many of the 9 keys does it see?"
        ),
        options=("All 9", "8: all but its own", "1", "None: an error is raised"),
        right=2,
        why=(
            "is_causal=True puts the only query at position 0, so it sees key 0, the oldest. To a human the "
            "newest token stands last; the function is not told."
        ),
    ),
    Question(
        id="02.leak",
        text="You train with this attention on random tokens. What will the loss do, compared with ln 8?",
        options=("Stay near ln 8", "Rise above it", "Fall far below it", "Become NaN"),
        right=2,
        why=(
            "Nobody can guess better than ln 8, so the model does not guess: it sees the next token. A leak "
            "does not look like a failure, it looks like a success."
        ),
    ),
    Question(
        id="02.judge.causal",
        text="3 queries, 6 keys, q_offset = 2. Which of the four pictures is the causal mask?",
        options=PICTURES,
        right=1,
        why=(
            "Query 0 stands at position 2 and sees keys 0 to 2. In A the offset is missing, in C the "
            "queries stand at the end, in D every query misses its own key."
        ),
    ),
    Question(
        id="02.judge.window",
        text="7 queries, 7 keys, window 3. Which of the four pictures is the sliding window?",
        options=PICTURES,
        right=3,
        why=(
            "Query 6 sees keys 4, 5 and 6: three, and its own is one of them. A shows four keys, B looks "
            "ahead, C is cut into chunks."
        ),
    ),
    Question(
        id="02.judge.padding",
        text=(
            "Two texts of 4 and 2 tokens, filled up to 4 keys, in a batch with 8 heads. Which shape does "
            "the mask have, and what stands in it for the second text?"
        ),
        options=(
            "[2, 1, 1, 4], and True True False False",
            "[2, 1, 4, 1], and True True False False",
            "[2, 4], and False False True True",
            "[2, 1, 1, 4], and False False True True",
        ),
        right=0,
        why=(
            "The keys are the last axis, and axes of length 1 stretch over 8 heads and all queries. True "
            "marks what may be seen, so the two real tokens."
        ),
    ),
    Question(
        id="02.judge.documents",
        text="The tokens carry the ids 5 5 2 2 5. Which of the four pictures is their document mask?",
        options=PICTURES,
        right=2,
        why=(
            "Token 4 belongs to document 5, like tokens 0 and 1, wherever it stands. In A the third run "
            "counts as a new document, B is causal too, D shows documents with smaller ids."
        ),
    ),
    Question(
        id="02.judge.softmax",
        text=(
            "Two rows of scores, 0, 0, 0 and 0, 0, 0. The first row may see keys 0 and 1, the second "
            "nothing. Which weights are right?"
        ),
        options=(
            "1/2, 1/2, 0 and 0, 0, 0",
            "1/3, 1/3, 0 and 0, 0, 0",
            "1/2, 1/2, 0 and 1/3, 1/3, 1/3",
            "1/2, 1/2, 0 and NaN, NaN, NaN",
        ),
        right=0,
        why=(
            "Visible keys share out all of 1, and a row that sees nothing has nothing to share. The second "
            "answer hides after the softmax, the third uses -1e9, the fourth -inf without treating the "
            "empty row."
        ),
    ),
    Question(
        id="02.judge.leak",
        text=(
            "Dark: the output of this row's query moved when this column's key and value were changed. "
            "Which of the four is not causal?"
        ),
        options=PICTURES,
        right=1,
        why=(
            "In B query 2 notices key 4, which comes after it. A is causal, C a window, D a document mask "
            "with causal: all of them look only back."
        ),
    ),
)
