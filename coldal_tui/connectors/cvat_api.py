"""Asks CVAT by its SDK: counted, without redirects, with our errors for whatever goes wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coldal_tui.connectors import Address
from coldal_tui.connectors.tokens import variable_of
from coldal_tui.connectors.web import CUT, check_url, not_json
from coldal_tui.errors import ColdalError
from coldal_tui.extras import install

_PAGE = 500
_TRIES = 5
_STATUS_PERIOD_S = 1.0
_TIMEOUT_S = 120.0
_KEPT = 1 << 16
"""Bytes of an answer that are kept to tell a web page from garbage."""


class Api:
    """The server, entered when it is first asked. Tries of the SDK itself are not counted."""

    def __init__(
        self, address: Address, *, tries: int = _TRIES, period: float = _STATUS_PERIOD_S
    ) -> None:
        self._address = address
        self._url = check_url(address.url).rstrip("/")
        self._tries, self._period = tries, period
        self._client: Any = None
        self._meta: dict[int, Any] = {}
        self._last = b""
        self.requests = 0

    def rest(self, number: int) -> None:
        """Wait before the next attempt at something that failed."""
        time.sleep(min(self._period * 2.0**number, 60.0))

    def ask(self, api: str, method: str, *words: Any, **named: Any) -> Any:
        """One question of the SDK's low-level interface: ``ask("tasks_api", "destroy", 3)``."""
        with self._told():
            return getattr(getattr(self._entered().api_client, api), method)(*words, **named)[0]

    def listed(self, api: str, **asked: Any) -> list[dict[str, Any]]:
        """All entries of a list, page by page."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = self.ask(api, "list", page=page, page_size=_PAGE, **asked)
            with self._told():
                some = [one.to_dict() for one in answer.results]
                total = int(answer.count)
            found += some
            page += 1
            if not some or len(found) >= total:
                return found

    def frames(self, task: int) -> list[str]:
        """The names of a task's frames in order; kept, since a filled task never changes them."""
        return [str(one["name"]) for one in self._frames(task)]

    def sizes(self, task: int) -> list[tuple[int, int]]:
        """Width and height of each frame."""
        return [(int(one["width"]), int(one["height"])) for one in self._frames(task)]

    def _frames(self, task: int) -> list[dict[str, Any]]:
        if task not in self._meta:
            found = self.ask("tasks_api", "retrieve_data_meta", task).to_dict()
            frames = list(found.get("frames") or ())
            if not frames:
                return []
            self._meta[task] = frames
        kept: list[dict[str, Any]] = self._meta[task]
        return kept

    def create_task(self, name: str, project: int, person: int | None) -> int:
        with self._told():
            from cvat_sdk.api_client import models

            more = {} if person is None else {"assignee_id": person}
            spec = models.TaskWriteRequest(name=name, project_id=project, **more)
        return int(self.ask("tasks_api", "create", spec).id)

    def upload(self, task: int, files: Sequence[Path], jobs: Sequence[Sequence[str]]) -> None:
        """Give a task its pictures, a job for each list of names, and wait until it is made."""
        with self._told():
            made = self._entered().tasks.retrieve(task)
            made.upload_data(
                list(files),
                params={
                    "image_quality": 95,
                    "sorting_method": "predefined",
                    "job_file_mapping": [list(one) for one in jobs],
                },
                status_check_period=self._period,
            )

    def set_shapes(self, task: int, shapes: Sequence[Mapping[str, Any]]) -> None:
        with self._told():
            from cvat_sdk.api_client import models

            made = [
                models.LabeledShapeRequest(**{**one, "type": models.ShapeType(one["type"])})
                for one in shapes
            ]
            data = models.LabeledDataRequest(shapes=made)
        self.ask("tasks_api", "update_annotations", task, labeled_data_request=data)

    def rename(self, task: int, name: str) -> None:
        with self._told():
            from cvat_sdk.api_client import models

            data = models.PatchedTaskWriteRequest(name=name)
        self.ask("tasks_api", "partial_update", task, patched_task_write_request=data)

    def set_labels(self, project: int, labels: Sequence[Mapping[str, Any]]) -> None:
        with self._told():
            from cvat_sdk.api_client import models

            made = [
                models.PatchedLabelRequest(name=one["name"], color=one["color"]) for one in labels
            ]
            data = models.PatchedProjectWriteRequest(labels=made)
        self.ask("projects_api", "partial_update", project, patched_project_write_request=data)

    def _entered(self) -> Any:
        if self._client is not None:
            return self._client
        token = self._address.token
        if not token:
            raise ColdalError(
                "there is no token for this server",
                where=f"{self._address.name} ({self._address.url})",
                remedy=f"coldal-tui connect token {self._address.name} asks for it, or set "
                f"{variable_of(self._address.name)}; user:password is one, too",
                code="no-token",
            )
        try:
            import urllib3
            from cvat_sdk import Client
            from cvat_sdk.api_client import ApiClient, Configuration
        except ImportError as error:
            raise ColdalError(
                "CVAT is spoken to by its SDK, which is not installed",
                where=self._address.name,
                remedy=install("cvat"),
                code="missing-package",
            ) from error
        client = Client(self._url, check_server_version=False)
        ca = self._address.ca
        configuration = Configuration(
            host=client.api_map.host, ssl_ca_cert=str(ca) if ca else None, verify_ssl=True
        )
        # A login page is no answer, and what changes something is not asked for twice.
        configuration.retries = urllib3.Retry(
            total=self._tries,
            redirect=0,
            status_forcelist=(429, 502, 503, 504),
            backoff_factor=self._period,
            raise_on_status=False,
            raise_on_redirect=False,
        )
        client.api_client = ApiClient(configuration)
        rest = client.api_client.rest_client
        ask = rest.request

        def counted(*words: Any, **named: Any) -> Any:
            self.requests += 1
            self._last = b""
            answer = ask(*words, **{**named, "_request_timeout": _TIMEOUT_S})
            self._last = bytes(answer.data or b"")[:_KEPT]
            return answer

        rest.request = counted
        user, divider, password = token.partition(":")
        if divider:
            client.login((user, password))
        else:
            configuration.access_token = token
            client.api_client.configuration.access_token = token
        self._client = client
        return client

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the SDK as ours; nothing of a token or a page is in them."""
        try:
            yield
        except (ColdalError, OSError):
            raise
        except Exception as error:
            raise _problem(self._url, error, self._last) from error


def _problem(url: str, error: Exception, answer: bytes) -> ColdalError:
    """The error of a failed question; ``answer`` is the beginning of what was answered."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status >= 300:
        return _refused(url, status, str(getattr(error, "reason", "") or ""))
    module = type(error).__module__
    if module.startswith("urllib3"):
        if "certificate" in str(error).lower():
            return ColdalError(
                "the server's certificate is not trusted",
                where=url,
                remedy="name the certificates of your private authority with --ca FILE",
                code="certificate",
            )
        return ColdalError(
            f"the connection failed: {type(error).__name__}",
            where=url,
            remedy="is the server running? the same command goes on where it was",
            code=CUT,
        )
    if type(error).__name__ == "BackgroundRequestException":
        return ColdalError(
            f"the server could not make the task: {' '.join(str(error).split())[:200]}",
            where=url,
            remedy="look at the server's own log; the same command goes on where it was",
            code="server-refused",
        )
    if module.startswith("cvat_sdk.core") and "Too many upload errors" in str(error):
        return ColdalError(
            "the connection failed while pictures were sent",
            where=url,
            remedy="the same command goes on where it was",
            code=CUT,
        )
    return not_json(answer, url)


def _refused(url: str, status: int, reason: str) -> ColdalError:
    known = {
        401: ("server-login", "the server does not accept the token", "coldal-tui connect token"),
        403: ("server-login", "the server does not accept the token", "coldal-tui connect token"),
        404: ("server-missing", "the server knows no such thing", "check the project's number"),
        429: ("server-busy", "the server has too much to do", "try again later: it goes on"),
    }
    if status in known:
        code, what, remedy = known[status]
    elif status >= 500:
        code, what, remedy = "server", "the server failed", "look at the server's own log"
    elif status < 400:
        code, what = "server-page", "the server sends on to another address"
        remedy = "check the address: is it a login page?"
    else:
        code, what, remedy = "server-refused", "the server refuses", "coldal-tui connect test"
    return ColdalError(
        f"{what} ({status} {reason})".replace(" )", ")"), where=url, remedy=remedy, code=code
    )
