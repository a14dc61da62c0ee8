"""The attacks, one module each; `holdfast.lab.attack` says what such a module holds."""
