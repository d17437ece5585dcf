"""Passwords: their rules, and argon2id's hash, the only thing that is stored."""

from __future__ import annotations

import secrets
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from phospho_web.problems import Problem

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256


class Passwords:
    """
    Hash and check passwords. Blocking: argon2-cffi's defaults, those of RFC 9106 for little memory, take some 50 ms
    and 64 MiB a call.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()

    def hashed(self, password: str) -> str:
        """Return the hash to store. Raises Problem 422 for one that is too short or too long."""
        if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
            message = f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters"
            raise Problem(422, "invalid_password", message, "some words in a row are good: easy to keep, hard to guess")
        return self._hasher.hash(password)

    def matches(self, password: str, password_hash: str) -> bool:
        """
        Tell whether a password has this hash.

        An empty hash, of nobody or of a person without a password, takes as long as any other.
        """
        try:
            self._hasher.verify(password_hash or self._hash_of_nobody, password[:MAX_CHARACTERS])
        except (VerificationError, InvalidHashError):
            return False
        return bool(password_hash)

    def is_dated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than the present ones."""
        return self._hasher.check_needs_rehash(password_hash)

    @cached_property
    def _hash_of_nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))
