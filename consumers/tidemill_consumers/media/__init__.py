"""The media-sharing application: which rule answers which command.

Room: rules. Pure: a rule sees a document and a request, and nothing else.
"""

from tidemill_consumers import Aggregatable, Internal, Rules
from tidemill_consumers.media import content, event, insight, photo, user

RULES: Rules = {
    "client.alert": Internal(insight.alert),  # these two by the analytics stage
    "content.top": Internal(insight.top),
    "content.publish": content.publish,
    "content.update": content.update,
    "content.view": Aggregatable(content.viewed),
    "content.like": Aggregatable(content.liked),
    "content.delete": content.delete,  # emits user.deleted_content to its owner
    "content.processed": Internal(photo.processed),  # these two by the function on the bucket's events
    "content.removed": Internal(photo.removed),
    "event.track": event.track,
    "user.create": user.create,
    "user.deleted_content": Internal(user.deleted_content),  # emitted
}
"""Command to rule. An application's own module has a RULES like this one."""
