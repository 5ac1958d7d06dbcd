"""What people did with the tasks of one scan, as files of Label Studio's own JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from coldal_tui.connectors import Drawing, DrawingState

_OF_TASK = ("id", "inner_id", "file_upload", "data")
_CHANGES_BY_ITSELF = ("created_ago", "created_username", "prediction")
"""What would make two readings of one drawing differ."""


def drawings_of(
    key: str,
    tasks: Sequence[Mapping[str, Any]],
    expected: int,
    people: Mapping[str, str],
) -> list[Drawing]:
    """One drawing for each person who did something with the scan.

    ``tasks`` are its tasks as the server exports them, ``expected`` their number, ``people`` the
    e-mail addresses by user number. A person's scan is ``drawn`` when every task of it is, and
    ``skipped`` when one is skipped and none is open.
    """
    found = []
    for person in dict.fromkeys(
        _person(one, people) for task in tasks for one in _annotations(task)
    ):
        own = [
            [one for one in _annotations(task) if _person(one, people) == person] for task in tasks
        ]
        done = [one for some in own for one in some]
        drawn = sum(any(not one.get("was_cancelled") for one in some) for some in own)
        open_ = expected - sum(bool(some) for some in own)
        state: DrawingState = "drawn" if drawn == expected else "partly" if open_ else "skipped"
        found.append(
            Drawing(
                key,
                person,
                state,
                max(str(one.get("updated_at") or "") for one in done),
                _file(tasks, own, person) if state == "drawn" else b"",
                minutes=_minutes(done),
                comment=_comment(done),
            )
        )
    return found


def _file(
    tasks: Sequence[Mapping[str, Any]], own: Sequence[Sequence[Mapping[str, Any]]], person: str
) -> bytes:
    """The tasks with this person's annotations; the same bytes as long as nothing changed."""
    made = []
    for task, some in zip(tasks, own, strict=True):
        kept = [
            {name: value for name, value in one.items() if name not in _CHANGES_BY_ITSELF}
            | {"completed_by": {"id": _user(one), "email": person}}
            for one in some
            if not one.get("was_cancelled")
        ]
        entry = {name: task[name] for name in _OF_TASK if name in task}
        made.append(entry | {"annotations": sorted(kept, key=lambda one: str(one.get("id")))})
    made.sort(key=lambda one: str(one.get("id")))
    return (json.dumps(made, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _annotations(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = task.get("annotations")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _user(annotation: Mapping[str, Any]) -> Any:
    who = annotation.get("completed_by")
    return who.get("id") if isinstance(who, dict) else who


def _person(annotation: Mapping[str, Any], people: Mapping[str, str]) -> str:
    who = annotation.get("completed_by")
    said = who.get("email") if isinstance(who, dict) else None
    return str(said or people.get(str(_user(annotation))) or _user(annotation))


def _minutes(annotations: Sequence[Mapping[str, Any]]) -> float | None:
    """How long the person drew, in minutes; the server counts seconds (``lead_time``)."""
    times = [one.get("lead_time") for one in annotations]
    known = [float(one) for one in times if isinstance(one, (int, float)) and one >= 0]
    return sum(known) / 60 if known else None


def _comment(annotations: Sequence[Mapping[str, Any]]) -> str:
    """What the person wrote: in text areas of the labeling config, and on single regions."""
    found: list[str] = []
    for one in annotations:
        result = one.get("result")
        for region in result if isinstance(result, list) else []:
            if not isinstance(region, dict):
                continue
            for holder in (region.get("value"), region.get("meta")):
                words = holder.get("text") if isinstance(holder, dict) else None
                some = words if isinstance(words, list) else [words]
                found += [word.strip() for word in some if isinstance(word, str) and word.strip()]
    return "; ".join(dict.fromkeys(found))
