"""The app's colour themes. In each, states and clusters pair a colour with a glyph or word."""

from __future__ import annotations

from textual.theme import Theme

THEMES = (
    Theme(
        name="dark",
        primary="#4C7A9C",
        secondary="#6C8CA3",
        accent="#E69F00",
        success="#3FA37C",
        warning="#E69F00",
        error="#E0604C",
        foreground="#D5DADF",
        background="#101418",
        surface="#151A1F",
        panel="#1E252C",
        dark=True,
    ),
    Theme(
        name="light",
        primary="#3A6A8C",
        secondary="#557A94",
        accent="#A85F00",
        success="#1E7A55",
        warning="#A85F00",
        error="#B3301C",
        foreground="#1B2228",
        background="#FBFBF8",
        surface="#F3F4F1",
        panel="#E4E8EA",
        dark=False,
    ),
    Theme(
        name="high-contrast",
        primary="#FFFFFF",
        secondary="#FFFFFF",
        accent="#FFFF00",
        success="#00FF7F",
        warning="#FFFF00",
        error="#FF8C69",
        foreground="#FFFFFF",
        background="#000000",
        surface="#000000",
        panel="#202020",
        dark=True,
        text_alpha=1.0,
    ),
    Theme(
        name="colour-blind",
        primary="#56B4E9",
        secondary="#0072B2",
        accent="#F0E442",
        success="#56B4E9",
        warning="#F0E442",
        error="#D55E00",
        foreground="#E6E6E6",
        background="#111417",
        surface="#161A1E",
        panel="#20262B",
        dark=True,
    ),
)
"""``colour-blind`` keeps to blue, yellow and vermillion, which all kinds of colour vision part."""

DEFAULT = "dark"
NAMES = tuple(theme.name for theme in THEMES)
