"""The one exception for mistakes a user can mend.

The command line prints its text and exits with code 2; Python callers may catch it. A message says what is wrong,
where, and what to do next. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Iterable


class PrealignError(Exception):
    """A mistake in input, settings or environment, told in sentences."""

    @classmethod
    def of_several(cls, heading: str, problems: Iterable[str]) -> PrealignError:
        """One error that lists every problem found, so that a user mends them all in one go."""
        lines = [f"  - {problem}" for problem in problems]
        return cls("\n".join([heading, *lines]))


def missing_extra(package: str, extra: str, purpose: str) -> PrealignError:
    """The error for an optional package that is not installed, ending in the line that installs it."""
    return PrealignError(f"{purpose} needs {package}, which is not installed. Run: pip install 'prealign[{extra}]'")
