import pytest

from holdfast.errors import PolicyError
from holdfast.formats.curl import COMMAND, CONFIG
from holdfast.formats.registry import format_of
from tests.formats.test_round_trip import ONE, PAY, POLICY, TWO, write

PINS = ";".join(f"sha256//{str(pin).removeprefix('sha256/')}" for pin in (ONE, TWO))
OWN = POLICY.__class__(unlisted=POLICY.unlisted, pin_sets=(PAY,))


@pytest.mark.parametrize(
    "line",
    [
        f'pinnedpubkey = "{PINS}"',
        f"--pinnedpubkey {PINS}",
        f"pinnedpubkey: {PINS}",
        f"  pinnedpubkey={PINS}  ",
    ],
)
def test_each_form_of_an_option_is_read(line: str) -> None:
    """As curl reads its configuration files; the last one counts."""
    text = f'pinnedpubkey = "sha256//no"\n{line}\n'.encode()

    assert (ONE, TWO) == CONFIG.read(text).rules[0].leaf


def test_the_line_is_put_in_its_old_place() -> None:
    """Everything else stays."""
    before = f'silent\npinnedpubkey = "{PINS}"\nfail\n'.encode()

    assert before == write(CONFIG, OWN, before)
    assert b"silent\nfail\n" + before[7:-5] == write(CONFIG, OWN, b"silent\nfail\n")
    assert CONFIG.write is not None
    assert b"silent\nfail\n" == CONFIG.write((), before)


def test_a_command_line_is_recognized_and_read() -> None:
    """With its quotes."""
    for text in (
        f"curl --pinnedpubkey '{PINS}' https://a.test",
        f"curl --pinnedpubkey={PINS!r} x",
    ):
        assert COMMAND is format_of("run.sh", text.encode())
        assert (ONE, TWO) == COMMAND.read(text.encode()).rules[0].leaf
    assert CONFIG is format_of("curlrc", f'pinnedpubkey = "{PINS}"'.encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curl https://a.test", "no pins"),
        ("curl --pinnedpubkey", "no pins"),
        ("curl --pinnedpubkey key.pem", "no pin but a file"),
        ("curl --pinnedpubkey sha256//AAAA", "pin"),
        ("curl --pinnedpubkey 'x", "command line"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """A file with a key is hashed by `holdfast key pin`."""
    with pytest.raises(PolicyError, match=message):
        COMMAND.read(text.encode())
