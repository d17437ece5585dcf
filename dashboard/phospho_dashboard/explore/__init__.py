"""Explore: charts of any metric by any dimension; and boards, which keep them."""
