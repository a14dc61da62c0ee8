"""Alamofire's `ServerTrustManager`, in Swift.

Its own evaluators take whole keys and certificates, which a policy does not have. What is written
has an evaluator of its own beside it (`ServerTrustEvaluating`), which verifies as usual and then
compares digests. Hosts are keys of a dictionary: one that is not exactly there is not pinned.

Security.framework hands out a key without what names its algorithm, which is put before it again.
A key that its certificate encodes in another way (RSA-PSS, a compressed point, RSA without NULL)
has another digest then, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from holdfast.errors import Problem
from holdfast.formats.loss import Loss
from holdfast.formats.marked_text import put_between_marks, text_of
from holdfast.formats.platform import Kinds, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.formats.source_code import additions_in, rule_of, without_comments
from holdfast.pins.pin import quoted

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Alamofire",
    entries=(Kinds.APEX,),
    one_entry_a_host=True,
    folds_case=False,
    shipped=True,
)
_ENTRY = re.compile(r'"(?P<first>[^"\\\n]*)"\s*:\s*PinnedKeys\(')
_OTHERS = re.compile(
    r"\b(?:PublicKeysTrustEvaluator|PinnedCertificatesTrustEvaluator)\b"
    r"|:\s?\.(?:publicKeys|pinnedCertificates)\b"
)
_BEFORE = ("import Alamofire", "import CryptoKit", "import Foundation", "import Security", "")
_EVALUATOR = """\
/// Accepts a path that verifies for the host and has a pinned key on it.
struct PinnedKeys: ServerTrustEvaluating {
    struct Mismatch: Error {
        let host: String
    }

    private let pins: Set<String>

    init(_ pins: String...) {
        self.pins = Set(pins)
    }

    func evaluate(_ trust: SecTrust, forHost host: String) throws {
        try DefaultTrustEvaluator().evaluate(trust, forHost: host)
        for certificate in trust.af.certificates {
            if let pin = Self.pin(of: certificate), pins.contains(pin) {
                return
            }
        }
        let mismatch = Mismatch(host: host)
        throw AFError.serverTrustEvaluationFailed(reason: .customEvaluationFailed(error: mismatch))
    }

    /// The digest of the SubjectPublicKeyInfo; nil for a kind of key that has no pins here.
    private static func pin(of certificate: SecCertificate) -> String? {
        guard
            let key = SecCertificateCopyKey(certificate),
            let bits = SecKeyCopyExternalRepresentation(key, nil) as Data?,
            let attributes = SecKeyCopyAttributes(key) as? [String: Any],
            let kind = attributes[kSecAttrKeyType as String] as? String,
            let size = attributes[kSecAttrKeySizeInBits as String] as? Int,
            let identifier = algorithm(kind, size)
        else {
            return nil
        }
        let info = der(0x30, der(0x30, identifier) + der(0x03, [0x00] + [UInt8](bits)))
        return "sha256/" + Data(SHA256.hash(data: Data(info))).base64EncodedString()
    }

    private static func algorithm(_ kind: String, _ size: Int) -> [UInt8]? {
        if kind == kSecAttrKeyTypeRSA as String {
            return rsa
        }
        return kind == kSecAttrKeyTypeECSECPrimeRandom as String ? curves[size] : nil
    }

    private static func der(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = content.count
        repeat {
            length.insert(UInt8(rest & 0xff), at: 0)
            rest >>= 8
        } while rest > 0
        if content.count > 0x7f {
            length.insert(0x80 | UInt8(length.count), at: 0)
        }
        return [tag] + length + content
    }

    private static let rsa: [UInt8] = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ]
    private static let ec: [UInt8] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]
    private static let curves: [Int: [UInt8]] = [
        256: ec + [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        384: ec + [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
        521: ec + [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
    ]
}
"""


def scan(data: bytes) -> Reading:
    """Read the entries that have pins; other evaluators have keys that are not in the text.

    Raises:
        PolicyError: The file is no text.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    text = text_of(data)
    rules: dict[str, Rule] = {}
    for addition in additions_in(text, _ENTRY):
        written, place = addition.texts[0], f"line {addition.line}"
        rule = rule_of(addition, problems, losses)
        if rule is None:
            continue
        host = rule.hosts[0].host
        if written != host:
            fix = f"write {host}: hosts are compared as they are written"
            problems.append(Problem(place, f"{quoted(written)} matches no host", fix))
        elif host in rules:
            fix = "keep one: Swift stops where a dictionary has a key twice"
            problems.append(Problem(place, f"{host} stands twice", fix))
        elif len(addition.texts) == 1:
            problems.append(Problem(place, "the host has no pins", "add them"))
        else:
            rules[host] = rule
    problems += _of_others(text)
    return Reading(tuple(rules.values()), tuple(losses), tuple(problems))


def _of_others(text: str) -> Iterator[Problem]:
    plain = without_comments(text)
    line, counted = 1, 0
    for found in _OTHERS.finditer(plain):
        line += plain.count("\n", counted, found.start())
        counted = found.start()
        yield Problem(
            f"line {line}",
            "the keys are loaded when the application runs, and do not stand in the text",
            "take pins from the certificates in its bundle: `holdfast key pin FILE`",
        )


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules between the marks of source code, as `Format.write` says."""
    entries = [
        line
        for rule in rules
        for entry in rule.hosts
        for line in (
            f'        "{entry.host}": PinnedKeys(',
            *(f'            "{pin}",' for pin in rule.pins[:-1]),
            *(f'            "{pin}"' for pin in rule.pins[-1:]),
            "        ),",
        )
    ]
    evaluators = ["    evaluators: [", *entries, "    ]"] if entries else ["    evaluators: [:]"]
    lines = [
        *_EVALUATOR.splitlines(),
        "",
        "let serverTrustManager = ServerTrustManager(",
        "    allHostsMustBeEvaluated: false,",
        *evaluators,
        ")",
    ]
    return put_between_marks(lines, present, comment="//", before=_BEFORE)


def _is_alamofire(file_name: str, data: bytes) -> bool:
    return file_name.endswith(".swift") and b"ServerTrustManager" in data and b"PinnedKeys(" in data


FORMAT = Format(
    name="alamofire", semantics=SEMANTICS, recognizes=_is_alamofire, scan=scan, write=write
)
