"""Bugs of the functions on events, each a small change of the real code: the simulation of photos must catch every one.

`make mutants` runs them with those of the protocol, in the same way.
"""

from __future__ import annotations

from functools import partial

from tests.simulation.mutants import Mutant

SEEDS = range(1, 101)
"""A bug that a hundred seeds do not show is not caught."""
PHOTOS = "tests.simulation.photos.run"

PLACES = "tidemill.contract.places"
CONTENT = "tidemill_consumers.media.content"
PHOTO = "tidemill_consumers.media.photo"
MEDIA = "tidemill_media.media"
PHOTO_FILES = "tidemill_media.adapters.photo_files"
REQUESTS = "tidemill_media.processing.requests"
STANDING = "tidemill_media.processing.standing"
INDEX = "tidemill_media.index"
INDEX_FILES = "tidemill_media.adapters.index_files"
CHANGES = "tidemill_media.indexing.changes"
OUTDATED = "tidemill_media.indexing.outdated"
NOTIFICATIONS = "tidemill_media.processing.notifications"
OLD_THUMBNAILS = "tidemill_media.adapters.old_thumbnails"
PAGES = "tidemill_media.indexing.pages"

_mutant = partial(Mutant, seeds=SEEDS, simulation=PHOTOS)

MUTANTS = [
    # ── Which photo a content has ────────────────────────────────────────────────────────────────────────────
    _mutant("the order of versions is ignored", PHOTO, "_latest", 'photo["version"] > current["version"]', "True"),
    _mutant("the first version stays", PHOTO, "_latest", 'photo["version"] > current["version"]', "False"),
    _mutant(
        "sequencers are padded on the left",
        PLACES,
        "photo_version",
        'digits.ljust(VERSION_DIGITS, "0")',
        'digits.rjust(VERSION_DIGITS, "0")',
    ),
    _mutant("sequencers in capitals are other ones", PLACES, "photo_version", "sequencer.lower()", "sequencer"),
    _mutant(
        "another's photo is taken over",
        PHOTO,
        "_take",
        'if document.get("owner") != photo["by"]:',
        "if False:",
    ),
    _mutant(
        "whoever publishes gets somebody's photo",
        PHOTO,
        "published",
        'uploads.pop(owner or "", None)',
        "uploads.popitem()[1] if uploads else None",
    ),
    _mutant("a photo that waits is not published", PHOTO, "published", "if photo else found", "if False else found"),
    _mutant("uploads wait though one is published", PHOTO, "published", "{by: _gone(one) for", "{by: one for"),
    _mutant("a removed photo is shown", PHOTO, "removed", '{**request.data, "status": REMOVED}', "request.data"),
    _mutant(
        "a deleted content takes photos again",
        PHOTO,
        "_take",
        '    if document.get("deleted"):\n        return _refuse(document, photo, "the content was deleted")\n',
        "",
    ),
    # ── What is made of it ───────────────────────────────────────────────────────────────────────────────────
    _mutant(
        "the outcome is noted before the thumbnails",
        MEDIA,
        "_made",
        "        if isinstance(outcome, Made):\n"
        "            parts.files.put([(name_of(told, one), one) for one in outcome.thumbnails])\n"
        "        parts.files.finish(told, photo)\n",
        "        parts.files.finish(told, photo)\n"
        "        if isinstance(outcome, Made):\n"
        "            parts.files.put([(name_of(told, one), one) for one in outcome.thumbnails])\n",
    ),
    _mutant(
        "the request comes before the thumbnails",
        MEDIA,
        "_made",
        "        if isinstance(outcome, Made):\n",
        "        _send(processed_request(told, photo), told, parts)\n        if isinstance(outcome, Made):\n",
    ),
    _mutant(
        "a request that the stream did not take is taken for sent",
        MEDIA,
        "_send",
        "        raise Unsent(",
        "        log.warning(",
    ),
    _mutant(
        "a repeat decodes again",
        MEDIA,
        "_photo",
        "    if before.progress.photo is not None:\n        return before.progress.photo\n",
        "",
    ),
    _mutant(
        "what is late, or another's, is not cleared",
        MEDIA,
        "_is_wanted",
        "    parts.files.clear(told)\n",
        "",
    ),
    _mutant(
        "a file that is given up leaves thumbnails",
        MEDIA,
        "_photo",
        "        parts.files.clear(told, but_progress=True)  # some thumbnails may have been stored\n",
        "",
    ),
    _mutant(
        "a refusal has one id whatever its reason",
        REQUESTS,
        "refused_request",
        "photo, REFUSED, why)",
        "photo, REFUSED)",
    ),
    _mutant(
        "what is late is taken for known",
        STANDING,
        "standing",
        'return "late" if known > version',
        'return "known" if known',
    ),
    _mutant(
        "a version that was deleted for good is taken for the removal of the photo",
        NOTIFICATIONS,
        "_kind",
        'return "removed" if event.detail.deletion_type == "Delete Marker Created" else "version gone"',
        'return "removed"',
    ),
    _mutant(
        "versions that were deleted for good are passed over",
        MEDIA,
        "media",
        "told = _as_it_is_now(told, _document(told, parts), parts)",
        "told = None",
    ),
    _mutant("the place is told unasked", MEDIA, "_made", "with_place=original.with_place", "with_place=True"),
    _mutant("a place stays though the next photo has none", PHOTO, "_showing", ' if name != "geohash"', ""),
    # ── What is made when it is asked for ────────────────────────────────────────────────────────────────────
    _mutant(
        "what was made when it was asked for stays",
        OLD_THUMBNAILS,
        "OldThumbnails.delete",
        "for prefix in (THUMBNAILS, CACHED)",
        "for prefix in (THUMBNAILS,)",
    ),
    # ── What is cleared up ───────────────────────────────────────────────────────────────────────────────────
    _mutant("a refused photo is not noted", PHOTO, "_refuse", '    if photo["status"] == REMOVED:\n', "    if True:\n"),
    _mutant(
        "uploads of others vanish as one is published",
        PHOTO,
        "published",
        'found |= {"uploads": {by: _gone(one) for by, one in uploads.items()}} if uploads else {}',
        "",
    ),
    _mutant(
        "the thumbnails of the current version are deleted",
        OUTDATED,
        "Outdated.holds",
        "version < self.version",
        "version <= self.version",
    ),
    _mutant("old thumbnails stay", OUTDATED, "Outdated.holds", "version < self.version or", "False or"),
    _mutant(
        "the thumbnails of a removed photo stay",
        OUTDATED,
        "outdated",
        "max(one.version for one in known), True",
        "max(one.version for one in known), False",
    ),
    _mutant(
        "a first photo replaced nothing",
        OUTDATED,
        "outdated",
        "elif newest != first.get(identity):",
        "elif identity in first and newest != first[identity]:",
    ),
    _mutant(
        "old thumbnails are deleted for the last identity alone",
        INDEX,
        "index",
        "[old for content in changed for old in outdated(content)]",
        "[old for content in changed for old in [*outdated(content)][-1:]]",
    ),
    # ── The index ────────────────────────────────────────────────────────────────────────────────────────────
    _mutant(
        "a manifest is put whatever is there",
        INDEX_FILES,
        "IndexFiles.swap",
        '({"IfMatch": etag} if etag else {"IfNoneMatch": "*"})',
        "{}",
    ),
    _mutant(
        "who was slower is done",
        INDEX,
        "relist",
        "if not are_done[folder]}",
        "if False}",
    ),
    _mutant(
        "the manifest comes before its pages",
        INDEX,
        "_update",
        "    for name, entries in update.pages.items():\n"
        "        parts.files.put_page(folder, name, entries)\n"
        "    is_done = parts.files.swap(folder, update.manifest, etag)\n",
        "    is_done = parts.files.swap(folder, update.manifest, etag)\n"
        "    for name, entries in update.pages.items():\n"
        "        parts.files.put_page(folder, name, entries)\n",
    ),
    _mutant(
        "an entry stays where it stood",
        CHANGES,
        "change_of",
        "frozenset(entry.position for _, entries in of_owner for entry in entries)",
        "frozenset()",
    ),
    _mutant(
        "an entry is cleared where the table has it now alone",
        CHANGES,
        "change_of",
        "frozenset(entry.position for _, entries in of_owner for entry in entries)",
        "frozenset(entry.position for entry in now if entry)",
    ),
    _mutant(
        "a content changed twice in a batch has its last change alone",
        CHANGES,
        "contents",
        "documents += map(_document, (new,) if documents else (old, new))",
        "documents[:] = map(_document, (old, new))",
    ),
    _mutant(
        "a content is listed though it may stand elsewhere",
        PAGES,
        "placed",
        "if one.position in change.cleared or one.key in standing",
        "if True",
    ),
    _mutant(
        "a content that is ahead of its record is not listed",
        PAGES,
        "placed",
        " or one.key in standing",
        "",
    ),
    _mutant(
        "pages are deleted at once",
        INDEX_FILES,
        "IndexFiles.collect",
        " | {page.name for page in manifest.replaced}",
        "",
    ),
    _mutant(
        "an entry is cleared on the page beside its own",
        PAGES,
        "_homes",
        "min(bisect_left(ends, order(position)), len(pages) - 1)",
        "min(bisect_left(ends, order(position)) + 1, len(pages) - 1)",
    ),
    _mutant(
        "the current version is read whichever is told of",
        PHOTO_FILES,
        "PhotoFiles.original",
        "IfMatch=told.etag, **version",
        "",
    ),
    _mutant(
        "the stream's image is listed, not the table's document",
        CHANGES,
        "change_of",
        "now = [entry_of(key, documents.get(key)) for key, _ in of_owner]",
        "now = [max(entries, key=lambda one: one.uploaded) if entry_of(key, documents.get(key)) else None"
        " for key, entries in of_owner]",
    ),
]
