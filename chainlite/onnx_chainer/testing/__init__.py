"""Tools to test converters with."""
