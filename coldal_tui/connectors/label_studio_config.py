"""Reads a Label Studio labeling config: which tag shows the image, and which draws the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from coldal_tui.errors import ColdalError

_AREAS = ("BrushLabels", "PolygonLabels", "EllipseLabels", "BitmaskLabels", "VectorLabels")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Tags:
    """The names in a labeling config that tasks and predictions have to use.

    ``image`` is the Image tag's name, ``key`` the key of the task's data that it shows, ``brush``
    the tag of brushes (empty: there is none, and masks can't be shown as predictions).
    """

    image: str
    key: str
    brush: str


def is_empty_config(config: str) -> bool:
    """Whether a project was made and never set up."""
    return "".join(config.split()) in ("", "<View></View>", "<View/>")


def read_tags(config: str, classes: Sequence[str], where: str) -> Tags:
    """The tags of a config that draws these classes.

    Raises
    ------
    ColdalError (code ``labeling-config``) : it can't be read, shows no image, or lacks a class.
    """
    root = _parse(config, where)
    images = [one for one in root.iter("Image") if (one.get("value") or "").startswith("$")]
    if len(images) != 1:
        raise _unfit(f"it shows {len(images)} images, and a task has one", where)
    name, key = images[0].get("name") or "", (images[0].get("value") or "")[1:]
    drawing = [one for tag in _AREAS for one in root.iter(tag) if one.get("toName") == name]
    known = {label for one in drawing for label in _labels(one)}
    missing = [one for one in classes if one not in known]
    if missing:
        raise _unfit(f"nothing in it draws {', '.join(missing)}", where)
    brushes = [
        one.get("name") or ""
        for one in root.iter("BrushLabels")
        if one.get("toName") == name and set(classes) <= set(_labels(one))
    ]
    return Tags(name, key, brushes[0] if brushes else "")


def fitted(task: Mapping[str, Any], tags: Tags) -> dict[str, Any]:
    """A task of the exporter with the names that the server's config has.

    Its predictions are left out where the config has no brush.
    """
    data = dict(task["data"])
    data[tags.key] = data.pop("image")
    made: dict[str, Any] = {**task, "data": data}
    predictions = made.pop("predictions", None)
    if predictions and tags.brush:
        made["predictions"] = [
            {
                **one,
                "result": [
                    {**region, "from_name": tags.brush, "to_name": tags.image}
                    for region in one["result"]
                ],
            }
            for one in predictions
        ]
    return made


def _parse(config: str, where: str) -> ElementTree.Element:
    if len(config) > _MOST_BYTES or "<!" in config:
        raise _unfit("it is too large, or holds entities", where)
    try:
        return ElementTree.fromstring(config)  # nosec B314
    except ElementTree.ParseError as error:
        raise _unfit(f"it is no XML: {error}", where) from error


def _labels(tag: ElementTree.Element) -> list[str]:
    return [one.get("value") or "" for one in tag.iter("Label")]


def _unfit(what: str, where: str) -> ColdalError:
    return ColdalError(
        f"the labeling config of the project on the server does not fit: {what}",
        where=where,
        remedy="mend it there (Settings > Labeling Interface), or name an empty project: its "
        "config is made from the classes in coldal.toml",
        code="labeling-config",
    )
