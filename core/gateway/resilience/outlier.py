"""Which targets of a group do so much worse than the others that they are left out for a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import median

from gateway.resilience.rules import EjectionRules


def outliers(shares: Mapping[str, tuple[float, int]], out: Collection[str], rules: EjectionRules) -> list[str]:
    """The targets to eject, the worst first.

    ``shares`` gives for each target of the group its share of errors and the number of answers; ``out`` are those that
    take no calls already, for whatever reason. At least one that is in stays in.
    """
    size = len(shares)
    inside = [target for target in shares if target not in out]
    room = min(int(size * rules.share) - (size - len(inside)), len(inside) - 1)
    found: list[str] = []
    for target in sorted(inside, key=lambda name: -shares[name][0]):
        if len(found) >= room:
            break
        share, samples = shares[target]
        others = [shares[name][0] for name in inside if name != target and name not in found and shares[name][1]]
        if samples >= rules.samples and others and share > median(others) + rules.margin:
            found.append(target)
    return found
