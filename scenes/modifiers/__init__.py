"""What damage looks like: geometry for every grade and way of failing, debris, and what is seen of it from above."""

from mage.scenes.modifiers.after import aftermath
from mage.scenes.modifiers.blocked import road_debris

__all__ = ["aftermath", "road_debris"]
