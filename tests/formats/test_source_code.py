from holdfast.formats.source_code import additions_in


def test_calls_outside_of_comments() -> None:
    """With the line on which each begins."""
    text = """
    // .add("no", "no")
    /* .add("no",
       "no") */
    builder
        .add("one", // a comment
             "two")
        .add(name, "three")
        .add("a ) b, c", "four \\" five")
    list.add(1)
    """

    found = list(additions_in(text))

    assert [6, 8, 9] == [one.line for one in found]
    assert [("one", "two"), ("three",)] == [one.texts for one in found[:2]]
    assert [True, False, False] == [one.plain for one in found]
    assert "a ) b, c" == found[2].texts[0]


def test_a_call_that_does_not_end() -> None:
    """Ends with the text, in time."""
    (found,) = additions_in('.add("a"' + " " * 1_000_000)

    assert (("a",), False) == (found.texts, found.plain)
