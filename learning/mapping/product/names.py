"""What Copernicus EMS rapid mapping calls products, layers and the values of their attributes.

After the online manual of the service (emergency.copernicus.eu/mapping, "Vector package" and "Related documents",
as of 2020) and its published layers. Types of constructions are those of Eurostat's classification (RAMON, CC 1998),
which the manual adopts; the five-digit road classes are those of the published layers, which tell primary, secondary
and local roads, continued at both ends of the list.
"""

from __future__ import annotations

import re

from mage.learning.mapping.findings import Event, Kind
from mage.scenes.errors import ModelError

DESTROYED, DAMAGED, POSSIBLY = "Destroyed", "Damaged", "Possibly damaged"
UNDAMAGED, NOT_ANALYSED = "No visible damage", "Not Analysed"
DAMAGE = (DESTROYED, DAMAGED, POSSIBLY, UNDAMAGED, NOT_ANALYSED)
AFFECTED = (DESTROYED, DAMAGED, POSSIBLY)  # what the service's tables add up
METHODS = ("Photo-interpretation", "Semi-automatic extraction", "Automatic extraction", "Modelling")
AUTOMATIC = METHODS[2]
PHASES = ("Pre-event", "Post-event", "Not applicable")
NOT_APPLICABLE, UNKNOWN = "Not Applicable", "Unknown"
NO_SUBTYPE, NO_TYPE = "997-Not Applicable", "999-Unknown"

EVENTS = {
    "1 - Earthquake": ("Ground Shaking", "Tsunami"),
    "3 - Storm": ("Extra-tropical storm", "Tropical Cyclone, Hurricane, Typhoon", "Convective storm"),
    "5 - Flood": ("Ice jam flood", "Riverine flood", "Coastal flood", "Flash flood"),
    "8 - Wildfire": ("Land fire: brush, bush, pasture", "Urban fires", "Forest fire"),
}  # `event_type` and the `obj_desc` of each; `UNKNOWN` where nobody said which
EVENT_TYPE = {
    Kind.EARTHQUAKE: "1 - Earthquake",
    Kind.WIND: "3 - Storm",
    Kind.FLOOD: "5 - Flood",
    Kind.FIRE: "8 - Wildfire",
}
OBSERVED = {"flood": "Flooded area", "burn": "Burnt area", "debris": "Debris"}  # what was seen, as `notation`

HOT_SPOT, MOST_AFFECTED, ISOLATED, ROUTE = "Hot spot of damage", "Most affected area", "Isolated area", "Access route"
CRISIS = (HOT_SPOT, MOST_AFFECTED, ISOLATED, ROUTE)  # ours: the service's are about camps and aid

OPEN, CAR_ONLY, TRUCK_ONLY, CLOSED = "Open", "Car only", "Truck only", "Closed"
PASSABLE = (OPEN, CAR_ONLY, TRUCK_ONLY, CLOSED, NOT_ANALYSED)

RESIDENTIAL, OTHER_BUILDING = "11-Residential Buildings", "12-Non-residential Buildings"
ROAD, BRIDGE = "211-Highways, Streets and Roads", "214-Bridges, Elevated Highways, Tunnels and Subways"
BUILT_TYPES, ROAD_TYPES = (RESIDENTIAL, OTHER_BUILDING, NO_TYPE), (ROAD, BRIDGE)

# OpenStreetMap's `building` and `amenity`, and the occupancies of our own data
_HOMES = (
    "residential house apartments detached terrace semidetached_house semi_detached bungalow dormitory cabin "
    "static_caravan houseboat farm hut allotment_house"
)
_USES = {
    "121-Hotels and similar buildings": "hotel hostel guest_house motel",
    "122-Office buildings": "office government public townhall bank post_office courthouse",
    "123-Wholesale and retail trade buildings": "commercial retail shop supermarket kiosk marketplace mall",
    "124-Traffic and communication buildings": "train_station transportation parking garage garages carport hangar "
    "bus_station",
    "125-Industrial buildings and warehouses": "industrial warehouse factory manufacture storage_tank silo works",
    "1261-Public entertainment buildings": "theatre cinema nightclub community_centre",
    "1262-Museums and libraries": "museum library",
    "1263-School, university and research buildings": "school university college kindergarten",
    "1264-Hospital or institutional care buildings": "hospital clinic doctors nursing_home",
    "1265-Sports halls": "sports_hall sports_centre stadium grandstand",
    "1271-Non-residential farm buildings": "barn stable cowshed sty greenhouse farm_auxiliary agricultural",
    "1272-Buildings used as places of worship and for religious activities": "church cathedral chapel mosque temple "
    "synagogue religious place_of_worship monastery shrine",
    "1274-Other buildings not elsewhere classified": "police fire_station prison barracks military bunker",
    "127-Other non-residential buildings": "shed service roof ruins construction other",
}
_USE_OF = {word: use for use, words in _USES.items() for word in words.split()}
BUILT_SUBTYPES = (*_USES, NO_SUBTYPE)
_ROADS = {
    "21110-Motorway": "motorway motorway_link trunk trunk_link",
    "21120-Primary Road": "primary primary_link",
    "21130-Secondary Road": "secondary secondary_link tertiary tertiary_link",
    "21140-Local Road": "",
    "21150-Cart Track": "track path bridleway",
}
_ROAD_OF = {word: name for name, words in _ROADS.items() for word in words.split()}
ROAD_SUBTYPES = tuple(_ROADS)

_CODE = re.compile(r"[A-Za-z0-9-]{1,40}")
NAME = re.compile(
    r"(?P<product>(?P<activation>[A-Za-z0-9-]{1,40})_AOI\d{2,}_(?P<type>FEP|DEL|GRA)_(PRODUCT|MONIT\d{2,}))"
    r"_(?P<feature>[a-z][A-Za-z]*?)(?P<letter>[APL]?)_r\d+_v\d+"
)  # of a layer
TABLES = ("source", "summaryTable", "differences", "provenance")


def product_name(event: Event) -> str:
    """``EMSR385_AOI06_GRA_PRODUCT``, or ``..._MONIT01`` for a monitoring update.

    Raises:
        ModelError: a code of the activation that is no part of a name, or numbers below those that there are.

    >>> product_name(Event(Kind.FLOOD, activation="EMSR385", aoi=6, monitoring=1))
    'EMSR385_AOI06_GRA_MONIT01'
    """
    if not _CODE.fullmatch(event.activation):
        expected = "up to 40 letters, digits and hyphens, such as EMSR385"
        raise ModelError("no code of an activation", expected=expected, found=repr(event.activation)[:60])
    if min(event.aoi, event.revision, event.version) < 1 or event.monitoring < 0:
        raise ModelError("areas, revisions and versions are counted from 1", found=str(event)[:200])
    update = f"MONIT{event.monitoring:02d}" if event.monitoring else "PRODUCT"
    return f"{event.activation}_AOI{event.aoi:02d}_{event.product}_{update}"


def layer_name(event: Event, feature: str) -> str:
    """The name of a layer, ``feature`` with its letter for the kind of geometry; errors as of :func:`product_name`.

    >>> layer_name(Event(Kind.EARTHQUAKE, activation="EMSR385", aoi=6), "transportationL")
    'EMSR385_AOI06_GRA_PRODUCT_transportationL_r1_v1'
    """
    return f"{product_name(event)}_{feature}_r{event.revision}_v{event.version}"


def built_type(kind: str) -> tuple[str, str]:
    """``obj_type`` and ``info`` of a building by OpenStreetMap's word for its use.

    >>> built_type("apartments"), built_type("church")[1][:4], built_type("yes")
    (('11-Residential Buildings', '997-Not Applicable'), '1272', ('999-Unknown', '997-Not Applicable'))
    """
    word = kind.strip().lower()
    if word in _HOMES.split():
        return RESIDENTIAL, NO_SUBTYPE
    use = _USE_OF.get(word)
    return (NO_TYPE, NO_SUBTYPE) if use is None else (OTHER_BUILDING, use)


def road_type(kind: str, *, lifted: bool) -> tuple[str, str]:
    """``obj_type`` and ``info`` of a road by OpenStreetMap's ``highway``, and whether it is on a bridge or in a tunnel.

    >>> road_type("primary_link", lifted=False), road_type("", lifted=True)[1]
    (('211-Highways, Streets and Roads', '21120-Primary Road'), '21140-Local Road')
    """
    return BRIDGE if lifted else ROAD, _ROAD_OF.get(kind, "21140-Local Road")


def event_words(kind: Kind, what: str, word: str) -> tuple[str, str, str]:
    """``event_type``, ``obj_desc`` and ``notation`` of something observed; water after an earthquake is a flood.

    >>> event_words(Kind.WIND, "flood", "Coastal flood"), event_words(Kind.EARTHQUAKE, "debris", "")[1]
    (('5 - Flood', 'Coastal flood', 'Flooded area'), 'Ground Shaking')
    """
    event = {"flood": EVENT_TYPE[Kind.FLOOD], "burn": EVENT_TYPE[Kind.FIRE]}.get(what, EVENT_TYPE[kind])
    usual = {"1 - Earthquake": "Ground Shaking", "5 - Flood": "Riverine flood"}.get(event, UNKNOWN)
    return event, word if word in EVENTS[event] else usual, OBSERVED.get(what, NOT_APPLICABLE)
