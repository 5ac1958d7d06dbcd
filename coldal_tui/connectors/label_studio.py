"""Label Studio: tasks with pictures and predictions to one of its projects, drawings back.

Every task carries ``data.coldal_id``: what is on the server already is found by it, whoever was cut
off when. Seen with Label Studio 1.23 (its interface: api.labelstud.io).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from coldal_tui.connectors import Address, Drawing, Parcel, Person, Progress, Pulled, Sent
from coldal_tui.connectors.label_studio_api import KEY, Api, dicts, id_of, key_of, untouched
from coldal_tui.connectors.label_studio_config import Tags, fitted, is_empty_config, read_tags
from coldal_tui.connectors.label_studio_drawings import drawings_of
from coldal_tui.connectors.label_studio_parcels import (
    TaskToMake,
    next_batch,
    tasks_to_make,
    upload_name,
)
from coldal_tui.connectors.web import CUT, Upload, Web, multipart
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.manifest import read_manifest
from coldal_tui.visible import counted

_ASSIGNEE = "assignee"
_CONFIG = "labeling_config.xml"
_LOCAL = "/data/local-files/?d="
_EXPORT_AT_ONCE = 50
_STORED = re.compile(r"^[0-9a-f]{8}-")
"""What the server puts before the name of an uploaded file."""


def connect_label_studio(address: Address) -> LabelStudio:
    """The connector to one project of a Label Studio server. Asks nothing yet."""
    if not address.project.isdigit():
        raise UsageError(
            "a Label Studio project has a number",
            where=address.name,
            remedy="it is in the address of its page, /projects/12/data: --project 12",
        )
    if (address.folder is None) != (address.document_root is None):
        raise UsageError(
            "a folder that the server reads needs the server's document root, too",
            where=address.name,
            remedy="--folder DIR --document-root DIR (LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT)",
        )
    return LabelStudio(address, Web(address.url, ca=address.ca))


class LabelStudio:
    """See :class:`coldal_tui.connectors.Connector`."""

    exporter = "label-studio"

    def __init__(self, address: Address, web: Web) -> None:
        self._address = address
        self._api = Api(address, web)
        self._told: tuple[str, dict[str, str]] = ("", {})

    @property
    def requests(self) -> int:
        return self._api.web.requests

    def check(self) -> str:
        """Enter the server, and look at its project."""
        project = self._api.ask("GET", f"{self._api.project}/")
        version = self._api.ask("GET", "/api/version")
        number = version.get("release") if isinstance(version, dict) else None
        tasks = counted(int(project.get("task_number") or 0), "task")
        title = project.get("title")
        return f"Label Studio {number or '(version unknown)'}: project {title!r} with {tasks}"

    def people(self) -> tuple[Person, ...]:
        """The users of the server, by e-mail address, as their drawings name them."""
        found = []
        for user in dicts(self._api.ask("GET", "/api/users/")):
            name = str(user.get("email") or user.get("id"))
            full = " ".join(str(user.get(key) or "") for key in ("first_name", "last_name"))
            others = (str(user.get("username") or ""), full.strip(), name.partition("@")[0])
            found.append(Person(name, tuple(dict.fromkeys(one for one in others if one))))
        return tuple(found)

    # What goes there

    def push(self, parcels: Sequence[Parcel], progress: Progress) -> Iterator[Sent]:
        """Make the missing tasks, in the order of the ranks; pictures are uploaded unless shared.

        A connection that is cut in the middle of making tasks leaves open whether the server made
        them: it is asked what it has.
        """
        jobs = tasks_to_make(parcels)
        tags = self._configured(parcels)
        there = self._by_id(self._api.tasks())
        wanted: dict[str, list[str]] = {}
        for job in jobs:
            wanted.setdefault(job.key, []).append(job.task_id)
        before = {key for key, ids in wanted.items() if all(one in there for one in ids)}
        self._share_out(jobs)
        done: set[str] = set()
        total = len(wanted)

        def complete() -> Iterator[Sent]:
            for key, ids in wanted.items():
                if key not in done and all(one in there for one in ids):
                    done.add(key)
                    progress(len(done), total, key)
                    yield Sent(key, tuple(there[one][0] for one in ids), key in before)

        yield from complete()
        todo = [job for job in jobs if job.task_id not in there]
        uploads = self._uploads() if todo and self._address.folder is None else {}
        cut = 0
        while todo:
            batch = next_batch(todo)
            tasks = [self._task(job, tags, uploads, batch) for job in batch]
            try:
                made = self._api.ask(
                    "POST",
                    f"{self._api.project}/import",
                    query={"return_task_ids": "true"},
                    data=tasks,
                )
                ids = made.get("task_ids") if isinstance(made, dict) else None
                if not isinstance(ids, list) or len(ids) != len(batch):
                    # A server with queues of its own makes them later.
                    raise ColdalError("the tasks are not made yet", code=CUT)
                there |= {job.task_id: [str(one)] for job, one in zip(batch, ids, strict=True)}
                cut = 0
            except ColdalError as error:
                cut += 1
                if error.code not in (CUT, "server") or cut > 3:
                    raise
                self._api.web.rest(cut)
                there = self._by_id(self._api.tasks())
            todo = [job for job in todo if job.task_id not in there]
            yield from complete()
        if cut or any(len(ids) > 1 for ids in there.values()):
            self._remove_doubles(self._api.tasks())
        self._overlap(jobs, there)

    def _configured(self, parcels: Sequence[Parcel]) -> Tags:
        """The tags of the project's labeling config; an empty project gets that of the export."""
        ours = (parcels[0].folder / _CONFIG).read_text("utf-8")
        manifest = read_manifest(parcels[0].folder)
        classes = manifest.classes if manifest is not None else ()
        found = self._api.ask("GET", f"{self._api.project}/")
        config = str(found.get("label_config") or "")
        if is_empty_config(config):
            self._api.ask("PATCH", f"{self._api.project}/", data={"label_config": ours})
            config = ours
        return read_tags(config, classes, f"{self._address.url} project {self._address.project}")

    def _task(
        self, job: TaskToMake, tags: Tags, uploads: dict[str, str], batch: Sequence[TaskToMake]
    ) -> dict[str, Any]:
        data = dict(job.task["data"])
        if self._address.folder is None:
            name = upload_name(job)
            if name not in uploads:
                uploads |= self._upload([one for one in batch if upload_name(one) not in uploads])
            data["image"] = uploads[name]
        else:
            data["image"] = self._local(job.image)
        data[KEY] = job.task_id
        if job.people:
            data[_ASSIGNEE] = ", ".join(job.people)
        return fitted({**job.task, "data": data}, tags)

    def _upload(self, jobs: Sequence[TaskToMake]) -> dict[str, str]:
        """Upload pictures without making tasks of them; their addresses by our name."""
        names = [upload_name(job) for job in jobs]
        files = [
            Upload(f"file{number}", name, job.image.read_bytes(), "image/png")
            for number, (name, job) in enumerate(zip(names, jobs, strict=True))
        ]
        body, kind = multipart(files)
        made = self._api.ask(
            "POST",
            f"{self._api.project}/import",
            query={"commit_to_project": "false"},
            body=body,
            kind=kind,
            # A picture that is there twice is used once.
            again=True,
        )
        ids = made.get("file_upload_ids") if isinstance(made, dict) else None
        found = self._uploads(ids if isinstance(ids, list) else None)
        missing = [name for name in names if name not in found]
        if missing:
            raise ColdalError(
                f"the server did not keep the picture {missing[0]}",
                where=self._address.url,
                remedy="look at the server's own log; does its disk have room?",
                code="server-garbage",
            )
        return found

    def _uploads(self, ids: Sequence[int] | None = None) -> dict[str, str]:
        """The pictures that were uploaded, by our name: these, or all."""
        query = {"all": "true"} if ids is None else {"ids": json.dumps(list(ids))}
        found = {}
        for one in dicts(self._api.ask("GET", f"{self._api.project}/file-uploads", query=query)):
            stored = str(one.get("file") or "")
            found[_STORED.sub("", stored.rpartition("/")[2])] = f"/data/{stored}"
        return found

    def _local(self, image: Path) -> str:
        root = self._address.document_root
        assert root is not None  # connect_label_studio checks that both are there
        try:
            below = image.resolve().relative_to(root.resolve()).as_posix()
        except ValueError as error:
            raise UsageError(
                "the folder that the server reads is not below its document root",
                where=str(image.parent),
                remedy=f"choose a folder below {root}",
            ) from error
        return f"{_LOCAL}{quote(below)}"

    def _share_out(self, jobs: Sequence[TaskToMake]) -> None:
        """Have the server serve a shared folder, and make a tab for each person."""
        if self._address.folder is not None:
            path = str(self._address.folder.resolve())
            query = {"project": self._address.project}
            known = dicts(self._api.ask("GET", "/api/storages/localfiles", query=query))
            if not any(one.get("path") == path for one in known):
                told = {"project": int(self._address.project), "path": path, "title": "coldal-tui"}
                self._api.ask(
                    "POST", "/api/storages/localfiles", data=told | {"use_blob_urls": False}
                )
        people = list(dict.fromkeys(name for job in jobs for name in job.people))
        if people:
            query = {"project": self._address.project}
            views = dicts(self._api.ask("GET", "/api/dm/views", query=query))
            titles = {str(one.get("data", {}).get("title")) for one in views}
            for name in people:
                if name not in titles:
                    self._api.ask("POST", "/api/dm/views/", data=self._tab(name))

    def _tab(self, person: str) -> dict[str, Any]:
        rule = {
            "filter": f"filter:tasks:data.{_ASSIGNEE}",
            "operator": "contains",
            "value": person,
            "type": "String",
        }
        filters = {"conjunction": "and", "items": [rule]}
        return {
            "project": int(self._address.project),
            "data": {"title": person, "filters": filters},
        }

    def _overlap(self, jobs: Sequence[TaskToMake], there: Mapping[str, Sequence[str]]) -> None:
        """Let as many people draw a task as it is for (the server's default is one)."""
        for job in jobs:
            if len(job.people) > 1 and job.task_id in there:
                path = f"/api/tasks/{there[job.task_id][0]}/"
                self._api.ask("PATCH", path, data={"overlap": len(job.people)})

    def _remove_doubles(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Remove what a cut connection made twice; never a task that somebody worked on."""
        seen: dict[str, Mapping[str, Any]] = {}
        for task in tasks:
            name = id_of(task)
            if not name:
                continue
            first = seen.setdefault(name, task)
            if first is not task:
                extra = task if untouched(task) else first
                seen[name] = first if extra is task else task
                if untouched(extra):
                    self._api.ask("DELETE", f"/api/tasks/{extra['id']}/")

    # What comes back

    def pull(self, tasks: Mapping[str, Sequence[str]], since: str, progress: Progress) -> Pulled:
        """Ask for the tasks that changed, then for all drawings of their scans, 50 at a time."""
        changed = self._unless_told(self._api.tasks(since), since)
        keys = dict.fromkeys(key_of(task) for task in changed if id_of(task))
        touched = {key_of(task) for task in changed if id_of(task) and not untouched(task)}
        cursor = max([since, *(str(task.get("updated_at") or "") for task in changed)])
        ids = {key: list(tasks[key]) for key in keys if key in touched and key in tasks}
        if touched - ids.keys():
            # Pushed by somebody who was cut off before the project could note it.
            for task in self._api.tasks():
                if id_of(task) and (key := key_of(task)) in touched and key not in tasks:
                    ids.setdefault(key, []).append(str(task["id"]))
        people = {}
        if ids:
            people = {
                str(one.get("id")): str(one.get("email") or one.get("id"))
                for one in dicts(self._api.ask("GET", "/api/users/"))
            }
        found: list[Drawing] = []
        waiting = list(ids.items())
        done = 0
        while waiting:
            batch = [waiting.pop(0)]
            while waiting and sum(len(one) for _, one in batch) < _EXPORT_AT_ONCE:
                batch.append(waiting.pop(0))
            drawn = self._drawn([one for _, some in batch for one in some])
            for key, some in batch:
                mine = [drawn[one] for one in some if one in drawn]
                found += drawings_of(key, mine, len(some), people)
                done += 1
                progress(done, len(ids), key)
        strangers = sum(not id_of(task) and not untouched(task) for task in changed)
        return Pulled(tuple(found), cursor, strangers)

    def _unless_told(
        self, tasks: Sequence[Mapping[str, Any]], since: str
    ) -> list[Mapping[str, Any]]:
        """Leave out what the last pull told, if its cursor shows that it was noted."""
        cursor, told = self._told
        stamps = {str(task.get("id")): str(task.get("updated_at") or "") for task in tasks}
        self._told = max([since, *stamps.values()]), stamps
        if not since or since != cursor:
            return list(tasks)
        return [task for task in tasks if told.get(str(task.get("id"))) != task.get("updated_at")]

    def _drawn(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Tasks with their drawings, by id, in pieces that a server can answer."""
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(ids), _EXPORT_AT_ONCE):
            query = {
                "exportType": "JSON",
                "download_all_tasks": "true",
                "ids[]": list(ids[start : start + _EXPORT_AT_ONCE]),
            }
            for task in dicts(self._api.ask("GET", f"{self._api.project}/export", query=query)):
                found[str(task.get("id"))] = task
        return found

    def _by_id(self, tasks: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for task in tasks:
            if name := id_of(task):
                found.setdefault(name, []).append(str(task["id"]))
        return found
