"""Questions of lesson 04 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="04.recall.split",
        text="x is [B, N, H * D]. What gives [B, H, N, D] with the right numbers in each head?",
        options=(
            "x.view(B, H, N, D)",
            "x.view(B, N, H, D).transpose(1, 2)",
            "x.transpose(1, 2).view(B, H, N, D)",
            "x.view(B, N, D, H).permute(0, 3, 1, 2)",
        ),
        right=1,
        why=(
            "First cut the channels of each token into heads, then exchange the axes. The first has the "
            "right shape and mixes tokens; the last deals channels out to the heads one by one."
        ),
    ),
    Question(
        id="04.recall.offset",
        text="A cache holds 9 keys and 2 new queries ask, the newest tokens. Which `q_offset` do they have?",
        options=("0", "2", "7", "9"),
        right=2,
        why="The last query stands beside the last key: N = 2, M = 9, so the first one stands at M - N = 7.",
    ),
    Question(
        id="04.recall.scale",
        text="q and k have 64 independent entries of mean 0 and variance 1. How large is q · k typically?",
        options=("About 1", "About 8", "About 64", "About 4096"),
        right=1,
        why="The variances of 64 products add up to 64; its root is 8. Hence the division by the root of D.",
    ),
    Question(
        id="04.count",
        text=(
            "A causal layer without positions reads a start token and then the same word five times. Can its "
            "outputs for word 2 and for word 5 differ?"
        ),
        options=(
            "No: same word, same query, same keys",
            "Yes: the two see different numbers of tokens",
            "Only if there are several heads",
            "Only if the words differ too",
        ),
        right=1,
        why=(
            "Where all keys score alike, each gets 1 divided by the number of visible keys. So the start "
            "token's share tells how many there are: 1/3 for word 2, 1/6 for word 5."
        ),
    ),
    Question(
        id="04.decay",
        text=(
            "q and k are random and independent. Their positions move apart, from 0 to 500 tokens. What "
            "happens to the typical size of their rotary score?"
        ),
        options=("It falls steadily", "It falls, with wiggles", "It stays the same", "It grows"),
        right=2,
        why=(
            "A rotation turns a random key into another random key of the same length, so nothing about its "
            "product with q changes on average."
        ),
    ),
    Question(
        id="04.judge.sinusoidal",
        text="Which of the four tables is sinusoidal(3, 4), with base 10000?",
        options=PICTURES,
        right=0,
        why=(
            "Position 0 is 0, 1, 0, 1, and the second pair turns by 1/100 per position. In B the sines stand "
            "first, in C the second pair turns by 1/10, in D the cosines come first."
        ),
    ),
    Question(
        id="04.judge.rotary",
        text=(
            "A pair (1, 0) that turns by 1 radian, 57 degrees, per position. Each arrow is labelled with its "
            "position. Which of the four pictures is rotary?"
        ),
        options=PICTURES,
        right=2,
        why=(
            "Position 0 is not turned, each next one by 57 degrees more, anticlockwise, and all arrows stay "
            "as long as they were. A turns clockwise, B changes lengths, D begins at position 1."
        ),
    ),
    Question(
        id="04.judge.alibi",
        text="Slope 1, two queries, five keys, q_offset = 2. Which of the four tables is the ALiBi penalty?",
        options=PICTURES,
        right=1,
        why=(
            "Query 0 stands at position 2, where the distance is 0, and every other key is taken something "
            "off. In A the offset is missing, C gives later keys a bonus, D puts the queries at the end."
        ),
    ),
)
