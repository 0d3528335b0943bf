"""Questions of lesson 15 and its sheet."""

from tsparse.grade.questions import Question

QUESTIONS = (
    Question(
        id="15.recall.bound",
        text=(
            "BLOCK_M = 32, BLOCK_N = 16, long sequences, causal. How many key tiles does query block i = 2 "
            "need?"
        ),
        options=("2", "3", "6", "96"),
        right=2,
        why="Its last query is 95, so it needs keys 0 to 95: six tiles of 16.",
    ),
    Question(
        id="15.recall.nothing",
        text=(
            "Attention over an empty set of keys is merged with attention over others. What must it hand "
            "over?"
        ),
        options=(
            "Output 0, lse 0",
            "Output 0, lse -inf",
            "The average of v, lse -inf",
            "NaN in both: merging drops it",
        ),
        right=1,
        why="exp(-inf - lse) = 0 is its share. With lse 0 it would count as a key with score 0.",
    ),
    Question(
        id="15.recall.csr",
        text="crow = [0, 2, 2, 5]. Which entries of col belong to row 2?",
        options=("2 and 3", "2, 3 and 4", "2 to 5", "None: row 2 is empty"),
        right=1,
        why="crow[2] = 2 up to, but not including, crow[3] = 5. Row 1, from 2 to 2, is the empty one.",
    ),
    Question(
        id="15.empty",
        text=(
            "If nothing is done about it before the division, what does the kernel store as the output of "
            "query 40, in row 1?"
        ),
        options=("0", "NaN", "The average of all values", "Nothing: it stays as it was"),
        right=1,
        why="acc and l are still 0, and the store runs for every program: 0/0.",
    ),
    Question(
        id="15.share",
        text="Causal, 8192 tokens, blocks of 128 x 128. Which share of the listed blocks is partial?",
        options=("About 3%", "About 25%", "About 50%", "All of them"),
        right=0,
        why="Only the diagonal: 64 of 64 * 65 / 2 = 2080 blocks. All others lie wholly in the past.",
    ),
    Question(
        id="15.random",
        text=(
            "One pair in a thousand is seen, drawn at random. Which share of 64 x 64 tiles holds one or more?"
        ),
        options=("About 0.1%", "About 6%", "About 50%", "About 98%"),
        right=3,
        why="A tile has 4096 pairs, so 4 of them are seen on average; 0.999 to the power 4096 is 0.017.",
    ),
    Question(
        id="15.end.nan",
        text=(
            "A kernel without the guard, a causal window of 16 keys, BLOCK_M = 64, BLOCK_N = 16, so all "
            "blocks are partial. In query block 1, queries 64 to 127: which outputs are NaN?"
        ),
        options=(
            "None: every query sees its own key",
            "79 to 127",
            "All",
            "64 to 78",
        ),
        right=1,
        why=(
            "The first key of the block is 49, so its first tile is keys 48 to 63. Queries up to 78 see "
            "key 63; from 79 on they see nothing there yet, and what becomes NaN stays NaN."
        ),
    ),
    Question(
        id="15.end.tiles",
        text="1024 tokens, blocks of 64 x 64. A causal window grows from 65 to 66 keys. How many tiles more?",
        options=("0", "1", "14", "16"),
        right=2,
        why=(
            "With 65 keys the first query of a block reaches back just to the start of the block before: 31 "
            "tiles. With 66 it sees one key more, in one tile more, from block 2 on: 45."
        ),
    ),
    Question(
        id="15.end.full",
        text=(
            "75 keys in blocks of 16, no other rule: every query sees every key. Somebody lists all 5 blocks "
            "as full. What does kernel_partial give?"
        ),
        options=(
            "The right output",
            "NaN in every row",
            "Weight for 5 keys that do not exist",
            "An output without keys 64 to 74",
        ),
        right=2,
        why=(
            "Keys 75 to 79 are loaded as 0, score 0, and a full block is not masked: exp(0 - m) is no 0. A "
            "block that sticks out is partial."
        ),
    ),
    Question(
        id="15.end.pattern",
        text=(
            "The window becomes 'the last W keys, and the first 16 of the sequence always', in blocks of 16 "
            "keys. Which steps of kernel_partial change?"
        ),
        options=(
            "which blocks and mask",
            "mask alone, and the lists it is given",
            "which blocks, mask and update",
            "all but store",
        ),
        right=1,
        why=(
            "The loop reads the lists, whatever they hold: block 0 is listed in every row. In partial blocks "
            "the rule has to let the first 16 keys through as well."
        ),
    ),
    Question(
        id="15.end.twice",
        text="A list holds block 3 twice in one row. What is wrong afterwards?",
        options=(
            "Nothing: softmax does not notice",
            "The lse alone",
            "The output alone",
            "Output, lse and cost",
        ),
        right=3,
        why=(
            "Its keys count twice in l and in acc, so their share grows and lse too; and there are two dots "
            "more. No tile is visited that should not be."
        ),
    ),
    Question(
        id="15.judge.tiles",
        text=(
            "crow = [0, 2, 4, 5, 7], col = [1, 3, 0, 2, 3, 0, 1]. Which of the four pictures shows the "
            "right kernel?"
        ),
        options=("A", "B", "C", "D"),
        right=2,
        why=(
            "C holds the lists and no more. A takes 0, 1 for the places in a row, B adds the first block of "
            "the row below, D visits all."
        ),
    ),
    Question(
        id="15.judge.forward",
        text="2 heads share the lists crow = [0, 3, 3, 7]. How many tl.dot does the whole launch make?",
        options=("7", "14", "20", "28"),
        right=3,
        why="7 blocks, two products each, for each of 2 heads. The empty row costs none.",
    ),
    Question(
        id="15.judge.partial",
        text=(
            "WINDOW = 20, a partial block with queries 32 to 63 and keys 16 to 31. Which queries see "
            "nothing in it?"
        ),
        options=("None", "32 to 35", "51 to 63", "52 to 63"),
        right=2,
        why="Key 31 is the last: it is seen up to query 31 + 19 = 50. From 51 on the block is hidden.",
    ),
)
