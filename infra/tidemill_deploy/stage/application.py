"""The stage's application of Managed Flink: what it is, and its start and stop.

Room: the stage, I/O: kinesisanalyticsv2 alone. CloudFormation makes and changes it, and neither starts nor stops it.
https://docs.aws.amazon.com/managed-flink/latest/apiv2/API_StartApplication.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tidemill_deploy.stack.stack import Say, pauses
from tidemill_deploy.stage.life import SHAPING, Found
from tidemill_stream.settings import GROUP

WITHIN_SECONDS = 1200.0
"""That a start or a stop may take: minutes are usual."""

BEGINS_WITHIN_SECONDS = 30.0
"""That the service may take to show that a start or a stop has begun."""

RUNNING, READY = "RUNNING", "READY"


class StageError(Exception):
    """The stage cannot be started or stopped, or is not as it was deployed; says why, and what to do."""


class Application:
    """An application by its name.

    Args:
        client: a boto3 client of kinesisanalyticsv2.
        name: the application's.
        sleep: waits so many seconds.
    """

    def __init__(self, client: Any, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self.name = name

    def found(self) -> Found:
        """What it is.

        Raises:
            StageError: it is being changed.
            ClientError, BotoCoreError: the service cannot be asked.
        """
        detail = self._client.describe_application(ApplicationName=self.name)["ApplicationDetail"]
        status = detail["ApplicationStatus"]
        if status not in (RUNNING, READY):
            raise StageError(f"the stage {self.name} is {status}: wait until that is done, and try again")
        settings = _settings(detail)
        latest = self._latest_snapshot()
        shape = tuple(settings.get(one, "") for one in SHAPING)
        found = Found(status, settings.get("generation", ""), settings.get("begin", "0"), shape)
        if latest is None:
            return found
        version = self._client.describe_application_version(
            ApplicationName=self.name, ApplicationVersionId=latest["ApplicationVersionId"]
        )["ApplicationVersionDetail"]
        return replace(
            found,
            snapshot=latest["SnapshotCreationTimestamp"].timestamp(),
            snapshot_generation=_settings(version).get("generation", ""),
        )

    def start(self, generation: str, restore: str, say: Say) -> None:
        """Have it run, if it does not, and wait until it does.

        Args:
            generation: the one that was deployed.
            restore: how it begins, if it does not run: the value of the template's parameter AnalyticsRestore.
            say: gets what is done.

        Raises:
            StageError: it is of another generation, for its update was rolled back; or it does not start.
        """
        found = self.found()
        if found.generation != generation:
            raise StageError(
                f"the stage {self.name} has the generation {found.generation} and not {generation}: AWS has rolled its "
                "update back. Its log says why; a state that does not fit the new SQL is left by --new-generation"
            )
        if found.status == RUNNING:
            return
        say(f"starting the stage {self.name}")
        self._client.start_application(
            ApplicationName=self.name,
            RunConfiguration={
                "FlinkRunConfiguration": {"AllowNonRestoredState": False},
                "ApplicationRestoreConfiguration": {"ApplicationRestoreType": restore},
            },
        )
        self._settled(RUNNING)

    def stop(self, say: Say) -> None:
        """Stop it with a snapshot, if it runs, and wait until it has stopped.

        Raises:
            StageError: it does not stop.
        """
        if self.found().status != RUNNING:
            return
        say(f"stopping the stage {self.name}")
        self._client.stop_application(ApplicationName=self.name, Force=False)
        self._settled(READY)

    def _latest_snapshot(self) -> Mapping[str, Any] | None:
        pages = self._client.get_paginator("list_application_snapshots").paginate(ApplicationName=self.name)
        ready = [one for page in pages for one in page["SnapshotSummaries"] if one["SnapshotStatus"] == READY]
        return max(ready, key=lambda one: one["SnapshotCreationTimestamp"], default=None)

    def _settled(self, wanted: str) -> None:
        """Wait until a start or a stop is done."""
        waited, has_moved = 0.0, False
        for pause in pauses():
            detail = self._client.describe_application(ApplicationName=self.name)["ApplicationDetail"]
            status = detail["ApplicationStatus"]
            if status == wanted:
                return
            has_moved = has_moved or status not in (RUNNING, READY)
            if waited > (
                WITHIN_SECONDS if status not in (RUNNING, READY) else 0 if has_moved else BEGINS_WITHIN_SECONDS
            ):
                break
            self._sleep(pause)
            waited += pause
        raise StageError(f"the stage {self.name} is {status} and not {wanted}: see the log group StageLogGroupName")


def _settings(detail: Mapping[str, Any]) -> Mapping[str, str]:
    """The stage's own runtime properties."""
    configuration = detail.get("ApplicationConfigurationDescription", {})
    groups = configuration.get("EnvironmentPropertyDescriptions", {}).get("PropertyGroupDescriptions", [])
    return next((one["PropertyMap"] for one in groups if one["PropertyGroupId"] == GROUP), {})
