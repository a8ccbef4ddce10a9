"""How flood water looks: the more sediment it carries, the browner it is and the sooner it hides the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Raster = NDArray[np.float32]

SEDIMENT_STREAM = 52  # of a sample's random numbers

# Reflectance (R, G, B) of deep water without and with as much sediment as it can carry, and the load (g/m3) at which it
# is half-way. The form is that of Nechad et al. 2010 (Remote Sensing of Environment 114), who find that red saturates;
# the figures are fitted: at 600 g/m3 xBD's Harvey (8-bit sRGB 143,137,104 to 151,139,108), at 20 g/m3 the dark water on
# Ida-BD's streets.
CLEAR, LADEN = np.array([0.045, 0.05, 0.035]), np.array([0.34, 0.258, 0.136])
HALF = np.array([110.0, 80.0, 90.0])
# Light fades by this per metre, and by this more per g/m3: about what Devlin et al. 2008 (Estuarine, Coastal and Shelf
# Science 80) measured in estuaries.
OWN, PER_GRAM = 0.33, 0.066
EMERGENT = 0.15  # metres of water that grass, kerbs and steps stand out of


@dataclass(frozen=True, slots=True)
class Turbidity:
    """Of a flood: ``sediment`` is what it carries, grams in a cubic metre."""

    sediment: float

    @property
    def colour(self) -> NDArray[np.float64]:
        """Reflectance (R, G, B) where it is too deep to see the ground."""
        return np.asarray(CLEAR + (LADEN - CLEAR) * self.sediment / (self.sediment + HALF))

    @property
    def extinction(self) -> float:
        """How fast it hides the ground, per metre."""
        return OWN + PER_GRAM * self.sediment


RIVERS = Turbidity(55.0)  # what hides the beds of rivers and lakes in normal times


def seen_through(depth: NDArray[np.floating[Any]], extinction: float | Raster) -> NDArray[np.float64]:
    """Share of the ground that still shows under metres of water, by Beer's law from where nothing stands out."""
    metres = np.clip(depth, 0, 10)
    return np.asarray(np.exp(-extinction * metres**2 / (metres + EMERGENT)))


def draw_sediment(rng: np.random.Generator, between: tuple[float, float]) -> float:
    """A load (g/m3) drawn evenly over the logarithm."""
    low, high = between
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
