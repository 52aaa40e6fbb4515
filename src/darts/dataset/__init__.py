"""The dataset directory: what preprocessing writes, what training reads, and all that the two share."""
