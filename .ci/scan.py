"""Scans the template with checkov's policies, without a network: what fails must be an exception that is listed here.

The scanned template has every option on and every condition answered yes, because checkov evaluates no `Fn::If`: an
own key, a secret, the HTTP API, photos, analytics. An exception that no longer fails is an error too.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tidemill_deploy.template import load

ROOT = Path(__file__).resolve().parent.parent

OPTIONS = {
    "DirectEndpoint": "on",
    "Photos": "on",
    "Analytics": "on",
    "AnalyticsCodeKey": "stage.zip",
    "KeyArn": "arn:aws:kms:us-east-1:123456789012:key/k",
    "ApplicationSecret": "s" * 43,
}
"""Values that the conditions of all resources hold for."""

EXCEPTIONS = {
    ("CKV_AWS_116", "Apply"): "the mapping never gives a record up, so there is nothing for a dead-letter queue",
    ("CKV_AWS_116", "Direct"): "it is invoked with its caller waiting, never asynchronously",
    ("CKV_AWS_116", "Sweep"): "the next week's invocation does what one did not, and an alarm tells of that",
    ("CKV_AWS_116", "Media"): "what it gives up goes to MissedPhotos, by its EventInvokeConfig",
    ("CKV_AWS_116", "Thumbnail"): "as for Direct",
    ("CKV_AWS_116", "Index"): "as for Apply",
    ("CKV_AWS_115", "Sweep"): "one invocation a week, and a second one finds nothing to do",
    ("CKV_AWS_115", "Index"): "an invocation a shard of the table's stream at a time, by its mapping",
    (
        "CKV_AWS_117",
        "Apply",
    ): "it calls public endpoints of AWS only, which check signatures; no VPC has anything for it",
    ("CKV_AWS_117", "Direct"): "as for Apply",
    ("CKV_AWS_117", "Sweep"): "as for Apply",
    ("CKV_AWS_117", "Media"): "as for Apply",
    ("CKV_AWS_117", "Thumbnail"): "as for Apply",
    ("CKV_AWS_117", "Index"): "as for Apply",
    ("CKV_AWS_173", "Apply"): "its variables are names and numbers; the secret is in Secrets Manager",
    ("CKV_AWS_173", "Direct"): "as for Apply",
    ("CKV_AWS_173", "Sweep"): "as for Apply",
    ("CKV_AWS_173", "Media"): "as for Apply",
    ("CKV_AWS_173", "Thumbnail"): "as for Apply",
    ("CKV_AWS_173", "Index"): "as for Apply",
    ("CKV_AWS_28", "ForgottenWriters"): "an item expires in a day at most; a restored table would be older than that",
    ("CKV_AWS_28", "Deliveries"): "it notes what is being delivered at the moment, which nothing can restore",
    ("CKV_AWS_158", "ApplyLogs"): "CloudWatch encrypts logs with a key of its own, and payloads are not logged",
    ("CKV_AWS_158", "DirectLogs"): "as for ApplyLogs",
    ("CKV_AWS_158", "SweepLogs"): "as for ApplyLogs",
    ("CKV_AWS_158", "MediaLogs"): "as for ApplyLogs",
    ("CKV_AWS_158", "ThumbnailLogs"): "as for ApplyLogs",
    ("CKV_AWS_158", "IndexLogs"): "as for ApplyLogs",
    ("CKV_AWS_158", "StageLogs"): "as for ApplyLogs: the stage logs no requests",
    ("CKV_AWS_158", "ArchiveLogs"): "as for ApplyLogs: Firehose logs errors and no records",
    ("CKV_AWS_18", "QuarantineBucket"): "who reads is logged by the account's CloudTrail, not by a third bucket",
    ("CKV_AWS_18", "ArchiveBucket"): "as for QuarantineBucket",
    ("CKV_AWS_18", "ContentBucket"): "as for QuarantineBucket",
    ("CKV_AWS_26", "Operations"): "alarms cannot publish to a topic with AWS's own key, and they hold no secrets",
    ("CKV_AWS_27", "MissedPhotos"): "SQS encrypts it with a key of its own, and its messages name photos and hold none",
    (
        "CKV_AWS_95",
        "ThumbnailsStage",
    ): "the function logs what fails; a line for each GET would cost as much as the GET",
    ("CKV_AWS_95", "DirectStage"): "the API is there to compare with; a log line would cost as much as a request",
}
"""Check and resource -> why it need not pass."""


def main(checkov: str) -> int:
    """Scan; returns the process's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.json"
        file.write_text(json.dumps(with_everything(load(ROOT / "infra/template.yaml"))))
        scan = [checkov, "--framework", "cloudformation", "--skip-download", "--output", "json", "--file", str(file)]
        done = subprocess.run(scan, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode > 1 or not done.stdout:
        print(done.stderr, file=sys.stderr)
        return 2
    results = json.loads(done.stdout)["results"]
    if results["parsing_errors"]:
        print(f"checkov cannot read the template: {results['parsing_errors']}", file=sys.stderr)
        return 2
    failed = {
        (one["check_id"], one["resource"].rpartition(".")[2]): one["check_name"] for one in results["failed_checks"]
    }
    for (check, resource), name in failed.items():
        if (check, resource) not in EXCEPTIONS:
            print(f"{check} {resource}: {name}", file=sys.stderr)
    for check, resource in EXCEPTIONS.keys() - failed.keys():
        print(f"{check} {resource} passes now: it needs no exception", file=sys.stderr)
    passed = len(results["passed_checks"])
    print(
        f"checkov: {passed} checks of the template pass, {len(failed)} fail of which {len(EXCEPTIONS)} are exceptions"
    )
    return int(failed.keys() != EXCEPTIONS.keys())


def with_everything(template: dict[str, Any]) -> dict[str, Any]:
    """The template with every option on, and what is chosen by a condition in place of the choice."""
    for name, value in OPTIONS.items():
        template["Parameters"][name]["Default"] = value
    found: dict[str, Any] = _chosen(template)
    return found


def _chosen(node: Any) -> Any:
    if isinstance(node, dict):
        if node.keys() == {"Fn::If"}:
            return _chosen(node["Fn::If"][1])
        return {key: _chosen(value) for key, value in node.items()}
    return [_chosen(one) for one in node] if isinstance(node, list) else node


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
