"""Filters, periods and SQL that several pages share."""
