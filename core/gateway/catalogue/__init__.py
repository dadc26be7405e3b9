"""The catalogue of models: limits, capabilities and prices, as data in the package; and what a call costs by it."""

from gateway.catalogue.cost import NANO, cost_of, dollars, told_cost
from gateway.catalogue.info import UNKNOWN, ModelInfo, Price
from gateway.catalogue.lists import families, lookup, preload
from gateway.catalogue.overrides import Catalogue, ModelOverride, PriceOverride

__all__ = [
    "NANO",
    "UNKNOWN",
    "Catalogue",
    "ModelInfo",
    "ModelOverride",
    "Price",
    "PriceOverride",
    "cost_of",
    "dollars",
    "families",
    "lookup",
    "preload",
    "told_cost",
]
