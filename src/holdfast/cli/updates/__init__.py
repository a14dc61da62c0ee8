"""`holdfast updates`: one file per command or two that belong together."""
