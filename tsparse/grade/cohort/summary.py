"""A class for its teacher: scores, the hardest exercises, the most frequent mistakes, with a picture."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from matplotlib.figure import Figure

from tsparse.grade.cohort.formats import exercises_of
from tsparse.grade.cohort.result import Result
from tsparse.grade.page import document, marked
from tsparse.grade.report import printable
from tsparse.show import Picture, picture, style

MOST_MISTAKES = 15
"""Mistakes that are listed."""


@dataclass(frozen=True)
class Standing:
    """How one exercise went: how many passed, failed, or had not begun it, of those who were asked."""

    id: str
    title: str
    passed: int
    failed: int
    not_begun: int
    share: float
    """The part of its points that was earned."""

    @property
    def asked(self) -> int:
        """How many sheets have it."""
        return self.passed + self.failed + self.not_begun


@dataclass(frozen=True)
class Frequent:
    """A mistake that was named: in whose words, and how many made it."""

    exercise: str
    sentence: str
    count: int


def standings(results: Sequence[Result]) -> list[Standing]:
    """The exercises, the hardest first: by the part of their points that was earned."""
    found = []
    for id in exercises_of(results):
        answers = [one for result in results for one in result.answers if one.id == id]
        counts = Counter(one.status for one in answers)
        points = sum(one.points for one in answers)
        share = sum(one.earned for one in answers) / points if points else 0.0
        title = answers[0].title
        found.append(Standing(id, title, counts["PASS"], counts["FAIL"], counts["NOT RUN"], share))
    return sorted(found, key=lambda one: one.share)


def mistakes(results: Sequence[Result]) -> list[Frequent]:
    """The mistakes, the most frequent first; those of one name are one mistake, in the commonest words."""
    words: dict[tuple[str, str], Counter[str]] = {}
    for result in results:
        for one in result.answers:
            if one.status == "FAIL":
                words.setdefault((one.id, one.mistake or one.message), Counter())[one.message] += 1
    found = [
        Frequent(exercise, said.most_common(1)[0][0], said.total()) for (exercise, _), said in words.items()
    ]
    return sorted(found, key=lambda one: -one.count)


def in_short(results: Sequence[Result]) -> str:
    """One or two sentences."""
    graded = [one for one in results if not one.fault]
    text = f"{len(graded)} of {len(results)} {'sheet' if len(results) == 1 else 'sheets'} graded"
    if graded:
        shares = sorted(_share(one) for one in graded)
        middle = (shares[(len(shares) - 1) // 2] + shares[len(shares) // 2]) / 2
        text += f"; the middle one has {100 * middle:.0f} % of the points"
    return f"{text}."


def as_text(results: Sequence[Result]) -> str:
    """The class for a terminal."""
    lines = [
        f"{'NOT RUN':>15}  {one.student}  {one.file}: {one.fault}"
        if one.fault
        else f"{one.earned:>5g} of {one.points:<3g} {one.status:>4}  {one.student}  {one.file}"
        for one in results
    ]
    lines += ["", in_short(results)]
    for title, rows in _lists(results):
        lines += [f"{title}:", *(f"  {row}" for row in rows[:3])] if rows else []
    return printable("\n".join(lines))


def as_html(results: Sequence[Result], pages: Sequence[str]) -> str:
    """The class as one page; `pages` are the students' own, in the order of `results`."""
    drawn = class_picture(results)
    rows = "".join(map(_row, results, pages))
    lists = "".join(_listed(title, rows) for title, rows in _lists(results))
    seeds = ", ".join(str(seed) for seed in sorted({one.seed for one in results}))
    return document(
        "The class",
        f"""<p>{html.escape(in_short(results))}</p>
{drawn._repr_html_() if drawn else ""}
{lists}
<h2>Submissions</h2>
<table>
<thead><tr><th scope="col">student</th><th scope="col">verdict</th><th scope="col">points</th>
<th scope="col">passed</th><th scope="col">sheet</th><th scope="col">remarks</th></tr></thead>
<tbody>{rows}</tbody>
</table>
<h2>How it was graded</h2>
<p>All on the same inputs, drawn by the seed {seeds}; <code>--seed {seeds}</code> draws them again.
<code>class.csv</code>, <code>class.json</code> and <code>class.xml</code> hold the same.</p>""",
    )


def page_of_fault(result: Result) -> str:
    """The page of a student whose sheet could not be graded."""
    reason = f"<p><strong>NOT RUN</strong>: {html.escape(result.fault)}.</p>"
    file = f"<p>File: {html.escape(result.file)}</p>" if result.file else ""
    return document(result.student, f"{reason}{file}<p>Nothing was graded, and no points were given.</p>")


def class_picture(results: Sequence[Result]) -> Picture | None:
    """Left the exercises from hard to easy, right how the points are spread; None where none was graded."""
    exercises = standings(results)
    graded = [one for one in results if not one.fault]
    if not exercises:
        return None
    with style.look():
        figure = Figure(figsize=(8.2, 1.3 + 0.3 * max(len(exercises), 6)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        names = [one.id for one in exercises]
        done = [0] * len(exercises)
        for label, colour, hatch, counts in (
            ("passed", style.INK, "", [one.passed for one in exercises]),
            ("failed", style.MIDDLE, "//", [one.failed for one in exercises]),
            ("not begun", style.PAPER, "", [one.not_begun for one in exercises]),
        ):
            left.barh(names, counts, left=done, color=colour, hatch=hatch, ec=style.EDGE, lw=0.6, label=label)
            done = [before + count for before, count in zip(done, counts, strict=True)]
        left.invert_yaxis()
        left.set(xlabel="sheets", title="Exercises, the hardest first")
        left.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.18), fontsize=8)
        tenths = _tenths(graded)
        right.bar(range(10), tenths, width=0.9, color=style.INK)
        right.set_xticks(range(10), [f"{10 * one}" for one in range(10)])
        right.set(xlabel="% of the points, from", ylabel="sheets", title="Points")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.locator_params(axis="x" if axes is left else "y", integer=True)
    bars = "; ".join(
        f"{one.id} {one.passed} passed, {one.failed} failed, {one.not_begun} not begun" for one in exercises
    )
    spread = ", ".join(f"{count} from {10 * place} %" for place, count in enumerate(tenths) if count)
    return picture(figure, f"Exercises, the hardest first: {bars}. Points: {spread}.")


def _tenths(graded: Sequence[Result]) -> list[int]:
    """How many have 0 to 10 % of the points, 10 to 20 %, ...; all the points count as 90 to 100 %."""
    places = Counter(min(9, int(10 * _share(one))) for one in graded)
    return [places[place] for place in range(10)]


def _share(one: Result) -> float:
    return one.earned / one.points if one.points else 0.0


def _lists(results: Sequence[Result]) -> list[tuple[str, list[str]]]:
    """What stands below the picture, a line for each entry."""
    hard = [
        f"`{one.id}` ({one.title}): {one.passed} of {one.asked} passed, {100 * one.share:.0f} % of the points"
        for one in standings(results)
    ]
    frequent = [f"{one.count} × `{one.exercise}`: {one.sentence}" for one in mistakes(results)]
    return [("Hardest exercises", hard), ("Most frequent mistakes", frequent[:MOST_MISTAKES])]


def _listed(title: str, rows: Sequence[str]) -> str:
    entries = "".join(f"<li>{marked(row)}</li>" for row in rows) or "<li>none</li>"
    return f"<h2>{title}</h2><ol>{entries}</ol>"


def _row(one: Result, where: str) -> str:
    missing = f"without a cell for {', '.join(one.missing)}" if one.missing else ""
    points, passed = ("", "") if one.fault else (
        f"{one.earned:g} of {one.points:g}", f"{one.passed} of {len(one.answers)}"
    )  # fmt: skip
    cells = (one.status, points, passed, one.file, one.fault or missing)
    return (
        f'<tr><th scope="row"><a href="{quote(where)}">{html.escape(one.student)}</a></th>'
        f"{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    )
