import pytest

from holdfast.errors import PolicyError
from holdfast.formats.decide import decide
from holdfast.formats.loss import Effect
from holdfast.formats.okhttp import JAVA, KOTLIN
from holdfast.formats.registry import format_of
from holdfast.pins.chain import VerifiedChain
from tests.formats.test_from_policy import LEAVES, NOW
from tests.formats.test_round_trip import ONE, POLICY, TWO, write

FILE = """\
class Client {
    // our own: .add("commented.test", "sha256/no")
    // holdfast: begin
    // holdfast: end
    val other = list.add(1)
}
"""


def test_pins_are_put_between_the_marks() -> None:
    """Indented as they are; the rest of the file stays."""
    text = write(KOTLIN, POLICY, FILE.encode()).decode()

    assert text.startswith(FILE[: FILE.index("    // holdfast: end")])
    assert text.endswith(FILE[FILE.index("    // holdfast: end") :])
    assert '\n            "**.pay.example.com",\n' in text
    assert "\n    val certificatePinner = CertificatePinner.Builder()\n" in text


def test_a_new_file_is_recognized() -> None:
    """By its ending and the class; no compiler has checked the text."""
    kotlin, java = write(KOTLIN, POLICY), write(JAVA, POLICY)

    assert KOTLIN is format_of("Client.kt", kotlin)
    assert JAVA is format_of("Client.java", java)
    assert kotlin.endswith(b"    .build()\n// holdfast: end\n")
    assert java.endswith(b"    .build();\n// holdfast: end\n")


def test_without_marks_nothing_says_where_pins_belong() -> None:
    """Somebody else's code is not guessed at."""
    with pytest.raises(PolicyError, match="holdfast: begin"):
        write(KOTLIN, POLICY, b"class Client {}\n")


def test_patterns_add_up() -> None:
    """OkHttp takes the union of all that cover a host."""
    one, two = (f"sha256/{str(pin).removeprefix('sha256/')}" for pin in (ONE, TWO))
    rules = KOTLIN.read(
        f'.add("*.example.com", "{one}").add("a.example.com", "{two}")'.encode()
    ).rules

    verdict = decide(rules, KOTLIN.semantics, "a.example.com", VerifiedChain((LEAVES[0],)), NOW)
    assert (False, 2) == (verdict.allowed, len(verdict.rules))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('.add("a.test", "sha1/AAAA")', "not a pin"),
        ('.add("a.test", "sha256/AAAA")', "pin"),
        ('.add("*.*.test", "sha256/AAAA")', "pattern"),
        ('.add("a.test", "md5/DmxUShsZuNiqPQsX2Oi9uv2sCnw=")', "not a pin"),
    ],
)
def test_mistakes_are_told_with_their_line(call: str, message: str) -> None:
    """A short digest too, which OkHttp takes and which then refuses everything."""
    with pytest.raises(PolicyError, match=message) as caught:
        KOTLIN.read(f"\n{call}".encode())

    assert "line 2" == caught.value.problems[0].place


def test_what_is_put_together_at_run_time_is_a_loss() -> None:
    """It cannot be known from the text."""
    reading = KOTLIN.read(f'.add("a.test", "{ONE}", *more)'.encode())

    assert (ONE,) == reading.rules[0].anywhere
    assert [Effect.LETS_THROUGH] == [loss.effect for loss in reading.losses]
