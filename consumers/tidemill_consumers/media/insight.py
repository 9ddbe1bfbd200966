"""What the analytics stage sees in the stream: the contents that are viewed most, and clients that send too much.

Room: rules. Pure. Keys: "top/1h", and "alert/<client>". Only the stage sends these: analytics_sql/stream/stages.
"""

from __future__ import annotations

from tidemill_consumers import Accepted, Rejected, Request, State

EARLIER = "a later window is here already"


def top(state: State, request: Request) -> Accepted | Rejected:
    """Keep the latest top list: `of` and `from`, seconds since 1970, and `top`, by place.

    A job that counts anew comes by windows again that are over; for the same window that list counts which counted for
    longer.
    """
    data = request.data
    if state and (state["of"], -state["from"]) >= (data["of"], -data["from"]):
        return Rejected(EARLIER)
    top = sorted(data["top"], key=lambda one: one["place"])
    return Accepted({"of": data["of"], "from": data["from"], "top": top})


def alert(state: State, request: Request) -> Accepted | Rejected:
    """Keep the latest alert about a client, and how many there were: `of`, `client`, `requests`, `before`, `alerts`."""
    if state and state["of"] >= request.data["of"]:
        return Rejected(EARLIER)
    alerts = state["alerts"] + 1 if state else 1
    return Accepted({**request.data, "alerts": alerts})
