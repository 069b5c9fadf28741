"""Calibration: one pass over the images, a histogram for every tensor."""
