"""The template's functions: what each of them needs in its package, and how large that may be.

Room: packaging, pure. This table is the one place that says so: a further function is a further row, and what its extra
needs is pinned in locks/, by `make lock`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

MB = 1_000_000

UNPACKED_LIMIT = 250 * MB
"""Most bytes of a package, unpacked: "250 MB (The maximum size of the contents of a deployment package, including
layers and custom runtimes, unzipped)". https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

PACKAGES = ("tidemill", "tidemill_consumers", "tidemill_media")
"""This project's own packages, in each function's package."""

ARCHITECTURES = ("arm64", "x86_64")
"""Lambda's names; the first is the template's default."""

OF_PHOTOS = ("content.processed", "content.removed")
"""The commands by which the media function tells the stream of photos."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the template.

    Attributes:
        name: its logical id.
        extra: the extra of this project that it needs, beside what `pip install tidemill` brings.
        services: whose descriptions botocore has in it: those that the function calls. All would be 17 MB in 1,900
            files, which each new environment would load.
        limit: most bytes of its package. Lambda itself takes larger ones; each new environment would load them.
    """

    name: str
    extra: str = "signing"
    services: tuple[str, ...] = ("dynamodb", "kinesis", "s3", "secretsmanager", "sns")
    limit: int = 50 * MB

    @property
    def needs(self) -> tuple[str, tuple[str, ...]]:
        """What tells its package from others: functions that need what others do have the same package."""
        return self.extra, self.services

    @property
    def file(self) -> str:
        """Its package's file name."""
        return f"{self.name.lower()}.zip"

    @property
    def parameter(self) -> str:
        """The template's parameter that says under which key its package lies in the bucket."""
        return f"{self.name}CodeKey"


SHARED = {"Sweep": "Apply", "Thumbnail": "Media"}
"""Functions that have another's package, with another handler."""

FUNCTIONS = (
    Function("Apply"),
    Function("Direct"),
    Function("Index"),
    Function("Media", extra="media", limit=100 * MB),
)

TRACED = {"Apply", "Direct"}
"""The functions that make spans: with traces they need OpenTelemetry, 6 MB unpacked, and X-Ray's description."""


def functions(*, traces: bool) -> tuple[Function, ...]:
    """The functions, with or without what traces need."""
    return tuple(_traced(one) if traces and one.name in TRACED else one for one in FUNCTIONS)


def have_traces(where: object) -> bool:
    """Whether a value of the template's parameter Traces turns traces on."""
    return where != "off"


def unheard_photos(photos: object, commands: Collection[str]) -> str | None:
    """What an application's rules lack, and how to mend it, if the media function tells them of photos; else None.

    Args:
        photos: the value of the template's parameter Photos.
        commands: the rules' commands.
    """
    missing = [one for one in OF_PHOTOS if one not in commands]
    if photos != "on" or not missing:
        return None
    return (
        f"RULES lacks {' and '.join(missing)}: with Photos=on what is told of each photo goes to the quarantine; "
        "add the media application's, RULES = {**tidemill_consumers.media.RULES, …} (docs/photos.md, On your machine)"
    )


def _traced(function: Function) -> Function:
    return replace(function, extra="tracing", services=(*function.services, "xray"))
