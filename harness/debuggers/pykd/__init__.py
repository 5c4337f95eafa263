"""Microsoft's DbgEng through pykd: in Wine, or in a Python of the user's on Windows."""
