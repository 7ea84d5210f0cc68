"""A set of texts in little memory."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from prealign.corpora import fingerprints
from prealign.corpora.fingerprints import Fingerprints


@given(st.lists(st.binary(max_size=3), max_size=300))
def test_it_agrees_with_a_set(texts: list[bytes]) -> None:
    ours, plain = Fingerprints(), set()
    for text in texts:
        assert ours.add(text) == (text not in plain)
        plain.add(text)
    assert len(ours) == len(plain)


def test_it_grows() -> None:
    ours = Fingerprints()
    assert all(ours.add(str(number).encode()) for number in range(20_000))
    assert not any(ours.add(str(number).encode()) for number in range(20_000))
    assert len(ours) == 20_000


def test_slots_that_collide_are_kept_apart(monkeypatch) -> None:
    class Digest:
        def __init__(self, text: bytes, digest_size: int) -> None:
            self.text = text

        def digest(self) -> bytes:  # the same low bits for all; zero, the mark of an empty slot, for one
            return bytes(7) + self.text

    monkeypatch.setattr(fingerprints, "blake2b", Digest)
    ours = Fingerprints()
    assert [ours.add(bytes([number])) for number in (0, 1, 2, 1, 0, 3)] == [True, True, True, False, False, True]


def test_two_processes_agree() -> None:
    program = "from prealign.corpora.fingerprints import Fingerprints as F; f = F(); f.add(b'x'); print(max(f._slots))"
    said = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(said) == 1
