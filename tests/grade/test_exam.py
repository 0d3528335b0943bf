"""Exams: the words say what the algebra computes, everybody gets other numbers, and marks are fair."""

import csv
import json
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from itertools import combinations
from random import Random

import pytest

from tests.grade import exam_reader
from tsparse.cli import main
from tsparse.grade.exam import command, pages, questions
from tsparse.grade.exam.questions import KINDS, as_written, draw, plan, read, right
from tsparse.grade.exam.rules import FAMILIES

STUDENTS = [f"student {number}" for number in range(40)]
PAIRS = [(kind, family) for kind, one in KINDS.items() for family in one.families]


def as_set(answer):
    return set(answer) if isinstance(answer, tuple) else answer


@pytest.mark.parametrize("seed", ["autumn", "7"])
def test_reader_of_the_printed_page_gets_the_answers_of_the_key(seed):
    for student in STUDENTS[:25]:
        drawn = draw(seed, student, 12)
        printed = exam_reader.answers(pages.sheet(student, drawn, "x.json"))
        assert printed == [as_set(one.answer) for one in drawn]


@pytest.mark.parametrize(("kind", "family"), PAIRS)
def test_every_kind_of_question_on_every_rule_is_read_as_it_is_graded(kind, family):
    for turn in range(8):
        one = questions._question(kind, family, Random(f"{kind} {family} {turn}"))
        assert exam_reader.answer(one.sizes, one.rule.words, one.text) == as_set(one.answer)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_of_a_rule_hold_for_all_queries_and_keys(family):
    for turn in range(10):
        rule = FAMILIES[family](Random(turn))
        mask = rule.pattern.mask(40, 52, 12).numpy()
        q, k = exam_reader.np.ogrid[12:52, :52]
        assert (exam_reader.read_rule(rule.words)(q, k) == mask).all()


def test_every_rule_is_asked_about():
    assert {family for _, family in PAIRS} == set(FAMILIES)


@pytest.mark.parametrize(("kind", "family"), PAIRS)
def test_no_answer_is_all_or_nothing(kind, family):
    for turn in range(8):
        one = questions._question(kind, family, Random(turn))
        answer = one.answer
        if kind == "density":
            assert 0 < answer < 1
        elif kind == "block count":
            assert 0 < answer < one.layout.n_q_blocks * one.layout.n_kv_blocks
        elif kind == "blocks":
            assert 0 < len(answer) < one.layout.n_kv_blocks
        elif kind == "first":
            assert 0 < answer < one.n_kv - 1
        else:
            assert 0 < (answer if kind == "count" else len(answer)) < one.n_kv


def test_same_seed_and_name_give_the_same_exam_whoever_else_is_there():
    alone = command.draw_all("s", ["Åsa Berg"], 6)["Åsa Berg"]
    among = command.draw_all("s", [*STUDENTS[:5], "Åsa Berg"], 6)["Åsa Berg"]
    assert pages.sheet("x", alone, "x") == pages.sheet("x", among, "x")


def test_exam_of_a_seed_stays_what_it_was():
    """Papers may be graded months later and on another version of Python."""
    assert [as_written(one.answer) for one in draw("2026", "Ada", 6)] == [
        "5, 11, 12, 13, 14",
        "0, 3, 4, 5",
        "14",
        "24",
        "34/115",
        "15",
    ]


def test_students_get_the_same_kinds_and_rules_with_other_numbers():
    exam = [draw("s", student, 6) for student in STUDENTS]
    for asked in zip(*exam, strict=True):
        assert len({(one.kind, one.rule.family) for one in asked}) == 1
        assert len({(one.sizes, one.rule.words, one.text) for one in asked}) >= 0.95 * len(STUDENTS)


def test_another_seed_gives_other_rules_and_numbers():
    assert plan("s", 6) != plan("t", 6)
    assert [one.rule.words for one in draw("s", "Ada", 6)] != [one.rule.words for one in draw("t", "Ada", 6)]


def test_no_two_students_have_the_same_answers_and_neighbours_share_few():
    exam = [[one.answer for one in draw("s", student, 6)] for student in STUDENTS]
    shared = Counter(
        sum(a == b for a, b in zip(one, other, strict=True)) for one, other in combinations(exam, 2)
    )
    assert max(shared) <= 4
    assert sum(number * pairs for number, pairs in shared.items()) < 0.15 * 6 * sum(shared.values())


def test_lists_of_keys_take_about_as_long_for_everybody():
    lengths = [len(draw("s", student, 1)[0].answer) for student in STUDENTS]
    assert (min(lengths) >= 5, max(lengths) <= 9) == (True, True)


def test_two_students_with_all_answers_in_common_are_refused(monkeypatch):
    monkeypatch.setattr(command, "draw", lambda seed, student, count: draw(seed, "one", count))
    with pytest.raises(ValueError, match="Ada and Bo would have the same answers: take another seed"):
        command.draw_all("s", ["Ada", "Bo"], 3)


@pytest.mark.parametrize(
    ("written", "like", "meant"),
    [
        ("3, 4, 7", (3, 4, 7), (3, 4, 7)),
        (" 7 4;3 ", (3, 4, 7), (3, 4, 7)),
        ("[3, 4, 7].", (3, 4, 7), (3, 4, 7)),
        ("3, 4, 4", (3, 4, 7), (3, 4)),
        ("3-7", (3, 4, 7), None),
        ("", (3, 4, 7), None),
        ("3, 4, seven", (3, 4, 7), None),
        ("12", 12, 12),
        ("12 keys", 12, None),
        ("3, 4", 3, None),
        ("-3", 3, None),
        ("٣", 3, None),
        ("19/60", Fraction(19, 60), Fraction(19, 60)),
        ("38 / 120", Fraction(19, 60), Fraction(19, 60)),
        ("0.317", Fraction(19, 60), Fraction(19, 60)),
        (".3167", Fraction(19, 60), Fraction(19, 60)),
        ("0,317", Fraction(19, 60), Fraction(19, 60)),
        ("0.3", Fraction(19, 60), None),
        ("1/0", Fraction(19, 60), None),
        ("1e999999999", Fraction(19, 60), None),
        ("9" * 100_000, 9, None),
    ],
)
def test_what_a_student_writes_is_read_as_meant(written, like, meant):
    assert read(written, like) == meant


def test_decimal_far_from_the_share_is_wrong():
    one = next(one for one in draw("s", "Ada", 6) if one.kind == "density")
    assert right(one, f"{float(one.answer):.3f}")
    assert not right(one, f"{float(one.answer) + 0.01:.3f}")


@pytest.fixture
def folder(tmp_path):
    """A folder with a roster of three."""
    (tmp_path / "roster.txt").write_text("Ada\nBo <script>\n\n  Åsa  Berg \n", encoding="utf-8")
    return tmp_path


def exam(folder, *more):
    return main(["exam", "--roster", str(folder / "roster.txt"), "--seed", "s", *map(str, more)])


def fill(folder, student, wrong=()):
    """Fill in a student's blank file, right but for some questions."""
    path = folder / "exam" / "answers" / f"{command.file_names([student])[0]}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for place, one in enumerate(draw("s", student, 6), start=1):
        content["answers"][str(place)] = "0" if place in wrong else as_written(one.answer)
    path.write_text(json.dumps(content), encoding="utf-8")


def marks(text):
    return {row["student"]: row for row in csv.DictReader(text.splitlines())}


def test_command_writes_a_page_and_an_answer_file_for_each_and_one_key(folder, capsys):
    assert exam(folder, "--out", folder / "exam") == 0
    assert "3 sheets" in capsys.readouterr().out
    written = sorted(str(path.relative_to(folder / "exam")) for path in folder.rglob("exam/**/*.*"))
    names = ["ada", "bo_script", "åsa_berg"]
    wanted = [f"answers/{name}.json" for name in names] + [f"sheets/{name}.html" for name in names]
    assert written == sorted(["key.csv", "key.html", *wanted])


def test_pages_do_not_hold_the_answers_or_the_seed_and_the_key_does(folder):
    exam(folder, "--out", folder / "exam")
    page = (folder / "exam" / "sheets" / "ada.html").read_text(encoding="utf-8")
    assert "seed" not in page
    keys = as_written(draw("s", "Ada", 1)[0].answer)
    assert keys not in page
    assert keys in (folder / "exam" / "key.html").read_text(encoding="utf-8")
    rows = list(csv.DictReader((folder / "exam" / "key.csv").open(encoding="utf-8-sig")))
    assert (len(rows), rows[0]["answer"]) == (18, keys)


def test_filled_files_are_graded_and_missing_ones_named(folder, capsys):
    exam(folder, "--out", folder / "exam")
    fill(folder, "Ada")
    fill(folder, "Åsa Berg", wrong=[2, 5])
    (folder / "exam" / "answers" / "bo_script.json").unlink()
    capsys.readouterr()
    assert exam(folder, "--grade", folder / "exam" / "answers") == 0
    graded = marks(capsys.readouterr().out)
    assert [graded[name]["points"] for name in ("Ada", "Bo <script>", "Åsa Berg")] == ["6", "0", "4"]
    assert graded["Bo <script>"]["note"] == "no answers handed in"
    assert (graded["Åsa Berg"]["question 2"], graded["Åsa Berg"]["question 3"]) == ("0", "1")


def test_blank_answers_earn_nothing(folder, capsys):
    exam(folder, "--out", folder / "exam")
    capsys.readouterr()
    exam(folder, "--grade", folder / "exam" / "answers")
    assert {row["points"] for row in marks(capsys.readouterr().out).values()} == {"0"}


def test_marks_go_to_csv_or_json(folder):
    exam(folder, "--out", folder / "exam")
    fill(folder, "Ada")
    for name in ("marks.csv", "marks.json"):
        exam(folder, "--grade", folder / "exam" / "answers", "--out", folder / name)
    assert marks((folder / "marks.csv").read_text(encoding="utf-8-sig"))["Ada"]["points"] == "6"
    assert json.loads((folder / "marks.json").read_text(encoding="utf-8"))[0]["questions"] == [1] * 6


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting"),
        ("[1]", "not an answer file"),
        ('{"student": "Mallory", "answers": {}}', "'Mallory' is not on the roster"),
        ('{"student": 3, "answers": {}}', "not an answer file"),
        ("[" * 100_000, "recursion"),
        (" " * (2 << 20), "too large"),
    ],
)
def test_file_that_is_none_counts_for_nobody_and_is_named(folder, capsys, content, why):
    exam(folder, "--out", folder / "exam")
    fill(folder, "Ada")
    (folder / "exam" / "answers" / "broken.json").write_text(content, encoding="utf-8")
    capsys.readouterr()
    assert exam(folder, "--grade", folder / "exam" / "answers") == 1
    said = capsys.readouterr()
    assert said.err.startswith("not graded: broken.json: ")
    assert why in said.err
    assert marks(said.out)["Ada"]["points"] == "6"


def test_answers_that_are_no_text_are_wrong(folder, capsys):
    exam(folder, "--out", folder / "exam")
    forged = {"student": "Ada", "answers": {"1": [1], "2": None, "3": {"a": 1}, "999": "4"}}
    (folder / "exam" / "answers" / "ada.json").write_text(json.dumps(forged), encoding="utf-8")
    capsys.readouterr()
    exam(folder, "--grade", folder / "exam" / "answers")
    assert marks(capsys.readouterr().out)["Ada"]["points"] == "0"


def test_two_files_of_one_name_are_not_guessed_between(folder, capsys):
    exam(folder, "--out", folder / "exam")
    fill(folder, "Ada")
    answers = folder / "exam" / "answers"
    (answers / "again.json").write_bytes((answers / "ada.json").read_bytes())
    capsys.readouterr()
    exam(folder, "--grade", answers)
    row = marks(capsys.readouterr().out)["Ada"]
    assert (row["points"], row["note"][:25]) == ("0", "2 files carry this name: ")


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("r.txt", "\n \n", "names no student"),
        ("r.txt", "Ada\nBo\nAda\n", "names Ada more than once"),
        ("r.csv", "name\nAda\n", "needs a column `student`"),
    ],
)
def test_roster_that_cannot_be_used_is_one_line(tmp_path, capsys, name, text, wrong):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["exam", "--roster", str(tmp_path / name), "--seed", "s", "--out", str(tmp_path / "e")]) == 2
    assert wrong in capsys.readouterr().err
    assert not (tmp_path / "e").exists()


def test_roster_may_be_a_table_from_a_spreadsheet(tmp_path):
    (tmp_path / "r.csv").write_text('\ufeffstudent,mail\n"Berg, Åsa",a@x\nBo,b@x\n', encoding="utf-8")
    assert command.read_roster(tmp_path / "r.csv") == ["Berg, Åsa", "Bo"]
    (tmp_path / "r.csv").write_text("\ufeffnumber;student\n1;Berg, Åsa\n2;Bo\n", encoding="utf-8")
    assert command.read_roster(tmp_path / "r.csv") == ["Berg, Åsa", "Bo"]
    (tmp_path / "r.csv").write_bytes("student\nÅsa\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"r\.csv is no text in UTF-8"):
        command.read_roster(tmp_path / "r.csv")


def test_students_whose_names_look_alike_as_files_get_two_files():
    assert command.file_names(["A b", "A_b", "C", "???"]) == ["a_b_1", "a_b_2", "c", "student"]


class Fields(HTMLParser):
    """The labels, inputs and headings of a page."""

    def __init__(self):
        super().__init__()
        self.labels, self.inputs, self.headings, self.ids, self.language = [], [], [], [], None

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        if tag == "label":
            self.labels.append(found["for"])
        elif tag == "input":
            self.inputs.append(found)
        elif tag in ("h1", "h2"):
            self.headings.append(tag)
        elif tag == "html":
            self.language = found["lang"]


def test_page_has_headings_and_a_label_for_every_field():
    fields = Fields()
    fields.feed(pages.sheet("Ada", draw("s", "Ada", 6), "ada.json"))
    assert fields.language == "en"
    assert fields.headings == ["h1"] + ["h2"] * 7
    assert fields.labels == [field["id"] for field in fields.inputs]
    assert {field["aria-describedby"] for field in fields.inputs} <= set(fields.ids)
    assert [field["name"] for field in fields.inputs] == list("123456")
    assert len(set(fields.ids)) == len(fields.ids)


def test_name_on_a_page_is_text():
    page = pages.sheet('Bo "<script>', draw("s", "Bo", 1), "bo.json")
    assert 'data-student="Bo &quot;&lt;script&gt;"' in page
    assert page.count("<script>") == 1
