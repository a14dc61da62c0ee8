from holdfast.formats.artifacts.archive import Entry
from holdfast.formats.artifacts.found import Found, found_in, look_through
from holdfast.formats.registry import format_named
from tests.formats.artifacts.test_android_binary import binary
from tests.formats.artifacts.test_android_manifest import FORMER, PINS, manifest, table
from tests.formats.test_round_trip import ONE, POLICY, TWO, write


def test_a_configuration_is_read_as_what_it_means() -> None:
    """Also from binary XML; one that is damaged is said."""
    (found,) = found_in(Entry("res/xml/a.xml", binary()))
    (damaged,) = found_in(Entry("res/xml/a.xml", binary()[:100]))

    assert found.format is not None
    assert found.reading is not None
    assert ("android", 2) == (found.format.name, len(found.reading.rules))
    assert "binary XML" in damaged.problem


def test_texts_that_are_pins_are_found() -> None:
    """In any file, in two encodings, in curl's form; what no key has is none."""
    zeros = "sha256/" + "A" * 43 + "="
    text = f"x{ONE}y {str(TWO).replace('/', '//', 1)} {zeros}"
    for content in (text.encode(), text.encode("utf-16-le")):
        (found,) = found_in(Entry("classes.dex", content))
        assert {ONE, TWO} == found.pins
    assert () == found_in(Entry("readme", b"nothing"))


def test_what_could_not_be_looked_at_stays() -> None:
    """With the reason; so does a configuration that is none."""
    assert ["too large"] == [one.problem for one in found_in(Entry("a", None, "too large"))]
    (broken,) = found_in(Entry("res/xml/a.xml", b"<network-security-config"))
    assert "not XML" in broken.problem


def test_a_property_list_of_apple_and_trustkit() -> None:
    """Both parts are read."""
    apple, trustkit = format_named("apple"), format_named("trustkit-ios")
    both = write(trustkit, POLICY, write(apple, POLICY))

    found = found_in(Entry("Payload/App.app/Info.plist", both))

    assert [apple, trustkit] == [one.format for one in found]
    assert all({ONE, TWO} <= one.all_pins for one in found)


def looked(package: str = "", **changes: int) -> dict[str, Found]:
    """Look through a package with two configurations, of which its manifest names one."""
    contents = {
        "AndroidManifest.xml": manifest(**changes),
        "resources.arsc": table(),
        PINS: binary(),
        FORMER: binary(),
    }
    entries = [Entry(package + name, content) for name, content in contents.items()]
    other = Entry("other.apk!res/xml/a.xml", binary())
    return {one.name: one for one in look_through([*entries, other])}


def test_the_manifest_says_which_configuration_is_in_force() -> None:
    """In each package by itself, whether it lies in another or is unpacked."""
    for package in ("", "base.apk!", "unpacked/"):
        found = looked(package)
        assert (None, (PINS,)) == tuple(found[package + one].in_force for one in (PINS, FORMER))
        assert None is found["other.apk!res/xml/a.xml"].in_force
        none = looked(package, attribute=0x28)
        assert ((), ()) == tuple(none[package + one].in_force for one in (PINS, FORMER))


def test_a_manifest_that_cannot_be_followed_is_said() -> None:
    """Then every configuration counts, as if there were none."""
    found = looked(resource=9)
    entries = [Entry("AndroidManifest.xml", manifest()), Entry("resources.arsc", table())]

    assert "does not have" in found["AndroidManifest.xml"].problem
    assert None is found[FORMER].in_force
    assert [(PINS, True)] == [(one.name, bool(one.problem)) for one in look_through(entries)]
