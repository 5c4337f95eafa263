"""The HTML report: one file that opens from disk, shows what happened in every run and loads nothing."""
