"""Questions of lesson 10 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="10.recall.readers",
        text=(
            "A causal layout. In the backward pass a program owns key block 0. Where does it read which "
            "blocks to visit?"
        ),
        options=(
            "In row 0 of the lists",
            "In the transposed lists: which rows list block 0",
            "Nowhere: key block 0 needs no gradient",
            "In the diagonal blocks",
        ),
        right=1,
        why="Row 0 says what query block 0 reads. Who reads key block 0 stands in the transposed lists.",
    ),
    Question(
        id="10.recall.weights",
        text=(
            "A head finds nothing worth looking at, and its weights still sum to 1. Where does a trained "
            "model often put them?"
        ),
        options=(
            "Evenly on all keys",
            "On a token that does no harm, often the first",
            "On the query's own key, always",
            "Nowhere: the row becomes 0",
        ),
        right=1,
        why="Softmax must share out all of 1. Much lands where it does no harm, often on the first token.",
    ),
    Question(
        id="10.recall.alibi",
        text="Slope 0.5, the query at position 9, the key at position 3. What does ALiBi do to the score?",
        options=("It adds 3", "It takes away 3", "It multiplies by 0.5", "It takes away 0.5"),
        right=1,
        why="ALiBi takes away slope times distance, 0.5 times 6. Far keys lose more.",
    ),
    Question(
        id="10.lists",
        text=(
            "A BlockMask says two things: its mask_mod is causal, its lists hold only the diagonal blocks. "
            "flex_attention is compiled. What does the last query see?"
        ),
        options=(
            "Every key: the mask_mod decides",
            "The keys of its own block only: the lists decide first",
            "Nothing: an error is raised, the two disagree",
            "Every key, but more slowly",
        ),
        right=1,
        why="A compiled FlexAttention visits the listed blocks, and asks the mask_mod inside of them only.",
    ),
    Question(
        id="10.sink",
        text="The sink of head 1 is raised from 0 to 5. What happens to the output of head 1?",
        options=(
            "It shrinks: the sink takes weight",
            "It grows",
            "Nothing at all",
            "Only the first queries change",
        ),
        right=2,
        why="Here the sink was added to every score of the row, and a softmax does not see a constant.",
    ),
    Question(
        id="10.judge.mask_mod",
        text="8 queries and keys, window 3, 1 sink. Which of the four pictures is it?",
        options=PICTURES,
        right=2,
        why=(
            "Query 7 sees keys 5, 6, 7 and the sink, key 0. A has four keys in its window, B has two sinks, "
            "in D nobody sees the sink once it has left the window."
        ),
    ),
    Question(
        id="10.judge.score_mod",
        text=(
            "cap = 2, slopes = (1, 0.5). A score of 2 of head 1, query 3, key 7. tanh(1) is 0.76. Which is "
            "the new score?"
        ),
        options=("1.52 - 2 = -0.48", "1.52 - 4 = -2.48", "1.52 + 2 = 3.52", "0.76 - 2 = -1.24"),
        right=0,
        why="2 tanh(2 / 2) = 1.52, and head 1 loses 0.5 times the distance 4, which is 2.",
    ),
    Question(
        id="10.judge.block_lists",
        text=(
            "3 columns of blocks. Row 0 lists block 0, row 1 lists the blocks 0 and 2. Which counts and "
            "indices (without their two leading axes)?"
        ),
        options=(
            "1, 2 and [0, 0, 0], [0, 2, 0]",
            "1, 2 and [0, 0], [0, 2]",
            "0, 1 and [0, 0, 0], [0, 2, 0]",
            "1, 2 and [1, 0, 0], [1, 0, 1]",
        ),
        right=0,
        why=(
            "As wide as there are columns, unused places 0. The second is compact, the third says where rows "
            "start, the fourth marks blocks."
        ),
    ),
)
