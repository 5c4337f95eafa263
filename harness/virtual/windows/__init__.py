"""Facts of a Windows build: structure layouts, symbols and NTSTATUS values."""
