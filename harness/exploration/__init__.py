"""Which interleavings a scenario can have: schedules that are looked for, kept in files and played back."""
