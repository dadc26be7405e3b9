"""The name of an end user, fitted to those who take 64 characters: OpenAI's API refuses longer ones, and Claude Code's
``metadata.user_id`` is an object of 150 characters and more.

OpenAI's own advice is to send a hash: it tells users apart as well as their names do.
"""

from __future__ import annotations

from hashlib import sha256

from gateway.format import Dropped

LONGEST = 64


def fitted_user(user: str, dropped: Dropped) -> str:
    """The user as it is, or the SHA-256 of a longer one (64 hexadecimal digits), which is named."""
    if len(user) <= LONGEST:
        return user
    dropped.add("user", f"longer than the {LONGEST} characters that are taken: its SHA-256 is sent")
    return sha256(user.encode()).hexdigest()
