"""Errors that a person can act on: what happened, where, and what to do."""

from __future__ import annotations


class ColdalError(Exception):
    """An error with a remedy; raised where the cause is known, shown once at the edge.

    Parameters
    ----------
    what : the fact, in one sentence ("the file ends in the middle of its pixel data").
    where : the file, key or scan that it concerns.
    remedy : what the reader can do about it.
    code : a short stable word for tables and JSON ("truncated", "unknown-value").
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        code: str = "error",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  → {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _rebuild, (type(self), self.what, self.where, self.remedy, self.code)


def _rebuild(
    kind: type[ColdalError], what: str, where: str | None, remedy: str | None, code: str
) -> ColdalError:
    return kind(what, where=where, remedy=remedy, code=code)


class UsageError(ColdalError):
    """The call itself was wrong (exit status 2)."""

    exit_code = 2


class ImageError(ColdalError):
    """An image or mask file can't be read as what it claims to be."""
