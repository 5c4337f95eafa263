"""Who runs when: the virtual processors, target time, and what stands in the middle and goes on later."""
