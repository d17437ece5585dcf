"""Rules of definitions: which a person may write, and what each engine reads of them."""
