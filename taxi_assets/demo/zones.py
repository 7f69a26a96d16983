"""The zones that made-up trips use, by the names that people know, and a lookup of all zones with them.

The numbers, names and boroughs are TLC's (taxi_zone_lookup.csv); the other zones have a number for a name.
"""

from __future__ import annotations

from taxi_assets.contracts.zones import ZONES

KNOWN = {
    "Manhattan": {
        161: "Midtown Center",
        237: "Upper East Side South",
        236: "Upper East Side North",
        162: "Midtown East",
        230: "Times Sq/Theatre District",
        186: "Penn Station/Madison Sq West",
        170: "Murray Hill",
        234: "Union Sq",
        48: "Clinton East",
        142: "Lincoln Square East",
        163: "Midtown North",
        79: "East Village",
        68: "East Chelsea",
        239: "Upper West Side South",
        238: "Upper West Side North",
        107: "Gramercy",
        249: "West Village",
        164: "Midtown South",
        43: "Central Park",
        87: "Financial District North",
        231: "TriBeCa/Civic Center",
        148: "Lower East Side",
        211: "SoHo",
        45: "Chinatown",
        74: "East Harlem North",
        41: "Central Harlem",
    },
    "Queens": {132: "JFK Airport", 138: "LaGuardia Airport", 7: "Astoria", 145: "Long Island City/Hunters Point"},
    "Brooklyn": {255: "Williamsburg (North Side)", 33: "Brooklyn Heights", 181: "Park Slope", 97: "Fort Greene"},
    "Bronx": {69: "East Concourse/Concourse Village"},
    "Staten Island": {206: "Saint George/New Brighton"},
    "EWR": {1: "Newark Airport"},
}

NUMBERS = [number for zones in KNOWN.values() for number in zones]
"""Zones of made-up trips, those with most trips first."""


def lookup() -> str:
    """Return the zone lookup as TLC publishes it, a CSV file."""
    known = {number: (borough, name) for borough, zones in KNOWN.items() for number, name in zones.items()}
    known |= {264: ("Unknown", "N/A"), 265: ("N/A", "Outside of NYC")}
    lines = ['"LocationID","Borough","Zone","service_zone"']
    for number in range(1, ZONES + 1):
        borough, name = known.get(number, ("Unknown", f"Zone {number}"))
        service = "Airports" if "Airport" in name else "Yellow Zone" if borough == "Manhattan" else "Boro Zone"
        lines.append(f'{number},"{borough}","{name}","{service}"')
    return "\n".join(lines) + "\n"
