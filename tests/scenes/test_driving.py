"""The side of the road that traffic keeps to."""

from __future__ import annotations

import pytest

from mage.scenes.driving import drives_left

LEFT = {
    "London": (51.51, -0.13), "Belfast": (54.6, -5.93), "Dublin": (53.35, -6.26), "Dover": (51.13, 1.31),
    "Lerwick": (60.15, -1.15), "Saint Helier": (49.19, -2.1), "Valletta": (35.9, 14.51), "Nicosia": (35.17, 33.36),
    "Tokyo": (35.68, 139.77), "Sapporo": (43.06, 141.35), "Naha": (26.21, 127.68), "Hong Kong": (22.3, 114.17),
    "Delhi": (28.61, 77.21), "Karachi": (24.86, 67.01), "Quetta": (30.18, 67.0), "Kathmandu": (27.72, 85.32),
    "Thimphu": (27.47, 89.64), "Dhaka": (23.81, 90.41), "Colombo": (6.93, 79.86), "Imphal": (24.82, 93.94),
    "Bangkok": (13.76, 100.5), "Chiang Mai": (18.79, 98.99), "Udon Thani": (17.41, 102.79),
    "Kuala Lumpur": (3.14, 101.69), "Singapore": (1.35, 103.82), "Jakarta": (-6.21, 106.85), "Kuching": (1.55, 110.34),
    "Makassar": (-5.15, 119.43), "Port Moresby": (-9.44, 147.18), "Dili": (-8.56, 125.56), "Perth": (-31.95, 115.86),
    "Hobart": (-42.88, 147.33), "Darwin": (-12.46, 130.84), "Auckland": (-36.85, 174.76), "Suva": (-18.14, 178.44),
    "Apia": (-13.83, -171.77), "Cape Town": (-33.92, 18.42), "Windhoek": (-22.56, 17.08), "Lusaka": (-15.39, 28.32),
    "Maputo": (-25.97, 32.57), "Dar es Salaam": (-6.79, 39.21), "Nairobi": (-1.29, 36.82), "Kampala": (0.35, 32.58),
    "Port Louis": (-20.16, 57.5), "Kingston": (17.97, -76.79), "Nassau": (25.04, -77.35), "Bridgetown": (13.1, -59.62),
    "Port of Spain": (10.65, -61.5), "Georgetown": (6.8, -58.16), "Paramaribo": (5.85, -55.2),
}  # fmt: skip
RIGHT = {
    "Rotterdam": (51.92, 4.48), "Calais": (50.95, 1.86), "Cherbourg": (49.64, -1.62), "Reykjavik": (64.15, -21.94),
    "Bergen": (60.39, 5.32), "Syracuse": (37.08, 15.29), "Antakya": (36.2, 36.16), "Beirut": (33.89, 35.5),
    "Houston": (29.76, -95.37), "Miami": (25.76, -80.19), "Havana": (23.11, -82.37), "Santo Domingo": (18.49, -69.93),
    "Port-au-Prince": (18.54, -72.34), "San Juan": (18.47, -66.11),
    "Cayenne": (4.92, -52.33),
    "Caracas": (10.48, -66.9), "Manaus": (-3.12, -60.02), "Fort-de-France": (14.6, -61.07), "Busan": (35.18, 129.08),
    "Vladivostok": (43.12, 131.89), "Shenzhen": (22.6, 114.06), "Taipei": (25.03, 121.57), "Kabul": (34.53, 69.17),
    "Kandahar": (31.61, 65.71),
    "Lhasa": (29.65, 91.12), "Yangon": (16.87, 96.2), "Mandalay": (21.97, 96.08), "Phnom Penh": (11.56, 104.92),
    "Luang Prabang": (19.89, 102.14), "Manila": (14.6, 120.98), "Hanoi": (21.03, 105.85), "Luanda": (-8.84, 13.23),
    "Lubumbashi": (-11.66, 27.48), "Goma": (-1.68, 29.23), "Kigali": (-1.95, 30.06), "Bujumbura": (-3.38, 29.36),
    "Addis Ababa": (9.03, 38.74), "Mogadishu": (2.05, 45.32), "Juba": (4.85, 31.58), "Antananarivo": (-18.88, 47.51),
    "Noumea": (-22.27, 166.44), "Zahedan": (29.5, 60.86),
}  # fmt: skip


@pytest.mark.parametrize("city", LEFT)
def test_traffic_keeps_left_where_the_law_says_so(city: str) -> None:
    assert drives_left(*LEFT[city])


@pytest.mark.parametrize("city", RIGHT)
def test_traffic_keeps_right_elsewhere_near_the_borders_as_well(city: str) -> None:
    assert not drives_left(*RIGHT[city])
