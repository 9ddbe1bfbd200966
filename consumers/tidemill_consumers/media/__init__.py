"""The media-sharing application: which rule answers which command.

Room: rules. Pure: a rule sees a document and a request, and nothing else.
"""

from tidemill_consumers import Rules
from tidemill_consumers.media import content, event, user

RULES: Rules = {
    "content.publish": content.publish,
    "content.update": content.update,
    "content.view": content.view,
    "content.like": content.like,
    "content.delete": content.delete,  # emits user.deleted_content to its owner
    "event.track": event.track,
    "user.create": user.create,
    "user.deleted_content": user.deleted_content,  # emitted, not sent by clients
}
"""Command to rule. An application's own module has a RULES like this one."""
