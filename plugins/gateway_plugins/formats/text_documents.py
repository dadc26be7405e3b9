"""Documents of plain text for a target that takes text and no documents."""

from __future__ import annotations

import base64

from gateway.protocol import Media


def text_of(media: Media) -> str | None:
    """A document's text behind its title, where the model sees both; None for a document of anything else."""
    text = media.text
    if text is None and media.kind == "document" and media.data is not None and _is_text(media.media_type):
        try:
            text = base64.b64decode(media.data, validate=True).decode()
        except ValueError:
            return None
    if text is None:
        return None
    return f"{media.name}\n\n{text}" if media.name else text


def _is_text(media_type: str | None) -> bool:
    return media_type is not None and (media_type.startswith("text/") or media_type == "application/json")
