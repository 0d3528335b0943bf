"""Questions of lesson 08 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="08.recall.kept",
        text="A pattern shows 10% of all pairs and keeps 90% of a head's attention weight. What follows?",
        options=(
            "It computes 90% of the pairs",
            "Most of the head's weight lies on few pairs, and the pattern has them",
            "The head's output is 90% right",
            "Nine heads in ten can be removed",
        ),
        right=1,
        why=(
            "Kept mass sums the weight on visible pairs. It says where the weight lies, not how the output "
            "changes: a small weight on a large value can still matter."
        ),
    ),
    Question(
        id="08.recall.residual",
        text="A layer computes x + attention(x), and a token may not see itself. What is left of it?",
        options=("Nothing", "Itself: x is added", "Half of it", "What others saw of it"),
        right=1,
        why="The residual connection carries x past the attention, whatever the mask says.",
    ),
    Question(
        id="08.recall.leak",
        text="How do you find out whether an attention function sees the future?",
        options=(
            "Its loss is too high",
            "Read its mask",
            "Change one token; outputs before it must not move",
            "Compare its speed with a causal one",
        ),
        right=2,
        why="Ask the function, not the code: a leak makes the loss better, and a mask can be upside down.",
    ),
    Question(
        id="08.random",
        text=(
            "2,048 tokens, three random keys each: 0.15% of all pairs. Into how many of the 64 x 64 blocks "
            "does at least one of them fall?"
        ),
        options=("0.15%", "about 5%", "about half", "nearly all"),
        right=3,
        why=(
            "A row of 32 blocks belongs to 64 queries, which draw 192 keys. A block is missed by all of them "
            "with probability (31/32)^192, which is 0.2%."
        ),
    ),
    Question(
        id="08.permute",
        text="How many of the 528 blocks hold at least one visible pair?",
        options=("32, the diagonal", "64", "264, every second one", "all 528"),
        right=3,
        why=(
            "Keys lie 32 apart and a block is 32 wide: each query finds exactly one key in every block "
            "before its own. A 32nd of the pairs, all of the blocks."
        ),
    ),
    Question(
        id="08.judge.strided",
        text="7 tokens, stride 3. Which of the four pictures is causal strided attention?",
        options=PICTURES,
        right=2,
        why=(
            "Query 6 sees 6, 3 and 0, query 5 sees 5 and 2. A counts from the beginning, B looks ahead too, "
            "D sees only one step back."
        ),
    ),
    Question(
        id="08.judge.fixed",
        text="8 tokens, chunks of 4, width 1. Which of the four pictures is fixed attention, made causal?",
        options=PICTURES,
        right=1,
        why=(
            "Queries 4 to 7 see their own chunk and key 3, the last place of the chunk before. A takes the "
            "first place, C a window, D lets a chunk see its own future."
        ),
    ),
    Question(
        id="08.judge.bigbird",
        text=(
            "6 tokens, radius 1, one global token, one random key each: random_keys is 3, 4, 5, 0, 1, 1. "
            "Which of the four pictures is it?"
        ),
        options=PICTURES,
        right=0,
        why=(
            "Row 0 and column 0 are full, and query 5 sees key 1. B lacks the global row, C uses the random "
            "keys as queries, D looks only back."
        ),
    ),
    Question(
        id="08.judge.reach",
        text="5 tokens, a causal window of 2, two layers. Row q shows who reaches q. Which picture is it?",
        options=PICTURES,
        right=3,
        why=(
            "Each layer adds one more token behind: three in all after two. A is the mask itself, B is its "
            "transpose's reach, C has lost the tokens that arrived after one layer."
        ),
    ),
    Question(
        id="08.judge.order",
        text="7 tokens, stride 3. Which order brings together what strided attention lets see each other?",
        options=("0 1 2 3 4 5 6", "0 3 6 1 4 2 5", "0 3 5 1 4 6 2", "6 3 0 4 1 5 2"),
        right=1,
        why=(
            "Remainder 0 is 0, 3, 6; remainder 1 is 1, 4; remainder 2 is 2, 5. The third is the inverse: it "
            "says where each position went."
        ),
    ),
)
