"""Pins, host patterns, policies and the verdict on a verified path. Pure: no I/O, no clock."""
