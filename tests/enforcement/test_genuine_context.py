import ssl
import subprocess
import sys

from holdfast.enforcement.genuine_context import CContext, GenuineContext, direct

_REPLACED = """\
import ssl
class Other(ssl.SSLContext):
    pass
ssl.SSLContext = Other
from holdfast.enforcement.genuine_context import GenuineContext, direct
class Direct(GenuineContext):
    minimum_version = direct("minimum_version")
context = Direct(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = ssl.TLSVersion.TLSv1_3
print(GenuineContext.__module__, GenuineContext is not Other, context.minimum_version.name)
"""


def test_it_is_the_one_of_cpython() -> None:
    """Without a patch it is what stands under the name, above the C type."""
    assert GenuineContext is ssl.SSLContext
    assert issubclass(GenuineContext, CContext)


def test_it_is_found_behind_a_replacement() -> None:
    """After something took the name, class and setters are still the genuine ones."""
    done = subprocess.run(
        [sys.executable, "-c", _REPLACED], check=True, capture_output=True, text=True
    )

    assert done.stdout.split() == ["ssl", "True", "TLSv1_3"]


def test_properties_read_as_in_ssl() -> None:
    """A direct property reads as an enumeration, as the stock one does."""

    class Direct(ssl.SSLContext):
        maximum_version = direct("maximum_version")

    context = Direct(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    assert ssl.TLSVersion.TLSv1_2 is context.maximum_version
