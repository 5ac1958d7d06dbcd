"""A Ray cluster as its Jobs API shows it: submit, look, stop. It is never started or stopped here.

The client is Ray's own, so that addresses, tokens (RAY_AUTH_MODE, RAY_AUTH_TOKEN and their files)
and certificates mean what they mean to ``ray job submit``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from typing import Any, TypeVar

from coldal_launch.cluster_poll import Asker
from coldal_tui.errors import ColdalError

ADDRESS = "http://127.0.0.1:8265"
ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
ANSWER_S = 15.0
FOLDER_KEY = "coldal_tui.folder"
GONE = "GONE"
ENDED = frozenset({"SUCCEEDED", "STOPPED", "FAILED", GONE})
_Found = TypeVar("_Found")


class RaySilentError(ColdalError):
    """The cluster does not answer now: nothing is known of its jobs."""


@dataclass(frozen=True)
class RayJob:
    """A job's state (``PENDING``, ``RUNNING``, …; ``GONE`` where the cluster knows none such).

    ``folder``: the job folder that was noted with it when it was submitted.
    """

    status: str
    message: str = ""
    folder: str = ""

    @property
    def alive(self) -> bool:
        return self.status not in ENDED


def address_of(settings: Mapping[str, Any]) -> str:
    """Where the cluster's job server is: the variables of Ray first, as Ray itself has it."""
    named = (os.environ.get(name) for name in ADDRESS_VARIABLES)
    return next((one for one in named if one), None) or settings.get("address") or ADDRESS


class Cluster:
    """One cluster, by the address of its job server."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self.asker: Asker[Mapping[str, RayJob]] = Asker(self._ask, clock)
        self._clock = clock
        self._watched: dict[str, float] = {}
        self._client: Any = None
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="ray")

    def watch(self, number: str) -> float:
        """Ask for this job from now on; since when it is."""
        if number not in self._watched:
            self._watched[number] = self._clock()
            self.asker.soon()
        return self._watched[number]

    def forget(self, number: str) -> None:
        """Ask for this job no more."""
        self._watched.pop(number, None)

    def job(self, number: str) -> RayJob | None:
        """The job as the cluster last told; None when it has told nothing of it yet."""
        since = self.watch(number)
        self.asker.look()
        found = (self.asker.answer or {}).get(number)
        return found if found and (found.alive or self.asker.knows_of(since)) else None

    def submit(self, number: str, entrypoint: str, **options: Any) -> None:
        """Submit a job under a number of our own choice. Raises ColdalError when it is refused."""
        self._call(
            lambda client: client.submit_job(entrypoint=entrypoint, submission_id=number, **options)
        )
        self.watch(number)
        self.asker.soon()

    def status(self, number: str) -> RayJob:
        """The job's state as it is now. Raises RaySilentError."""
        return self._call(lambda client: _status(client, number))

    def stop(self, number: str) -> None:
        """SIGTERM to the job, SIGKILL after the cluster's own time. Raises RaySilentError."""
        self._call(lambda client: client.stop_job(number))

    def gpus(self) -> int:
        """GPUs of all its nodes that are alive."""
        from ray.util.state import list_nodes

        nodes: Any = self._call(
            lambda client: list_nodes(
                address=client.get_address(), filters=[("state", "=", "ALIVE")], timeout=10
            )
        )
        return int(sum((node.resources_total or {}).get("GPU", 0) for node in nodes))

    def _ask(self) -> Mapping[str, RayJob]:
        watched = list(self._watched)
        if not watched:
            self._call(lambda client: client.get_version())
        return {number: self.status(number) for number in watched}

    def _call(self, ask: Callable[[Any], _Found]) -> _Found:
        """An answer of the client's, which by itself would wait for ever."""
        from ray.exceptions import RayError
        from ray.util.state.exception import RayStateApiException

        try:
            return self._pool.submit(lambda: ask(self._connected())).result(ANSWER_S)
        except LateError as error:
            raise self._silent(f"silent for {ANSWER_S:g} s") from error
        except (OSError, RuntimeError, ValueError, RayError, RayStateApiException) as error:
            # No connection, no such address, a token that is missing or wrong.
            raise self._silent(first_line(error)) from error

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                from ray.job_submission import JobSubmissionClient

                self._client = JobSubmissionClient(self.address)
            return self._client

    def _silent(self, why: str) -> RaySilentError:
        return RaySilentError(
            f"the Ray cluster at {self.address} does not answer: {why}",
            where="coldal.toml, [backend.ray]",
            remedy="is it running, is the address its dashboard's, is its token set "
            "(RAY_AUTH_MODE=token, RAY_AUTH_TOKEN)?",
            code="ray",
        )


def first_line(error: object) -> str:
    """The first line of an error that says something; its kind where none does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _status(client: Any, number: str) -> RayJob:
    try:
        told = client.get_job_info(number)
    except RuntimeError as error:
        if "status code 404" in str(error):
            return RayJob(GONE)
        raise
    status = str(getattr(told.status, "value", told.status))
    return RayJob(status, told.message or "", (told.metadata or {}).get(FOLDER_KEY, ""))
