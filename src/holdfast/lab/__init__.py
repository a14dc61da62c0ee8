"""The lab: throw-away authorities and loopback servers that say what they saw.

The lab judges clients, Holdfast's own included, so it never imports ``holdfast.enforcement``.
"""
