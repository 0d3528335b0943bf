"""Questions of lesson 07 and its sheet."""

from tsparse.grade.questions import Question

PICTURES = ("the first", "the second", "the third", "the fourth")

QUESTIONS = (
    Question(
        id="07.recall.quadratic",
        text="A text becomes three times as long. How many scores does one head of dense attention compute?",
        options=("3 times as many", "6 times as many", "9 times as many", "27 times as many"),
        right=2,
        why="Each query meets each key: N times N, so 3 times 3.",
    ),
    Question(
        id="07.recall.rotary",
        text="All tokens move 100 places to the right. What happens to their scores with rotary positions?",
        options=("They fall with the distance", "Nothing", "They change sign", "They are multiplied by 100"),
        right=1,
        why=(
            "Turned by its position, a query and a key have a product that depends on the distance between "
            "them, and distances have not changed."
        ),
    ),
    Question(
        id="07.recall.average",
        text="All values of a head lie between -1 and 2. Where can its output lie?",
        options=(
            "Between -1 and 2",
            "Between -M and 2M, for M keys",
            "Anywhere: weights have no bound",
            "Between 0 and 1",
        ),
        right=0,
        why="Weights are not negative and sum to 1, so the output is an average of the values.",
    ),
    Question(
        id="07.control",
        text=(
            "The control task gives each of 95 syllables a coin flip as its label. A small MLP reads the "
            "embedding of a syllable and learns the labels on 128 texts. How often is it right on 128 others?"
        ),
        options=(
            "About 50%: the labels mean nothing",
            "About 66%",
            "About 80%",
            "Nearly always",
        ),
        right=3,
        why=(
            "New texts are made of the same syllables. Whoever can tell 95 vectors apart can learn 95 labels "
            "by heart, and a probe with enough capacity can."
        ),
    ),
    Question(
        id="07.weights",
        text=(
            "D is 8, as in our model, and there are 25 different keys. How many rows of weights, none "
            "of them negative and summing to 1, give exactly the output of this one?"
        ),
        options=(
            "Only this one",
            "A few, which differ in the small weights",
            "Endlessly many, all of them close to this one",
            "Endlessly many, some of them mostly on other keys",
        ),
        right=3,
        why="9 equations for 25 unknowns: 16 directions in which the weights can move unnoticed, and far.",
    ),
    Question(
        id="07.judge.entropy",
        text="Each of the four heads has four queries and four keys. Which head has the largest entropy?",
        options=PICTURES,
        right=2,
        why=(
            "In C every query spreads its weight evenly: ln 4. In the others each query looks at one key, "
            "and its entropy is 0. That the *average* over the queries is even in B and D changes nothing."
        ),
    ),
    Question(
        id="07.judge.rollout",
        text=(
            "Layer 1: token 1 reads token 0. Layer 2: token 2 reads token 1. All other tokens read "
            "themselves. Which of the four is the rollout?"
        ),
        options=PICTURES,
        right=1,
        why=(
            "Token 2 is half itself, a quarter token 1 and a quarter token 0, which came through token 1. A "
            "is the reversed product, C has no residual, D is the average of the layers."
        ),
    ),
    Question(
        id="07.judge.probe",
        text=(
            "Four probes, accuracy on new words: on the property, on the control. Which one gives the best "
            "reason to say that the vectors hold the property?"
        ),
        options=("0.99 and 0.98", "0.84 and 0.55", "0.97 on the property; no control", "0.71 and 0.74"),
        right=1,
        why=(
            "Its selectivity is 0.29. The first learns anything, the third does not say, and the fourth does "
            "better on labels that mean nothing."
        ),
    ),
    Question(
        id="07.judge.mass",
        text=(
            "A query has the weights 0.6, 0.1, 0.1, 0.2 on keys 0 to 3. It may see keys 2 and 3. How much of "
            "the weight is kept?"
        ),
        options=("0.15", "0.3", "0.5", "0.7"),
        right=1,
        why="0.1 + 0.2. A half is the share of places, 0.15 a mean over them, 0.7 what is thrown away.",
    ),
)
