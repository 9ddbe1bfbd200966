"""What a batch of the table's stream changes in the indexes."""

from tests.consumers.tidemill_media.contents import document, photo, record
from tidemill.contract.content_index import Position
from tidemill_media.indexing.changes import change_of, contents, folders, relisted
from tidemill_media.indexing.entries import entry_of


def test_views_alone_are_passed_over() -> None:
    batch = [record("content/1", document(views=1), document(views=2)), record("content/2", None, {"views": 1})]
    assert contents({"Records": batch}) == []


def test_a_content_comes_once_with_all_documents_that_it_had() -> None:
    first, second, third = document(title="a"), document(title="b"), document(title="c")
    batch = [record("content/1", first, second), record("content/2", None, first), record("content/1", second, third)]
    one, two = contents({"Records": batch})
    assert (one.key, [each.get("title") for each in one.documents]) == ("content/1", ["a", "b", "c"])
    assert (two.key, [each.get("title") for each in two.documents]) == ("content/2", [None, "a"])


def test_a_photo_that_nobody_has_published_changes_no_index() -> None:
    batch = [record("content/1", None, {"uploads": {"ada": photo()}})]
    changed = contents({"Records": batch})
    assert len(changed) == 1
    assert relisted(changed) == []


def test_what_was_changed_and_changed_back_is_looked_at() -> None:
    batch = [record("content/1", document(), {"deleted": True}), record("content/1", {"deleted": True}, document())]
    assert len(relisted(contents({"Records": batch}))) == 1


def test_each_owner_has_an_index_and_all_have_one() -> None:
    batch = [record(f"content/{owner}", None, document(owner=owner)) for owner in ("ada", "b/ö", "..", "x" * 900)]
    assert folders(relisted(contents({"Records": batch}))) == {
        "index/all/": None,
        "index/by/ada/": "ada",
        "index/by/b%2F%C3%B6/": "b/ö",
        "index/by/%2E%2E/": "..",
    }
    assert folders([]) == {}


def test_what_is_listed_is_what_the_table_holds_and_not_what_the_record_says() -> None:
    old, new, now = (document(photo=photo(uploaded=uploaded)) for uploaded in (1, 2, 3))
    changed = relisted(contents({"Records": [record("content/1", old, new)]}))
    for owner in (None, "ada"):
        change = change_of(changed, {"content/1": now}, owner)
        assert change.cleared == {Position(1, "content/1"), Position(2, "content/1")}
        assert change.entries == (entry_of("content/1", now),)
        assert change_of(changed, {"content/1": {"deleted": True}}, owner).entries == ()
        assert change_of(changed, {}, owner).entries == ()


def test_an_owners_index_lists_that_owners_contents() -> None:
    mine, other = document(), document(owner="bob")
    batch = [record("content/1", None, mine), record("content/2", None, other)]
    changed = relisted(contents({"Records": batch}))
    change = change_of(changed, {"content/1": mine, "content/2": other}, "bob")
    assert [one.key for one in change.entries] == ["content/2"]
    assert change.positions == {Position(1_000, "content/2")}
    assert change_of(changed, {"content/1": mine, "content/2": mine}, "bob").entries == (), "it is another's by now"
