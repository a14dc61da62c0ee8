"""Which configuration an Android package's manifest names, and so which is in force. Pure.

Android reads the one file that `android:networkSecurityConfig` of `<application>` stands for, by
way of `resources.arsc`. Others look the same, and do nothing.
"""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.formats.artifacts.android_binary import as_xml, is_binary_xml
from holdfast.formats.artifacts.resource_table import files_of

__all__ = ["MANIFEST", "TABLE", "configurations_in_force"]

MANIFEST, TABLE = "AndroidManifest.xml", "resources.arsc"
_ATTRIBUTE = "{http://schemas.android.com/apk/res/android}networkSecurityConfig"


def configurations_in_force(manifest: bytes, table: bytes | None) -> tuple[str, ...] | None:
    """Return the files that a manifest names, as paths within the package.

    Args:
        manifest: The manifest of a package, in binary XML.
        table: Its `resources.arsc`; None where there is none.

    Returns:
        No file where it names none; None where the manifest is text: that of a library, or of
        sources, decides nothing yet.

    Raises:
        HoldfastError: The manifest or the table cannot be read, or does not have what is named.
    """
    if not is_binary_xml(manifest):
        return None
    from holdfast.formats.xml_text import elements, parse

    named = [
        value
        for application in elements(parse(as_xml(manifest), "manifest"), "application")
        if (value := application.get(_ATTRIBUTE)) is not None
    ]
    if not named:
        return ()
    try:
        resource = int(named[0].removeprefix("@"), 16)
    except ValueError:
        raise HoldfastError(f"it names {named[0]}, which is no resource of the package") from None
    files = () if table is None else files_of(table, resource)
    if not files:
        raise HoldfastError(f"it names the resource {named[0]}, which {TABLE} does not have")
    return files
