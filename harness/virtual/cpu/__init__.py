"""The processor: executes machine code over guarded memory; knows nothing of Windows but its image layout."""
