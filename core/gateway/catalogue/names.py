"""The many spellings of a model's name: regions, vendors, paths, dates and versions around the part that matters."""

from __future__ import annotations

import re
from collections.abc import Iterator

# arn:aws:bedrock:<region>:<account>:inference-profile/<name>, projects/…/models/<name>, accounts/…/models/<name>
_PATH = re.compile(r"(?:arn:aws[\w-]*:bedrock:[^/]*/|(?:.*/)?models/|models/)(.+)")
_PROFILE = re.compile(r"[a-z]{2,6}(?:-gov)?\.(?=[a-z0-9]+\.)")
_VERSION = re.compile(r"(?:-v\d+)?(?::\d+(?::\w+)?)?\Z")
_DATE = re.compile(r"(?:[@-](?:20\d{6}|20\d\d-\d\d-\d\d)|@default|-latest)\Z")
_VENDOR_DOT = re.compile(
    r"(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|google|qwen|xai|zai|moonshotai)\."
)

VENDORS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"(?:gpt-(?!oss|j|neo)|chatgpt-|o[1345](?:-|\Z)|text-embedding-(?:3|ada)|codex-)"), "openai"),
    (re.compile(r"gemini-"), "gemini"),
    (re.compile(r"(?:mistral|ministral|codestral|magistral|pixtral|devstral)-"), "mistral"),
    (re.compile(r"grok-"), "xai"),
    (re.compile(r"(?:command-|embed-(?:v4|english|multilingual)|c4ai-)"), "cohere"),
)
"""How a name begins that only one maker uses, and the family that this maker's own API is in."""


def plain(name: str) -> str:
    """The name without the path in front of it."""
    match = _PATH.fullmatch(name)
    return match[1] if match else name


def without_profile(name: str) -> str:
    """A Bedrock name without the region group of its inference profile."""
    return _PROFILE.sub("", name, count=1) if _PROFILE.match(name) else name


def undated(name: str) -> str:
    """The name without a version and a date behind it."""
    name = _VERSION.sub("", name)
    return _DATE.sub("", name)


def bare(name: str) -> str:
    """The maker's own name of a model: lower case, no path, region, vendor, version or date, hyphens for full stops.

    ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``, ``anthropic/claude-sonnet-4.5`` and
    ``claude-sonnet-4-5@20250929`` are all ``claude-sonnet-4-5``.
    """
    name = without_profile(plain(name).lower()).rpartition("/")[2]
    name = _VENDOR_DOT.sub("", name, count=1) if _VENDOR_DOT.match(name) else name
    name = re.sub(r":[a-z][\w-]*\Z", "", name)  # OpenRouter's variants, such as :thinking
    return undated(name).removeprefix("databricks-").replace(".", "-")


def vendor_of(name: str) -> str | None:
    """The family of the maker of a model that others serve, told by its bare name; None where that does not tell."""
    return next((family for pattern, family in VENDORS if pattern.match(name)), None)


def spellings(name: str) -> Iterator[str]:
    """The names under which the same model, at the same price, may stand in a list; the closest first."""
    yield name
    short = plain(name)
    yield short
    if (at := short.find("@")) > 0:
        yield short[:at]
    if short.startswith("ft:"):
        yield ":".join(short.split(":")[:2])  # a fine-tuned model costs as all of its base do
    yield undated(short)
