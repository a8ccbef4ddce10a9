"""CityJSON and CityJSONSeq."""
