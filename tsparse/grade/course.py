"""Progress shown: a picture of the course, one tile per exercise, and the same as a table."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tsparse.grade.exercise import Exercise
from tsparse.grade.exercises import all_exercises, lesson_of

if TYPE_CHECKING:
    from tsparse.show import Picture

COLUMNS = ("exercise", "status", "points", "attempts", "hints")


def progress_text(data: dict[str, Any]) -> str:
    """The table in text."""
    rows = [COLUMNS, *(cells for _, cells in table(data))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([summary(data), *(line.rstrip() for line in lines)])


def progress_html(data: dict[str, Any]) -> str:
    """The picture, and the table folded below it."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for _, row in table(data)
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return (
        f"<p>{html.escape(summary(data))}</p>{progress_picture(data)._repr_html_()}"
        f"<details><summary>The same as a table</summary><table><tr>{head}</tr>{rows}</table></details>"
    )


def summary(data: dict[str, Any]) -> str:
    """Points, exercises passed and questions answered, in one or two sentences."""
    exercises = all_exercises()
    entries = [data["exercises"].get(one.id, {}) for one in exercises]
    earned, points = sum(entry.get("points", 0) for entry in entries), sum(one.points for one in exercises)
    passed = sum("passed" in entry for entry in entries)
    text = f"{earned:g} of {points:g} points, {passed} of {len(exercises)} exercises passed."
    answered = data["questions"].values()
    right = sum(bool(entry.get("right")) for entry in answered)
    return (
        f"{text} {len(answered)} questions answered, {right} right at the first guess." if answered else text
    )


def table(data: dict[str, Any]) -> Iterator[tuple[Exercise, tuple[str, ...]]]:
    """Each exercise with its cells under `COLUMNS`."""
    for one in all_exercises():
        entry = data["exercises"].get(one.id, {})
        status = "PASS" if "passed" in entry else "begun" if entry.get("attempts") else "not begun"
        points = f"{entry.get('points', 0):g} of {one.points:g}"
        yield one, (one.id, status, points, f"{entry.get('attempts', 0):g}", f"{entry.get('hints', 0):g}")


def progress_picture(data: dict[str, Any]) -> Picture:
    """One row per lesson, one tile per exercise: dark when passed, hatched when begun, empty when not."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from tsparse.show import picture, style

    looks = {"PASS": (style.INK, "", "white"), "begun": (style.MIDDLE, "//", style.TEXT)}
    lessons: dict[str, list[tuple[str, ...]]] = {}
    for one, cells in table(data):
        lessons.setdefault(lesson_of(one.id) or one.id.partition(".")[0], []).append(cells)
    width, height = max((len(row) for row in lessons.values()), default=1), max(len(lessons), 1)
    with style.look():
        figure = Figure(figsize=(0.4 + 1.45 * width, 0.4 + 1.05 * height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-0.15, width + 0.1), ylim=(height, -0.3))
        axes.axis("off")
        axes.text(0, -0.12, "Your course", size=10.5, weight="bold", va="center")
        for row, (lesson, tiles) in enumerate(lessons.items()):
            axes.text(0, row + 0.16, lesson.replace("_", " "), size=9, va="center")
            for column, (id, status, points, attempts, hints) in enumerate(tiles):
                colour, pattern, ink = looks.get(status, (style.PAPER, "", style.TEXT))
                box = Rectangle(
                    (column, row + 0.28), 0.94, 0.62, fc=colour, ec=style.EDGE, hatch=pattern, lw=0.6
                )
                axes.add_patch(box)
                lines = [id.partition(".")[2].replace("_", " "), status, points, words(attempts, hints)]
                for line, text in enumerate(lines):
                    label = axes.text(
                        column + 0.05, row + 0.37 + 0.14 * line, text, size=7.5, color=ink, va="center",
                        weight="bold" if line == 1 else "normal",
                    )  # fmt: skip
                    if pattern:
                        label.set_bbox({"fc": colour, "ec": "none", "pad": 0.6})
    alt = " ".join(
        f"{lesson}: {'; '.join(f'{id} {status}, {points} points' for id, status, points, *_ in tiles)}."
        for lesson, tiles in lessons.items()
    )
    return picture(figure, f"Your course. {alt}")


def words(attempts: str, hints: str) -> str:
    """ "2 tries, 1 hint", or nothing before the first."""
    if attempts == hints == "0":
        return ""
    return f"{attempts} {'try' if attempts == '1' else 'tries'}, {hints} hint{'' if hints == '1' else 's'}"
