"""What a CI service shows of runs beside its log: annotations at lines of files, and a summary."""
