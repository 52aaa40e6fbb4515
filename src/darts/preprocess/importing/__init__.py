"""Ready patches, as images and masks, into a dataset directory."""
