"""A template of names can't be written so that one long name takes for ever."""

from __future__ import annotations

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.exchange.incoming.names.match_template import Template


def test_two_stars_are_read_and_a_third_is_refused() -> None:
    said = Template.parse("*_{stem}_*").apply("x_s01_y.png")
    assert said is not None
    assert said.fields == {"stem": "s01"}
    with pytest.raises(UsageError, match="more than 2") as caught:
        Template.parse("{stem}*a*a*q")
    assert caught.value.code == "template"
