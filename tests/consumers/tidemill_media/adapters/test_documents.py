"""Documents as they are now, as far as an index shows them."""

from tests.consumers.tidemill_media.contents import document, image
from tidemill_local.emulator import Emulator
from tidemill_media.adapters.documents import Documents


def test_what_an_index_shows_is_read_however_many_there_are(emulator: Emulator, table: str) -> None:
    dynamodb = emulator.client("dynamodb")
    for number in range(120):
        dynamodb.put_item(TableName=table, Item=image(f"content/{number}", document(title=f"t{number}", views=7)))
    dynamodb.put_item(TableName=table, Item=image("content/none", None))
    found = Documents(dynamodb, table).read([f"content/{number}" for number in range(130)] + ["content/none"])
    assert [key for key in found if key != "content/none"] == [f"content/{number}" for number in range(120)]
    assert found["content/7"] == document(title="t7")
    assert found.get("content/none", {}) == {}
