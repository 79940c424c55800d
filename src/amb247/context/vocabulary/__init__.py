"""The city's vocabulary: the types of things that the platform's rooms and feeds speak of.

Names and values are those of the Smart Data Models (smart-data-models.org, CC-BY-4.0). A type that is not
declared here may still live in the context; a declared one is held to its declaration at the door.
"""

from amb247.context.vocabulary import alerts, connectivity, environment, lighting, mobility, places, safety
from amb247.context.vocabulary.base import REGISTRY, Attribute, EntityType, usable

__all__ = [
    "REGISTRY",
    "Attribute",
    "EntityType",
    "alerts",
    "connectivity",
    "environment",
    "lighting",
    "mobility",
    "places",
    "safety",
    "usable",
]
