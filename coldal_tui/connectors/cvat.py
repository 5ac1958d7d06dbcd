"""CVAT (experimental): tasks with a job for each scan to a project, drawings of finished jobs back.

By CVAT's own SDK (package ``cvat-sdk``, extra ``cvat``), and tested on its models alone: no CVAT
could be had. Every frame's name carries the scan's key: what is there is found by it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from coldal_tui.connectors import (
    EXPERIMENTAL,
    Address,
    Drawing,
    Parcel,
    Person,
    Progress,
    Pulled,
    Sent,
)
from coldal_tui.connectors.cvat_api import Api
from coldal_tui.connectors.cvat_jobs import (
    JobToMake,
    drawing_file,
    jobs_to_make,
    key_and_name,
    next_batch,
    shapes_of,
)
from coldal_tui.connectors.web import CUT
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import disk_error
from coldal_tui.visible import counted

_FILLING = re.compile(r" \(being filled, ([0-9a-f]{8})\)$")
"""The end of a task's name until all of it is there, with the beginning of its first scan's key."""
_NAME = re.compile(r"\d{4,}-\d{4,}(?: (.+?))?(?: \(being filled, [0-9a-f]{8}\))?")
_WHOLE_FROM = 3
_OVERLAP = timedelta(seconds=30)
"""Changes that are asked for once more: one is seen only when it is committed."""


def connect_cvat(address: Address) -> Cvat:
    """The connector to one project of a CVAT server. Asks nothing yet."""
    if not address.project.isdigit():
        raise UsageError(
            "a CVAT project has a number",
            where=address.name,
            remedy="it is in the address of its page, /projects/12: --project 12",
        )
    return Cvat(address, Api(address))


class Cvat:
    """See :class:`coldal_tui.connectors.Connector`."""

    exporter = "cvat"

    def __init__(self, address: Address, api: Api) -> None:
        self._address = address
        self._api = api
        self._project = int(address.project)
        self._told: dict[int, str] = {}
        self._cursor = ""

    @property
    def requests(self) -> int:
        return self._api.requests

    def check(self) -> str:
        """Enter the server, and look at its project."""
        version = self._api.ask("server_api", "retrieve_about").version
        project = self._api.ask("projects_api", "retrieve", self._project)
        tasks = self._api.listed("tasks_api", project_id=self._project)
        count = counted(len(tasks), "task")
        words = f"CVAT {version}: project {project.name!r} with {count}"
        return f"{words} (experimental: {EXPERIMENTAL['cvat']})"

    def people(self) -> tuple[Person, ...]:
        """The users of the server that the token's owner may see, by user name."""
        found = []
        for user in self._api.listed("users_api"):
            names = [str(user.get(key) or "") for key in ("first_name", "last_name")]
            others = (" ".join(names).strip(), str(user.get("email") or ""))
            found.append(Person(str(user["username"]), tuple(one for one in others if one)))
        return tuple(found)

    # What goes there

    def push(self, parcels: Sequence[Parcel], progress: Progress) -> Iterator[Sent]:
        """Make tasks of the missing scans, per person and in the order of the ranks.

        A task counts when its name no longer says that it is being filled; one that was cut off is
        removed, unless somebody has begun to draw in it.
        """
        jobs = jobs_to_make(parcels)
        by_key: dict[str, list[JobToMake]] = {}
        for job in jobs:
            by_key.setdefault(job.key, []).append(job)
        labels = self._labels(parcels)
        there = self._there(by_key)
        before = {key for key, some in by_key.items() if all(_id_of(one, there) for one in some)}
        done: set[str] = set()

        def complete() -> Iterator[Sent]:
            for key, some in by_key.items():
                ids = [_id_of(one, there) for one in some]
                if key not in done and all(ids):
                    done.add(key)
                    progress(len(done), len(by_key), key)
                    yield Sent(key, tuple(str(one) for one in ids), key in before)

        yield from complete()
        todo = [job for job in jobs if not _id_of(job, there)]
        users = self._user_ids() if any(job.person for job in todo) else {}
        cut = 0
        while todo:
            batch = next_batch(todo)
            try:
                task = self._make(batch, labels, users)
                for job in batch:
                    there[job.key, job.person] = task
                    there.setdefault((job.key, ""), task)
                cut = 0
            except ColdalError as error:
                cut += 1
                if error.code not in (CUT, "server") or cut > 3:
                    raise
                self._api.rest(cut)
                there = self._there(by_key)
            todo = [job for job in todo if not _id_of(job, there)]
            yield from complete()

    def _there(self, keys: Iterable[str]) -> dict[tuple[str, str], int]:
        """The tasks by key and person; those of these scans that were not filled are removed."""
        ours = {key[:8] for key in keys}
        found: dict[tuple[str, str], int] = {}
        for task in self._api.listed("tasks_api", project_id=self._project):
            number, name = int(task["id"]), str(task["name"])
            filling = _FILLING.search(name)
            if filling and filling[1] not in ours:
                continue  # somebody else's push is at work
            if filling and not self._is_begun(number):
                self._api.ask("tasks_api", "destroy", number)
                continue
            for frame in self._api.frames(number):
                key, _ = key_and_name(frame)
                if key:
                    found[key, _person_in(name)] = number
                    found.setdefault((key, ""), number)
        return found

    def _is_begun(self, task: int) -> bool:
        jobs = self._api.listed("jobs_api", task_id=task)
        return any(str(job["state"]) != "new" for job in jobs)

    def _labels(self, parcels: Sequence[Parcel]) -> dict[str, int]:
        """The project's labels by name; an empty project gets those of the export."""
        from coldal_tui.exchange.exporters.cvat import LABELS
        from coldal_tui.exchange.importers.shared.volume_masks import read_json

        wanted = read_json(parcels[0].folder / LABELS)
        wanted = wanted if isinstance(wanted, list) else []
        found = self._label_ids()
        if not found:
            self._api.set_labels(self._project, wanted)
            found = self._label_ids()
        missing = [str(one["name"]) for one in wanted if one["name"] not in found]
        if missing:
            raise ColdalError(
                f"the project on the server lacks the labels {', '.join(missing)}",
                where=f"{self._address.url} project {self._project}",
                remedy="add them there, or name a project without labels: it gets those of "
                "coldal.toml",
                code="labeling-config",
            )
        return found

    def _label_ids(self) -> dict[str, int]:
        found = self._api.listed("labels_api", project_id=self._project)
        return {str(one["name"]): int(one["id"]) for one in found}

    def _user_ids(self) -> dict[str, int]:
        return {str(one["username"]): int(one["id"]) for one in self._api.listed("users_api")}

    def _make(
        self, batch: Sequence[JobToMake], labels: Mapping[str, int], users: Mapping[str, int]
    ) -> int:
        first, last, person = batch[0].rank, batch[-1].rank, batch[0].person
        name = f"{first:04d}-{last:04d}" + (f" {person}" if person else "")
        # A pseudonym is nobody's name there: the task is for whoever takes it.
        filling = f"{name} (being filled, {batch[0].key[:8]})"
        task = self._api.create_task(filling, self._project, users.get(person))
        with tempfile.TemporaryDirectory(prefix="coldal-cvat-") as place:
            # The SDK sends whole paths: these tell nothing of the project.
            files = [_copied(Path(place), *frame) for job in batch for frame in job.frames]
            self._api.upload(task, files, [[one for one, _ in job.frames] for job in batch])
        order = {frame: number for number, frame in enumerate(self._api.frames(task))}
        shapes = [shape for job in batch for shape in shapes_of(job, order, labels)]
        if shapes:
            self._api.set_shapes(task, shapes)
        self._api.rename(task, name)
        return task

    # What comes back

    def pull(self, tasks: Mapping[str, Sequence[str]], since: str, progress: Progress) -> Pulled:
        """Read the jobs that are finished, and changed since; each is one scan of one person."""
        jobs = self._api.listed("jobs_api", project_id=self._project)
        stamps = {int(job["id"]): _stamp(job) for job in jobs}
        newest = max([since, *stamps.values()], key=_time)
        edge = _time(since) - _OVERLAP if since else None
        told = self._told if since and since == self._cursor else {}
        changed = [
            job
            for job in jobs
            if _is_finished(job)
            and (edge is None or _time(_stamp(job)) >= edge)
            and told.get(int(job["id"])) != _stamp(job)
        ]
        labels = {number: name for name, number in self._label_ids().items()} if changed else {}
        found: list[Drawing] = []
        strangers = 0
        whole = self._whole_tasks(changed)
        for number, job in enumerate(changed, start=1):
            drawing = self._drawing(job, labels, whole.get(int(job["task_id"])))
            found += [drawing] if drawing is not None else []
            strangers += drawing is None
            progress(number, len(changed), str(job["id"]))
        self._told, self._cursor = stamps, newest
        return Pulled(tuple(found), newest, strangers)

    def _whole_tasks(self, jobs: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        """What is drawn in tasks of which several jobs are asked for: one question for each."""
        often = Counter(int(job["task_id"]) for job in jobs)
        found: dict[int, dict[str, Any]] = {}
        for task, times in often.items():
            if times >= _WHOLE_FROM and any(key_and_name(one)[0] for one in self._api.frames(task)):
                found[task] = self._api.ask("tasks_api", "retrieve_annotations", task).to_dict()
        return found

    def _drawing(
        self, job: Mapping[str, Any], labels: Mapping[int, str], drawn: Mapping[str, Any] | None
    ) -> Drawing | None:
        """The drawing of a job; None where its frames are not ours.

        ``drawn`` is what is drawn in its whole task, if that was asked for.
        """
        names = self._api.frames(int(job["task_id"]))
        inside = {
            number: name
            for number, name in enumerate(names)
            if int(job["start_frame"]) <= number <= int(job["stop_frame"])
        }
        keys = {key_and_name(name)[0] for name in inside.values()}
        if len(keys) != 1 or "" in keys:
            return None
        data = drawn
        if data is None:
            data = self._api.ask("jobs_api", "retrieve_annotations", int(job["id"])).to_dict()
        sizes = self._api.sizes(int(job["task_id"]))
        assignee = str((job.get("assignee") or {}).get("username") or "")
        person = assignee or _person_in(str(job.get("task_name") or "")) or self._address.name
        comments = [str(one.get("message") or "") for one in self._comments(job)]
        tracks = [one for one in data.get("tracks") or () if int(one["frame"]) in inside]
        if tracks:
            left_out = counted(len(tracks), "track")
            comments.append(f"{left_out} in it are left out: a track is no shape of one image")
        drawn_file = drawing_file(inside, sizes, data.get("shapes") or [], labels)
        return Drawing(
            keys.pop(),
            person,
            "drawn",
            _stamp(job),
            comment="; ".join(dict.fromkeys(one.strip() for one in comments if one.strip())),
            # A file beside a manifest: who drew it may be a pseudonym here.
            files=(("drawn/annotations.xml", drawn_file),),
        )

    def _comments(self, job: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not (job.get("issues") or {}).get("count"):
            return []
        return self._api.listed("comments_api", job_id=int(job["id"]))


def _id_of(job: JobToMake, there: Mapping[tuple[str, str], int]) -> int | None:
    """This person's task, or anybody's where the scan goes to one person."""
    return there.get((job.key, job.person if job.shared else ""))


def _person_in(task: str) -> str:
    """The person that a task's name tells: it stays when the task is given to somebody else."""
    found = _NAME.fullmatch(task)
    return (found[1] or "") if found else ""


def _is_finished(job: Mapping[str, Any]) -> bool:
    """Whether its person has finished: completed, or handed on and not sent back."""
    stage, state = str(job.get("stage")), str(job.get("state"))
    if str(job.get("type") or "annotation") != "annotation":
        return False  # a job of reference drawings holds frames of others
    return state == "completed" or (stage != "annotation" and state != "rejected")


def _stamp(job: Mapping[str, Any]) -> str:
    """When a job was changed, with as many digits as the server tells."""
    found = job.get("updated_date")
    return found.isoformat() if isinstance(found, datetime) else str(found or "")


def _time(stamp: str) -> datetime:
    if not stamp:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    try:
        return datetime.fromisoformat(re.sub(r"Z$", "+00:00", stamp))
    except ValueError as error:
        raise ColdalError(
            f"the server's time can't be read: {stamp[:40]!r}",
            remedy="check that this is the right server",
            code="server-garbage",
        ) from error


def _copied(place: Path, name: str, path: Path) -> Path:
    """A copy under its name on the server: the SDK looks through links."""
    try:
        return Path(shutil.copyfile(path, place / name))
    except OSError as error:
        raise disk_error(error, place) from error
