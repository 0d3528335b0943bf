"""`check` and `hint`, and what they show: one box in a notebook, the same in text in a terminal."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from tsparse.grade.apart import judge_kernel
from tsparse.grade.checking import Verdict, judge
from tsparse.grade.exercises import exercise
from tsparse.grade.outside import visited
from tsparse.grade.own import source_of
from tsparse.grade.page import box, cell_number, marked, show
from tsparse.grade.progress import progress
from tsparse.grade.running import run_here
from tsparse.grade.values import difference, wrong_places


def check(id: str, answer: Any = None) -> Verdict:
    """Judge `answer`, the function itself, as the answer to exercise `id`, and show what was found.

    The inputs are drawn afresh each time. The verdict is advisory: this runs in your own process.
    """
    try:
        asked = exercise(id)
    except ValueError as error:
        verdict = Verdict(str(id), "NOT RUN", str(error))
    else:
        verdict = _judged(asked, answer)
    verdict = replace(verdict, shown_in=cell_number())
    if verdict.shown_in is not None or not hasattr(sys, "ps1"):  # the plain prompt prints the verdict itself
        show_verdict(verdict)
    return verdict


def _judged(asked: Any, answer: Any) -> Verdict:
    try:
        verdict = judge(asked, run_here(answer)) if asked.kernel is None else judge_kernel(asked, answer)
    except KeyboardInterrupt:
        return Verdict(asked.id, "NOT RUN", "You stopped the check; nothing was judged.")
    if verdict.status != "NOT RUN":
        passed = verdict.status == "PASS"
        progress().record_check(asked.id, verdict.earned, verdict.points, passed, source_of(answer))
    return verdict


def hint(id: str) -> None:
    """Show the next of the three hints of an exercise; how many you asked for is kept in your progress."""
    try:
        asked = exercise(id)
    except ValueError as error:
        return show(box("NOT RUN", str(id), [marked(str(error))]), f"NOT RUN  {id}\n{error}")
    count = len(asked.hints)
    number = progress().record_hint(id, count)
    text = asked.hints[min(number, count) - 1]
    title = f"hint {min(number, count)} of {count}"
    more = "" if number <= count else "That was the last hint; this is it again."
    plain = "\n".join(filter(None, (f"{title}  {id}", text, more)))
    show(box(title, id, [marked(line) for line in (text, more) if line], quiet=True), plain)


def show_verdict(verdict: Verdict) -> None:
    """Show a verdict as a box where HTML can be shown, as text elsewhere."""
    show(verdict_html(verdict), verdict_text(verdict))


def verdict_text(verdict: Verdict) -> str:
    """A verdict as text: status, points, the sentence, where to look, and the picture in words."""
    lines = [f"{verdict.status}  {verdict.exercise}{_points(verdict)}", verdict.message]
    lines += [f"{name}: {text}" for name, text in _details(verdict)]
    drawn = _picture(verdict)
    return "\n".join([*lines, repr(drawn)] if drawn else lines)


def verdict_html(verdict: Verdict) -> str:
    """A verdict as a box of HTML, with the same content as its text and the picture itself."""
    parts = [marked(verdict.message)]
    parts += [f"<strong>{name}:</strong> {marked(text)}" for name, text in _details(verdict)]
    drawn = _picture(verdict)
    return box(
        verdict.status, verdict.exercise + _points(verdict), parts, drawn._repr_html_() if drawn else ""
    )


def _points(verdict: Verdict) -> str:
    return f"  {verdict.earned:g} of {verdict.points:g} points" if verdict.parts else ""


def _details(verdict: Verdict) -> list[tuple[str, str]]:
    """What stands below the sentence: points by part, where to look, what was printed, the way to a hint."""
    points = ", ".join(f"{part.name} {part.earned:g} of {part.points:g}" for part in verdict.parts)
    found = [("Points", points)] if points else []
    if verdict.failing is not None:
        found.append(("Where", f"{verdict.failing.case.name}; `{verdict.call}`"))
    if verdict.printed.strip() and verdict.status == "FAIL":
        found.append(("Your function printed", verdict.printed.strip()[:300]))
    if verdict.status == "FAIL":
        found.append(("Next", f'`hint("{verdict.exercise}")` gives the next of three hints.'))
    return found


@lru_cache(1)
def _picture(verdict: Verdict) -> Any:
    """Tiles visited and wanted, or yours, expected, difference; None where there is nothing to draw."""
    failing = verdict.failing
    if failing and failing.launched and failing.blocks:
        from tsparse.show import tiles
        from tsparse.show.words import count

        seen, wanted = visited(failing.launched, failing.blocks), failing.blocks.wanted
        if (seen != wanted).any():
            many = f"{count(int(seen.sum()), 'tile')} visited, {int(wanted.sum())} wanted"
            title = f"{failing.case.name}: {many}"
            return tiles(seen, wanted, title, names=failing.blocks.names)
    found = failing and difference(failing.got, failing.want)
    if not failing or not found or found.kind == "type":
        return None
    if not all(isinstance(side, torch.Tensor) and side.ndim for side in (found.got, found.want)):
        return None
    from tsparse.show import comparison

    wrong = wrong_places(found.got, found.want) if found.kind == "values" else None
    return comparison(found.got, found.want, failing.case.name, wrong=wrong)
