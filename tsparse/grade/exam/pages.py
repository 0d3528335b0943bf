"""What an exam looks like: one page per student, for paper and for the screen, and the teacher's key.

A page needs nothing but itself. On paper its fields are lines to write on; on the screen a button saves what
is typed as the file that `tsparse exam --grade` reads.
"""

from __future__ import annotations

import csv
import html
import io
import json

from tsparse.grade.exam.questions import KINDS, Question, as_written
from tsparse.grade.page import document

Exam = dict[str, list[Question]]
"""The questions of each student, in the order of the roster."""

CONVENTIONS = (
    "Positions, queries, keys and blocks are counted from 0.",
    "Key 0 stands at position 0, key 1 at position 1, and so on.",
    "If queries start at position 12, query 0 stands at position 12, query 1 at position 13: that is a "
    "query's own position, and the key at its own position is the key that stands there.",
    "The distance between two positions is the larger minus the smaller.",
    "A query can see only keys that exist. Each question has a rule of its own.",
)

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem; }
main { max-width: 46rem; margin: auto; }
section { break-inside: avoid; margin-top: 2rem; }
h2 { font-size: 1.15rem; margin-bottom: .3rem; }
p { margin: .4rem 0; }
label { display: block; font-weight: bold; margin-top: .6rem; }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .3rem; border: 1px solid #555; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #bbb; }
@media print {
  body { margin: 0; font-size: 11pt; }
  button { display: none; }
  input { border: 0; border-bottom: 1px solid #000; padding: 1.2rem 0 0; }
}
"""

SAVE = """
document.querySelector("form").addEventListener("submit", event => {
  event.preventDefault();
  const form = event.target, answers = {};
  for (const field of form.querySelectorAll("input")) answers[field.name] = field.value;
  const link = document.createElement("a");
  const text = JSON.stringify({student: form.dataset.student, answers}, null, 1);
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = form.dataset.file;
  link.click();
});
"""


def sheet(student: str, questions: list[Question], file: str) -> str:
    """The page of one student; `file` is what the button calls the answers."""
    sections = "".join(_section(place, one) for place, one in enumerate(questions, start=1))
    conventions = "".join(f"<li>{html.escape(line)}</li>" for line in CONVENTIONS)
    return document(
        f"Exam on attention patterns: {student}",
        f"<p>{len(questions)} questions, one point each; an answer is right or wrong as a whole.</p>"
        f"<h2>What holds for all of them</h2><ul>{conventions}</ul>"
        f'<form data-student="{html.escape(student)}" data-file="{html.escape(file)}" '
        f'autocomplete="off">{sections}'
        f'<p><button type="submit">Save the answers as a file</button></p></form><script>{SAVE}</script>',
        style=STYLE,
    )


def _section(place: int, one: Question) -> str:
    field = f"question-{place}"
    return (
        f'<section aria-labelledby="{field}-title"><h2 id="{field}-title">Question {place}</h2>'
        f"<p>{html.escape(one.sizes)}</p><p>{html.escape(one.rule.words)}</p>"
        f"<p><strong>{html.escape(one.text)}</strong></p>"
        f'<label for="{field}">Answer to question {place}</label>'
        f'<p id="{field}-form">{html.escape(KINDS[one.kind].hint)}</p>'
        f'<input type="text" id="{field}" name="{place}" aria-describedby="{field}-form"></section>'
    )


def form(student: str, questions: list[Question]) -> str:
    """The same answers as a file to fill in, for those who do not use the page's button."""
    blank = {str(place): "" for place in range(1, len(questions) + 1)}
    return json.dumps({"student": student, "answers": blank}, indent=1, ensure_ascii=False) + "\n"


def key_page(exam: Exam) -> str:
    """The teacher's key: for each student the right answers, with the rule as a pattern."""
    parts = []
    for student, questions in exam.items():
        rows = "".join(
            f'<tr><th scope="row">{place}</th><td>{one.kind}</td>'
            f"<td>{html.escape(repr(one.rule.pattern))}</td><td>{as_written(one.answer)}</td></tr>"
            for place, one in enumerate(questions, start=1)
        )
        parts.append(
            f"<section><h2>{html.escape(student)}</h2><table><thead><tr>"
            + "".join(f'<th scope="col">{name}</th>' for name in ("question", "kind", "rule", "answer"))
            + f"</tr></thead><tbody>{rows}</tbody></table></section>"
        )
    return document("Answer key: keep it from students", "".join(parts), style=STYLE)


def key_table(exam: Exam) -> str:
    """The same as CSV."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(["student", "question", "kind", "answer"])
    for student, questions in exam.items():
        rows.writerows(
            [student, place, one.kind, as_written(one.answer)] for place, one in enumerate(questions, start=1)
        )
    return written.getvalue()
