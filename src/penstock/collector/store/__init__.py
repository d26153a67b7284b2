"""The pipeline from the log to Parquet files, what is done to them later, and their readers."""
