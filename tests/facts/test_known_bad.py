import pytest

from holdfast.facts.known_bad import CHECKED, DISTRUSTED_ROOTS, KNOWN_BAD, Version

BY_ID = {bad.id: bad for bad in KNOWN_BAD}


@pytest.mark.parametrize(
    ("cve", "version", "mended"),
    [
        ("CVE-2026-19553", (3, 11, 7), "3.11.17"),
        ("CVE-2026-19553", (3, 13, 0), "3.13.16"),
        ("CVE-2026-115557", (3, 14, 9), "3.14.10"),
        ("CVE-2023-40217", (3, 11, 4), "3.11.5"),
        ("CVE-2022-3602", (3, 0, 6), "3.0.7"),
        ("CVE-2022-0778", (1, 1, 1, 13), "1.1.1.14"),
        ("CVE-2026-34073", (46, 0, 5), "46.0.6"),
        ("CVE-2026-111943", (2026, 7, 22), "2026.10.18"),
    ],
)
def test_affected_version_knows_where_to_go(cve: str, version: Version, mended: str) -> None:
    """An affected version is recognized, and the one that is mended is named."""
    assert BY_ID[cve].affects(version)
    assert mended == BY_ID[cve].mended_in(version)


@pytest.mark.parametrize(
    ("cve", "version"),
    [
        ("CVE-2026-19553", (3, 11, 17)),
        ("CVE-2026-19553", (3, 14, 8)),
        ("CVE-2026-115557", (3, 13, 18)),
        ("CVE-2023-40217", (3, 12, 0)),
        ("CVE-2022-3602", (3, 0, 7)),
        ("CVE-2022-3602", (1, 1, 1, 1)),
        ("CVE-2022-0778", (1, 1, 1, 14)),
        ("CVE-2022-0778", (3, 0, 2)),
        ("CVE-2026-34073", (49, 0, 0)),
    ],
)
def test_mended_version_is_left_alone(cve: str, version: Version) -> None:
    """The first mended version, and branches that never had it, are not affected."""
    assert not BY_ID[cve].affects(version)


def test_each_fact_has_its_source() -> None:
    """Every entry says where it stands, stands there once, and its ranges make sense."""
    assert len(BY_ID) == len(KNOWN_BAD)
    for bad in KNOWN_BAD:
        assert bad.source.startswith("https://")
        assert all(first < mended for first, mended in bad.ranges)
    for root in DISTRUSTED_ROOTS:
        assert (32, True) == (len(root.cert_sha256), root.source.startswith("https://"))
    assert 2026 == CHECKED.year
