"""The limits of the texts of tasks on pages; twins and the API have all of them."""

from __future__ import annotations

from dataclasses import dataclass

_TEXTS = ("input", "output", "system_prompt", "raw_input", "raw_output")


@dataclass(frozen=True)
class Texts:
    """
    The limits of the texts of tasks: each is cut to `max_characters`, None for all of it.

    A page of tasks ends after `max_page_bytes` of them. Without `has_raw`, metadata and raw JSON are left out.
    """

    max_page_bytes: int
    max_characters: int | None = None
    has_raw: bool = True

    @property
    def _names(self) -> tuple[str, ...]:
        return _TEXTS if self.has_raw else _TEXTS[:3]

    @property
    def columns_sql(self) -> str:
        """The columns of the texts, and `cut_texts`: the names of those that go on."""
        metadata = "metadata, metadata_text" if self.has_raw else "NULL AS metadata, '' AS metadata_text"
        left_out = "" if self.has_raw else ", '' AS raw_input, '' AS raw_output"
        if self.max_characters is None:
            return f"{', '.join(self._names)}, {metadata}, [] AS cut_texts"
        cut = ", ".join(f"leftUTF8(task_rows.{name}, {self.max_characters}) AS {name}" for name in self._names)
        sizes = ", ".join(f"lengthUTF8(task_rows.{name})" for name in self._names)
        names = ", ".join(f"'{name}'" for name in self._names)
        longer = f"arrayFilter((name, size) -> size > {self.max_characters}, [{names}], [{sizes}])"
        return f"{cut}, {metadata}, {longer} AS cut_texts{left_out}"

    @property
    def bytes_sql(self) -> str:
        """The bytes of a task's texts, as far as they are read."""
        if self.max_characters is None:
            return " + ".join(f"length({name})" for name in self._names)
        # A character of UTF-8 has at most four bytes.
        return " + ".join(f"least(length({name}), {4 * self.max_characters})" for name in self._names)


# Of a transcript, of the page of one task, and of what programs read.
SHORT_TEXTS = Texts(max_page_bytes=600_000, max_characters=4_000, has_raw=False)
LONG_TEXTS = Texts(max_page_bytes=2_000_000, max_characters=100_000)
WHOLE_TEXTS = Texts(max_page_bytes=20_000_000)
