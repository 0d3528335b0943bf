"""Questions of lesson 12 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="12.recall.lse",
        text="Of each row the backward pass wants one number besides delta. Which, and what does it save?",
        options=(
            "Its maximum: the scores need not be recomputed",
            "Its lse: exp(s - lse) gives the weights again, so they need not be kept",
            "Its length: the padding need not be masked",
            "Its sum of values: dv need not be computed",
        ),
        right=1,
        why="With s recomputed block by block, exp(s - lse) is the weight. N numbers in place of N x M.",
    ),
    Question(
        id="12.recall.full",
        text="The last block of keys has 5 of 8 keys, and every query sees all 5. What is it?",
        options=("Full", "Partial", "Empty", "That depends on the queries"),
        right=1,
        why=(
            "A block is full if it has all its keys and every query it has sees them all. Without a mask a "
            "kernel would give the three places past the end a weight."
        ),
    ),
    Question(
        id="12.recall.traffic",
        text="How often does the N x N matrix cross memory when attention is written as three lines?",
        options=("Once", "Twice", "Four times", "Never"),
        right=2,
        why="Scores are written and read, weights too. Fused attention does none of the four.",
    ),
    Question(
        id="12.alpha",
        text=(
            "So far m = 2 and l = 3. A chunk of two scores comes, 2 and 12. What is l afterwards, to two "
            "digits?"
        ),
        options=("5.0", "4.0", "1.0", "3.0"),
        right=2,
        why=(
            "m rises to 12. The old sum shrinks to 3 * exp(2 - 12) = 0.0001, the score 2 adds 0.00005, and "
            "12 adds exp(0) = 1. Measured from 12, all that came before is next to nothing."
        ),
    ),
    Question(
        id="12.stale",
        text="150 is subtracted from every score of the row. What does the function with the guard return?",
        options=("The same as before", "NaN", "0", "The average of all values"),
        right=2,
        why=(
            "Its maximum stays at the guard's 0, and exp(-150 + s) is less than the smallest number that "
            "float32 holds. A softmax would not have noticed."
        ),
    ),
    Question(
        id="12.judge.streaming",
        text="After the chunk (0, 0): m = 0 and l = 2. Then comes the chunk (1). What are m and l?",
        options=("m = 1, l = 3", "m = 1, l = 2 e + 1", "m = 1, l = 2 / e + 1", "m = 0, l = 2 + e"),
        right=2,
        why="alpha = exp(0 - 1) = 1/e, so the old 2 becomes 2/e, and the new score adds exp(0) = 1.",
    ),
    Question(
        id="12.judge.merge",
        text="Half 1: output 6, lse = ln 2. Half 2: output 12, lse = ln 4. What is the merged output?",
        options=("9", "10", "8", "18"),
        right=1,
        why="The sums are 2 and 4, so the shares are 1/3 and 2/3: 2 + 8. The lse is ln 6.",
    ),
    Question(
        id="12.judge.tiled",
        text="20 queries, 50 keys, tiles of 8 x 16. How many tiles does the walk visit?",
        options=("7", "9", "12", "1000"),
        right=2,
        why="3 blocks of queries times 4 blocks of keys. The last ones are not whole, and are visited too.",
    ),
    Question(
        id="12.judge.sink",
        text="A row has lse = ln 4 and its head's sink is 0. How much weight is left for the keys?",
        options=("All of it", "Four fifths", "A fifth", "ln 4"),
        right=1,
        why="The keys have 4 of a sum of 4 + exp(0) = 5. A sink of 0 is not no sink: it takes a fifth.",
    ),
)
