"""Files of logs as events: JSON lines, JSON, CSV, Parquet and Excel, and the exports of other systems."""
