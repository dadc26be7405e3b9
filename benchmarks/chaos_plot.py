"""A stacked bar for each second, as SVG, with what was done to the providers above."""

from __future__ import annotations

from collections.abc import Sequence

COLOURS = ("#2da44e", "#1f6feb", "#d4a72c", "#cf222e")
LEFT, TOP, HEIGHT, BAR, FOOT = 50, 90, 220, 13, 70


def draw(seconds: Sequence[Sequence[int]], kinds: Sequence[str], acts: Sequence[tuple[float, str]]) -> str:
    """The picture: ``seconds`` holds a count for each kind, ``acts`` the second and the words of each act."""
    most = max(1, max((sum(counts) for counts in seconds), default=1))
    width = LEFT + BAR * len(seconds) + 20
    scale = HEIGHT / most
    tall, font = TOP + HEIGHT + FOOT, 'font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" {font}>',
        f'<rect width="{width}" height="{tall}" fill="#fff"/>',
    ]
    for at, words in acts:
        x = LEFT + at * BAR
        parts.append(f'<path d="M{x:.1f} {TOP - 8}V{TOP + HEIGHT}" stroke="#8c959f" stroke-dasharray="2 3"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 12}" transform="rotate(-45 {x:.1f} {TOP - 12})">{words}</text>')
    for second, counts in enumerate(seconds):
        y = float(TOP + HEIGHT)
        for count, colour in zip(counts, COLOURS, strict=True):
            if count:
                y -= count * scale
                place = f'x="{LEFT + second * BAR + 1}" y="{y:.1f}" width="{BAR - 2}" height="{count * scale:.1f}"'
                parts.append(f'<rect {place} fill="{colour}"/>')
    base = TOP + HEIGHT
    parts.append(f'<path d="M{LEFT} {TOP}V{base}H{width - 20}" fill="none" stroke="#24292f"/>')
    parts.append(f'<text x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end">{most}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>')
    parts += [f'<text x="{LEFT + at * BAR}" y="{base + 16}">{at} s</text>' for at in range(0, len(seconds), 10)]
    for number, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=True)):
        x, total = LEFT + number * 180, sum(counts[number] for counts in seconds)
        parts.append(f'<rect x="{x}" y="{base + 34}" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="{base + 44}">{kind}: {total}</text>')
    return "\n".join([*parts, "</svg>", ""])
