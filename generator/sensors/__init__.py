"""How light becomes images: sensors and their bands, and the stretch of 8-bit products."""

from mage.generator.sensors.imaging import Taken, take
from mage.generator.sensors.radiometry import Radiometry, expose, sample_radiometry
from mage.generator.sensors.table import DEFAULT, Sensor, chosen_sensors, read_sensor

__all__ = [
    "DEFAULT",
    "Radiometry",
    "Sensor",
    "Taken",
    "chosen_sensors",
    "expose",
    "read_sensor",
    "sample_radiometry",
    "take",
]
