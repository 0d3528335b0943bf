"""Questions of lesson 09 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="09.recall.random",
        text=(
            "2,048 tokens, each sees three keys that were drawn at random: 0.15% of the pairs. How many of "
            "the blocks of 64 x 64 hold a visible pair?"
        ),
        options=("0.15%", "About 3%", "About 20%", "Nearly all"),
        right=3,
        why=(
            "A row of blocks has 64 queries with 192 draws over 32 key blocks: hardly a block is missed. "
            "That is why BigBird draws whole blocks."
        ),
    ),
    Question(
        id="09.recall.fused",
        text="Fused attention holds no N x N table. What of it still grows with the square of N?",
        options=("The memory it holds", "Its operations", "The bytes of q, k and v", "Nothing"),
        right=1,
        why="It computes every score, and forgets it. Only leaving blocks out makes that less.",
    ),
    Question(
        id="09.recall.group",
        text="Six heads of queries share two heads of keys. Which head of keys does query head 4 read?",
        options=("Head 0", "Head 1", "Both", "It has its own"),
        right=1,
        why="Three neighbours share one: 4 // (6 / 2) = 1.",
    ),
    Question(
        id="09.ragged",
        text=(
            "14 queries, 10 keys, causal, blocks of 4. Block (3, 0) has 2 of its 4 queries, block (3, 2) has "
            "2 of its 4 keys; every pair that exists in them is visible. Which of the two needs a mask?"
        ),
        options=("Block (3, 0)", "Block (3, 2)", "Both", "Neither"),
        right=1,
        why=(
            "A key that does not exist would get a weight in the sum of queries that do. A query that does "
            "not exist only spoils its own row, which nobody stores."
        ),
    ),
    Question(
        id="09.fill",
        text=(
            "A causal window of 256 keys over a long text, in blocks of 256 x 256. How much of what is "
            "computed is visible?"
        ),
        options=("All of it", "Three quarters", "Half", "A quarter"),
        right=2,
        why=(
            "A row touches two blocks, its own and the one before, which is 512 keys for each query. It sees "
            "256 of them."
        ),
    ),
    Question(
        id="09.twice",
        text=(
            "A row lists key block 0 four times and three other blocks once. All scores of a query are "
            "equal. How much of its weight goes to block 0?"
        ),
        options=("A quarter", "Four sevenths", "Four fifths", "All of it"),
        right=1,
        why="The softmax sees seven blocks with equal scores, and four of them are block 0.",
    ),
    Question(
        id="09.judge.any",
        text="Which picture shows the blocks of 2 queries and 3 keys that this mask needs?",
        options=PICTURES,
        right=2,
        why=(
            "The third. The first wants all pairs of a block, the second has blocks of 3 queries and 2 keys, "
            "and the fourth looks at the first place of each block only."
        ),
    ),
    Question(
        id="09.judge.classify",
        text=(
            "Everything is visible: 6 queries, 6 keys, blocks of 4. What are the blocks (0, 1) and (1, 0)?"
        ),
        options=("Full and full", "Partial and partial", "Partial and full", "Full and partial"),
        right=2,
        why="Block (0, 1) lacks two keys, so it needs a mask. Block (1, 0) lacks two queries and needs none.",
    ),
    Question(
        id="09.judge.csr",
        text="crow = [0, 2, 2, 5]. How many blocks have the rows 0, 1 and 2?",
        options=("0, 2 and 2", "2, 2 and 5", "2, 0 and 3", "It depends on col"),
        right=2,
        why="Row i lists col[crow[i]:crow[i + 1]]: two blocks, none, three.",
    ),
    Question(
        id="09.judge.transpose",
        text="crow = [0, 1, 3], col = [2, 0, 2], three columns. Which rows list column 2?",
        options=("Row 0", "Row 1", "Rows 0 and 1", "None"),
        right=2,
        why="Row 0 lists block 2; row 1 lists the blocks 0 and 2.",
    ),
    Question(
        id="09.judge.window",
        text="Window 5, blocks of 4, a long text. Which key blocks does query block 3 touch?",
        options=("Block 3", "Blocks 2 and 3", "Blocks 1, 2 and 3", "Blocks 2, 3 and 4"),
        right=1,
        why="Its queries are 12 to 15. Query 12 sees back to key 8, the first of block 2.",
    ),
)
