"""Hazards: pure functions from a city to an :class:`~mage.scenes.impact.Impact`."""
