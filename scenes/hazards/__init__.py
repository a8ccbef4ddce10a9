"""Hazards: pure functions from a city to an :class:`~mage.scenes.impact.Impact` or :class:`~mage.scenes.strike.Strike`.

Each stands beside a twin that draws its parameters. The functions bear the names of the modules that they are in, and
are what ``from mage.scenes.hazards import flood`` finds; import a module's other names from the module by its full
name.
"""

from mage.scenes.hazards.camp import camp, sample_camp
from mage.scenes.hazards.earthquake import earthquake, sample_earthquake
from mage.scenes.hazards.fire import fire, sample_fire
from mage.scenes.hazards.flood import flood, sample_flood
from mage.scenes.hazards.wind import sample_wind, wind

__all__ = [
    "camp",
    "earthquake",
    "fire",
    "flood",
    "sample_camp",
    "sample_earthquake",
    "sample_fire",
    "sample_flood",
    "sample_wind",
    "wind",
]
