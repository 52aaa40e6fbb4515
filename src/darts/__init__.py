"""Satellite scenes and label polygons in, trained and tested segmentation models out."""

__version__ = "0.1.0"
