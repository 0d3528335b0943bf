"""Questions of lesson 03 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="03.recall.polarity",
        text="A mask is True where a query may see a key. Which call takes it as it is?",
        options=(
            "F.scaled_dot_product_attention(q, k, v, attn_mask=mask)",
            "nn.MultiheadAttention(...)(q, k, v, attn_mask=mask)",
            "Both",
            "Neither",
        ),
        right=0,
        why="The function reads True as may see, the module reads True as hidden: it wants ~mask.",
    ),
    Question(
        id="03.recall.noticed",
        text="You change token 4 and call a causal attention again. Which outputs may move?",
        options=("Output 4 only", "Outputs 0 to 4", "Output 4 and all after it", "All of them"),
        right=2,
        why="Token 4 is seen by itself and by what comes after it. If an earlier output moves, it is a leak.",
    ),
    Question(
        id="03.recall.view",
        text="x is torch.arange(6).view(2, 3). What is x.view(3, 2)?",
        options=(
            "[[0, 3], [1, 4], [2, 5]]",
            "[[0, 1], [2, 3], [4, 5]]",
            "[[0, 1, 2], [3, 4, 5]]",
            "An error",
        ),
        right=1,
        why=(
            "A view cuts the same line of numbers, 0 to 5, into other rows. The first answer is the "
            "transpose, which exchanges the axes."
        ),
    ),
    Question(
        id="03.key_bias",
        text=(
            "in_proj_bias has a third for the queries, one for the keys and one for the values. You set one "
            "third to 0. Which one may you take without changing any output?"
        ),
        options=("That of the queries", "That of the keys", "That of the values", "None of them"),
        right=1,
        why=(
            "The bias b of the keys adds q·b to every score of the query's row: the same number for all "
            "keys, and a softmax does not notice a constant."
        ),
    ),
    Question(
        id="03.operations",
        text=(
            "You cut 64 channels into 16 heads of 4 instead of one head of 64. How many multiplications do "
            "scores and averages need now?"
        ),
        options=("16 times as many", "4 times as many", "Just as many", "A sixteenth"),
        right=2,
        why="16 tables of scores, but each entry is a dot product of 4 numbers instead of 64.",
    ),
    Question(
        id="03.judge.split",
        text=(
            "3 tokens of 4 channels, 2 heads. Each picture shows what stands in head 1, as token·channel. "
            "Which is right?"
        ),
        options=PICTURES,
        right=2,
        why=(
            "Head 1 has the last two channels of every token. A is a view without a swap: two tokens in one "
            "head. B takes every second channel. D has tokens and channels exchanged."
        ),
    ),
    Question(
        id="03.judge.merge",
        text=(
            "2 heads, 3 tokens. Write h·t for what head h holds of token t. What stands in row 0 after "
            "merging?"
        ),
        options=("0·0 and 1·0", "0·0 and 0·1", "0·0, 0·1 and 0·2", "The mean of 0·0 and 1·0"),
        right=0,
        why="Row 0 belongs to token 0, so both pieces are of token 0, one from each head, side by side.",
    ),
    Question(
        id="03.judge.multi_head",
        text="E = 512 channels, H = 8 heads. By what are the scores divided?",
        options=("√512 ≈ 22.6", "√64 = 8", "√8 ≈ 2.8", "512"),
        right=1,
        why="A score is a dot product of the 512 / 8 = 64 channels of one head, so its variance is near 64.",
    ),
    Question(
        id="03.judge.groups",
        text="6 query heads, 2 groups of keys and values. Which group do the heads 0 to 5 read?",
        options=("0 1 0 1 0 1", "0 0 1 1 2 2", "0 0 0 1 1 1", "0 0 0 0 0 0"),
        right=2,
        why=(
            "A group serves a run of 6 / 2 = 3 neighbours. The first answer deals the heads round, the "
            "second divides by 2 instead of 3 and asks for a group that is not there."
        ),
    ),
)
