"""When an answer of AWS was given, by its header `Date`.

Room: SDK. No I/O: what boto3 returned, or a ClientError's response, comes in.
"""

import re
from datetime import UTC, datetime

_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def date_of(answer: object) -> float | None:
    """The seconds since 1970 at which the answer was given; None if it does not tell, or is not of AWS.

    Answers of AWS have an id. A proxy's has none, and its clock may be anything.
    """
    metadata = answer.get("ResponseMetadata") if isinstance(answer, dict) else None
    headers = metadata.get("HTTPHeaders") if isinstance(metadata, dict) and metadata.get("RequestId") else None
    return seconds_of(headers.get("date")) if isinstance(headers, dict) else None


def seconds_of(date: object) -> float | None:
    """The seconds since 1970 of a header `Date`; None if it is missing or none of HTTP's.

    https://www.rfc-editor.org/rfc/rfc9110.html#name-date-time-formats: `Sun, 06 Nov 1994 08:49:37 GMT` alone is sent.
    """
    found = _DATE.fullmatch(date) if isinstance(date, str) else None
    if found is None:
        return None
    year, day, hour, minute, second = map(int, found.group(3, 1, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:  # no such month, day or time
        return None
