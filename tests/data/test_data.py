"""Dates are written as people write them, splits share no day, a vocabulary turns texts round and back."""

import itertools
import re
from datetime import date, timedelta

import pytest
import torch

from tsparse.data import END, PAD, START, Vocabulary, dates


def test_every_form_of_one_date_reads_as_people_write_it() -> None:
    assert [dates.spell(date(2021, 2, 28), form) for form in range(len(dates.FORMS))] == [
        "the twenty-eighth of February 2021",
        "Sunday the twenty-eighth of February 2021",
        "February the twenty-eighth, 2021",
        "28 February 2021",
        "February 28, 2021",
        "Sunday, February 28, 2021",
    ]


def test_there_are_31_different_ordinals_and_they_end_as_ordinals_do() -> None:
    assert len(set(dates.ORDINALS)) == 31
    endings = {1: "first", 2: "second", 3: "third"}
    for day, word in enumerate(dates.ORDINALS, start=1):
        assert word.endswith(endings.get(day % 10 if day not in (11, 12, 13) else 0, "th"))
    assert dates.ORDINALS[11] == "twelfth"
    assert dates.ORDINALS[29] == "thirtieth"


def test_split_holds_every_day_once_and_shares_none() -> None:
    train, test = dates.split(held_out=500, seed=3)
    assert len(test) == 500
    assert sorted(train + test) == [
        dates.FIRST + timedelta(number) for number in range((dates.LAST - dates.FIRST).days + 1)
    ]
    assert sorted(test) != test, "the days are in random order"


def test_split_and_pairs_and_batches_depend_on_nothing_but_the_seed() -> None:
    train, test = dates.split(100, seed=1)
    assert (train, test) == dates.split(100, seed=1) != dates.split(100, seed=2)
    assert dates.pairs(test, seed=1) == dates.pairs(test, seed=1) != dates.pairs(test, seed=2)
    first, again, other = (list(itertools.islice(dates.batches(train, 4, seed), 3)) for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] != first[1]


def test_pairs_take_each_day_once_in_order_and_use_every_form() -> None:
    _, test = dates.split(600)
    made = dates.pairs(test)
    assert [iso for _, iso in made] == [day.isoformat() for day in test]
    for form in range(len(dates.FORMS)):
        assert any(words == dates.spell(day, form) for (words, _), day in zip(made, test, strict=True))


def test_batches_draw_from_the_days_they_are_given() -> None:
    days = [date(2000, 1, 1), date(2001, 2, 3)]
    batch = next(dates.batches(days, size=50))
    assert len(batch) == 50
    assert {iso for _, iso in batch} == {"2000-01-01", "2001-02-03"}


@pytest.mark.parametrize("held_out", [0, -1, 36525])
def test_split_refuses_to_leave_nothing(held_out: int) -> None:
    with pytest.raises(ValueError, match="held_out must be 1 to 36524"):
        dates.split(held_out)


def test_texts_come_back_from_their_numbers() -> None:
    texts = ["the third of May 1998", "", "3 May 1998"]
    vocabulary = Vocabulary(texts)
    table = vocabulary.encode(texts)
    assert table.dtype == torch.int64
    assert table.shape == (3, len(texts[0]) + 1)
    assert vocabulary.decode(table) == texts


def test_a_row_is_its_characters_then_the_end_then_fillers() -> None:
    rows = Vocabulary(["ab"]).encode(["ba", "a"]).tolist()
    assert rows == [[4, 3, END], [3, END, PAD]]


def test_numbers_do_not_depend_on_the_order_of_the_texts() -> None:
    assert Vocabulary(["cab", "d"]).characters == Vocabulary(["d", "bac", "a"]).characters == "abcd"


def test_decoding_stops_at_the_end_and_leaves_special_tokens_out() -> None:
    assert Vocabulary(["ab"]).decode([[START, 3, PAD, 4, END, 3, 3]]) == ["ab"]


def test_length_counts_the_special_tokens_and_is_what_an_embedding_needs() -> None:
    vocabulary = Vocabulary(["aab"])
    assert len(vocabulary) == 5
    assert int(vocabulary.encode(["ab"]).max()) == len(vocabulary) - 1


def test_unknown_character_is_named() -> None:
    with pytest.raises(ValueError, match=re.escape("texts hold 'z'; the vocabulary has 'ab'")):
        Vocabulary(["ab"]).encode(["az"])


@pytest.mark.parametrize("number", [-1, 5])
def test_number_that_is_no_token_is_named(number: int) -> None:
    with pytest.raises(ValueError, match=f"tokens must be 0 to 4, got {number}"):
        Vocabulary(["ab"]).decode([[number]])


def test_decoding_numbers_that_are_not_whole_is_refused() -> None:
    with pytest.raises(TypeError, match="tokens must be integers"):
        Vocabulary(["ab"]).decode(torch.ones(1, 2))


def test_no_texts_make_an_empty_table() -> None:
    assert Vocabulary(["ab"]).encode([]).numel() == 0
