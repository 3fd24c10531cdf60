"""What the Lambda adapter costs: per event, at import, and until the first byte of a stream."""
