"""Styles of a widget's component classes as rich styles, looked up once per theme."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


class ThemeStyles:
    """Finds ``prefix--name`` of a widget; "" is the widget's own style."""

    def __init__(self, widget: Widget, prefix: str) -> None:
        self._widget, self._prefix = widget, prefix
        self._known: dict[str, Style] = {}

    def clear(self) -> None:
        """Forget all styles: the theme or the widget's state has changed."""
        self._known.clear()

    def __call__(self, name: str) -> Style:
        if name not in self._known:
            self._known[name] = self._found(name) if name else self._widget.rich_style
        return self._known[name]

    def _found(self, name: str) -> Style:
        component = f"{self._prefix}--{name}"
        part = self._widget.get_component_rich_style(component, partial=True)
        # Automatic and see-through colours are only known together with what is behind them.
        whole = self._widget.get_component_rich_style(component)
        return part + Style.from_color(
            None if part.color is None else whole.color,
            None if part.bgcolor is None else whole.bgcolor,
        )
