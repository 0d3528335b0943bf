"""`predict` and `quiz`: questions with options, asked in a cell, recorded, and never in the way.

Where there is a kernel the options are buttons. A notebook that is only read shows the same question and
options as HTML, a quiz with the answers folded. A terminal takes the letter of an option.
"""

from __future__ import annotations

import html
from string import ascii_uppercase
from typing import Any

from tsparse.grade.page import box, in_notebook, marked, show
from tsparse.grade.progress import progress
from tsparse.grade.questions import Question, question


def predict(id: str, guess: str | None = None) -> None:
    """Ask a question before the lesson answers it. Guess or go on; the first guess is kept.

    Where there are no buttons, say the letter: `predict("01.variance", "B")`.
    """
    try:
        asked = question(id)
    except ValueError as error:
        return show(box("NOT ASKED", str(id), [marked(str(error))]), f"NOT ASKED  {id}\n{error}")
    if guess is not None:
        return _answer(asked, "prediction", guess)
    page = box("What do you think?", "Guess, then read on.", [_question_html(asked)], quiet=True)
    live = _buttons(asked, "prediction", "<strong>What do you think?</strong> Guess, then read on.")
    way = "" if live else f'\nSay predict("{id}", "A") to guess A.'
    show(page, f"What do you think? Guess, then read on.\n{_question_text(asked)}{way}", live)


def quiz(*ids: str, guess: str | None = None) -> None:
    """Ask questions to be answered from memory, folded; the first answers are kept.

    Where there are no buttons, say the letter for one of them: `quiz("02.recall.hidden", guess="C")`.
    """
    try:
        if not ids:
            raise ValueError('Name the questions: quiz("02.recall.broadcast").')
        if guess is not None and len(ids) > 1:
            raise ValueError(f'Answer one at a time: quiz("{ids[0]}", guess="A").')
        asked = [question(id) for id in ids]
    except ValueError as error:
        return show(box("NOT ASKED", "", [marked(str(error))]), f"NOT ASKED\n{error}")
    if guess is not None:
        return _answer(asked[0], "recall", guess)
    folded = [
        f"<details><summary>Question {number} of {len(asked)}: {marked(one.text)}</summary>"
        f"{_options_html(one)}<details><summary>Answer</summary><p>{marked(_explained(one))}</p></details>"
        "</details>"
        for number, one in enumerate(asked, 1)
    ]
    page = box("Questions", "Answer from memory, then look.", ["".join(folded)], quiet=True)
    live = _accordion(asked)
    texts = [
        f"{number}. {_question_text(one)}"
        + ("" if live else f'\n   Say quiz("{one.id}", guess="A") to answer A.')
        for number, one in enumerate(asked, 1)
    ]
    show(page, "\n".join(["Questions. Answer from memory, then look.", *texts]), live)


def _answer(asked: Question, kind: str, guess: str) -> None:
    letters = ascii_uppercase[: len(asked.options)]
    letter = str(guess).strip().upper()
    if len(letter) != 1 or letter not in letters:
        said = f"Say one of {', '.join(letters)}; you said {guess!r}."
        return show(box("NOT ASKED", asked.id, [marked(said)], quiet=True), f"NOT ASKED  {asked.id}\n{said}")
    chosen = letters.index(letter)
    progress().record_guess(asked.id, kind, chosen, chosen == asked.right)
    word, said = _feedback(asked, chosen)
    page = box(word, f"you chose {letter}", [marked(said) + _link(asked, chosen)], quiet=True)
    heading = _heading(asked, chosen)
    show(page, f"{word}\n{said}" + (f" Read the section {heading}." if heading else ""))


def _feedback(asked: Question, chosen: int) -> tuple[str, str]:
    if chosen == asked.right:
        return "Right.", asked.why
    return "Not this one.", _explained(asked)


def _explained(asked: Question) -> str:
    return f"It is {_option(asked, asked.right)}. {asked.why}"


def _option(asked: Question, place: int) -> str:
    return f"{ascii_uppercase[place]}) {asked.options[place]}"


def _heading(asked: Question, chosen: int) -> str:
    """The heading of the section to read after a wrong answer, nothing after the right one."""
    return "" if chosen == asked.right or asked.teach is None else asked.teach[1:].replace("-", " ")


def _link(asked: Question, chosen: int) -> str:
    """The section by its name, for not every front end follows a link from an output to a cell."""
    heading = _heading(asked, chosen)
    if not heading:
        return ""
    link = f'href="{html.escape(asked.teach or "")}" style="text-decoration: underline"'
    return f" Read the section <a {link}>{html.escape(heading)}</a>."


def _question_text(asked: Question) -> str:
    return "\n".join([asked.text, *(f"   {_option(asked, place)}" for place in range(len(asked.options)))])


def _question_html(asked: Question) -> str:
    return marked(asked.text) + _options_html(asked)


def _options_html(asked: Question) -> str:
    items = "".join(f"<li>{marked(option)}</li>" for option in asked.options)
    return f'<ol style="list-style-type: upper-alpha">{items}</ol>'


def _buttons(asked: Question, kind: str, heading: str = "") -> str | None:
    """The model id of the live question, None where there are no widgets."""
    if not in_notebook():
        return None
    return str(_live_question(asked, kind, heading).model_id)


def _accordion(asked: list[Question]) -> str | None:
    if not in_notebook():
        return None
    import ipywidgets as widgets

    heading = widgets.HTML("<strong>Questions.</strong> Answer from memory, then look.")
    folded = widgets.Accordion([_live_question(one, "recall") for one in asked], selected_index=None)
    for place in range(len(asked)):
        folded.set_title(place, f"Question {place + 1} of {len(asked)}")
    return str(widgets.VBox([heading, folded]).model_id)


def _live_question(asked: Question, kind: str, heading: str = "") -> Any:
    import ipywidgets as widgets

    text = widgets.HTMLMath(f"{heading and f'<p>{heading}</p>'}<p>{marked(asked.text)}</p>")
    said = widgets.HTMLMath('<div role="status"></div>')
    layout = widgets.Layout(width="auto", height="auto")
    buttons = [
        widgets.Button(description=_option(asked, place), layout=layout)
        for place in range(len(asked.options))
    ]

    def choose(button: Any) -> None:
        chosen = buttons.index(button)
        progress().record_guess(asked.id, kind, chosen, chosen == asked.right)
        word, why = _feedback(asked, chosen)
        said.value = (
            f'<div role="status">You chose {ascii_uppercase[chosen]}. <strong>{word}</strong> '
            f"{marked(why)}{_link(asked, chosen)}</div>"
        )

    for button in buttons:
        button.on_click(choose)
    return widgets.VBox([text, *buttons, said])
