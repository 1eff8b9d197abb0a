"""How outputs are named so that no name ever stands for two different contents."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping

from core.contracts.storage import BlobName

# File systems allow 255 bytes in one part of a path; the rest is left for digest and suffix.
_STEM_BYTES = 180
_SLUG = 200


_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def slug(text: str) -> str:
    """Lower case, everything but letters and digits as single hyphens."""
    return _NOT_A_WORD.sub("-", text.lower()).strip("-") or "item"


def distinct_slugs(texts: Mapping[str, str]) -> dict[str, str]:
    """The slug of each text; those that several share, or that are overlong, end with a hash of their key."""
    slugs = {key: slug(text) for key, text in texts.items()}
    shared = Counter(slugs.values())
    return {
        key: f"{name[:_SLUG]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        if shared[name] > 1 or len(name) > _SLUG
        else name
        for key, name in slugs.items()
    }


def immutable_name(container: str, folder: str, stem: str, digest: str, suffix: str) -> BlobName:
    """`folder/stem-digest.suffix`: another content gets another name, the same content the same one.

    `digest` is a hash of the content in hexadecimal, of which 16 digits are kept; `suffix` begins with a dot and
    `folder` may be empty. An overlong stem is cut and made distinct by a hash of the whole of it.
    """
    raw = stem.encode()
    if len(raw) > _STEM_BYTES:
        stem = raw[:_STEM_BYTES].decode(errors="ignore") + "-" + hashlib.sha256(raw).hexdigest()[:8]
    file = f"{stem}-{digest[:16]}{suffix}"
    return BlobName(container, f"{folder}/{file}" if folder else file)
