"""A widget: numbers, choices and switches on top, the picture that they make below.

The same `draw` function makes the first picture, which stands as HTML in the output for readers who only
look, and every later one. Works with ipywidgets 7.7 and 8.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from tsparse.show.rendering import Picture

Control = tuple[int, int, int] | list[Any] | bool
LABEL = {"description_width": "110px"}


class Explorer:
    """Controls and a picture; a notebook shows the widget where it can and the first picture elsewhere."""

    def __init__(self, draw: Callable[..., Picture], controls: dict[str, Control]) -> None:
        """Make the controls, draw the first picture and connect them."""
        self._draw = draw
        self._fields: dict[str, widgets.ValueWidget] = {}
        rows = [self._row(name, control) for name, control in controls.items()]
        self.start = self._picture()
        self.image = widgets.Image(value=self.start.png, format="png", width=self.start.width)
        self.image.layout.max_width = "100%"
        self.caption = widgets.HTML(value=caption(self.start))
        self.box = widgets.VBox([*rows, self.image, self.caption])

    def set(self, **values: Any) -> None:
        """Move controls from code, as a reader would by hand."""
        for name, value in values.items():
            self._fields[name].value = value

    def __repr__(self) -> str:
        """The first picture in words."""
        return self.start.alt

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {
            "application/vnd.jupyter.widget-view+json": view,
            "text/html": self.start._repr_html_(),
            "text/plain": repr(self),
        }

    def _row(self, name: str, control: Control) -> widgets.Widget:
        """One control with its label; a number is a slider and a named field that move together."""
        label = name.replace("_", " ")
        field: widgets.ValueWidget
        row: widgets.Widget
        if isinstance(control, bool):
            field = row = widgets.Checkbox(value=control, description=label, style=LABEL)
        elif isinstance(control, list):
            field = row = widgets.Dropdown(options=control, description=label, style=LABEL)
        else:
            low, high, start = control
            field = widgets.BoundedIntText(value=start, min=low, max=high, description=label, style=LABEL)
            field.layout.width = "200px"
            slider = widgets.IntSlider(value=start, min=low, max=high, readout=False)
            widgets.link((field, "value"), (slider, "value"))
            row = widgets.HBox([field, slider])
        field.observe(self._redraw, names="value")
        self._fields[name] = field
        return row

    def _picture(self) -> Picture:
        return self._draw(**{name: field.value for name, field in self._fields.items()})

    def _redraw(self, _: Any) -> None:
        drawn = self._picture()
        self.image.value, self.image.width = drawn.png, str(drawn.width)
        self.caption.value = caption(drawn)


def explore(draw: Callable[..., Picture], **controls: Control) -> Explorer:
    """Let a reader change the arguments of `draw` and see its picture change.

    A control is `(min, max, start)` for whole numbers, a list of choices (the first one is the start), or a
    bool. `draw` is called with the values by name and returns a `Picture`.
    """
    if not controls:
        raise ValueError("explore needs at least one control, such as window=(1, 16, 4)")
    for name, control in controls.items():
        check_control(name, control)
    return Explorer(draw, controls)


def check_control(name: str, control: Any) -> None:
    """Raise if a control is none of the three kinds, or starts outside its range."""
    if isinstance(control, bool) or (isinstance(control, list) and control):
        return
    if not (isinstance(control, tuple) and len(control) == 3 and all(type(n) is int for n in control)):
        raise TypeError(
            f"{name} must be (min, max, start) in whole numbers, a list or a bool, got {control!r}"
        )
    low, high, start = control
    if not low <= start <= high:
        raise ValueError(f"{name} must start between its ends: min {low} <= start {start} <= max {high}")


def caption(drawn: Picture) -> str:
    """The picture in words, below it."""
    return f'<div aria-live="polite" style="max-width: 60em; line-height: 1.4">{html.escape(drawn.alt)}</div>'
