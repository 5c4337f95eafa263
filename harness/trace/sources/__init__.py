"""Recordings of other makers, each read into what the stage after it takes."""
