"""Search in ClickHouse and the keyword engine call the same texts equal."""

from __future__ import annotations

from fixtures.same_texts import DIFFERENT_TEXTS, SAME_TEXTS
from phospho_schemas.text.normalisation import searchable
from phospho_store.sql.searchable import searchable_sql
from phospho_store.store import Store


def test_searchable_form_in_sql_is_that_of_python(store: Store) -> None:
    texts = [text for pair in (*SAME_TEXTS, *DIFFERENT_TEXTS) for text in pair]
    texts += [" two  spaces ", "tab\there", "quote ' and \\ backslash", "", "👍🏽 ok", "ﷺ", "Ⅷ", "ǅ", "a\u2028b"]
    query = f"SELECT {searchable_sql('text')} AS form FROM (SELECT arrayJoin({{texts:Array(String)}}) AS text)"
    rows = store.rows(query, {"texts": texts})
    assert [row["form"] for row in rows] == [searchable(text) for text in texts]
